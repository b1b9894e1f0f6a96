//! The claims of the fuzz targets (`fuzz/src`), on their corpus and on mutations of it: what a fuzzer once found stays found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

#[path = "../../fuzz/src/lib.rs"]
mod properties;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::fs;
use std::path::{Path, PathBuf};

/// Mutated inputs for each target; of `journal_history`, whose input is a whole run with its crashes, a tenth.
const CASES: u32 = 500;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(fuzz().join(dir)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    names.sort();
    names
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(fuzz().join("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    files
}

/// The words of `dictionary.txt`, which is in libFuzzer's format.
fn words() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz().join("dictionary.txt")).unwrap();
    let word = |line: &str| {
        line.strip_prefix('"')?.strip_suffix('"').map(|w| w.replace("\\\"", "\"").replace("\\\\", "\\"))
    };
    let words: Vec<_> = text.lines().filter_map(word).map(String::into_bytes).collect();
    assert!(words.len() > 50);
    words
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip(usize, u8),
    Insert(usize, u8),
    Cut(usize, usize),
    Copy(usize, usize, usize),
    Word(usize, usize),
    Splice(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let n = || any::<usize>();
    prop_oneof![
        (n(), any::<u8>()).prop_map(|(at, by)| Mutation::Flip(at, by)),
        (n(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        (n(), 1..20_usize).prop_map(|(at, len)| Mutation::Cut(at, len)),
        (n(), n(), 1..60_usize).prop_map(|(from, to, len)| Mutation::Copy(from, to, len)),
        (n(), n()).prop_map(|(at, word)| Mutation::Word(at, word)),
        (n(), n()).prop_map(|(at, other)| Mutation::Splice(at, other)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation, words: &[Vec<u8>], others: &[(PathBuf, Vec<u8>)]) {
    let len = bytes.len();
    let place = |at: usize| at % (len + 1);
    match *mutation {
        Mutation::Flip(at, by) => bytes[place(at)..].iter_mut().take(1).for_each(|byte| *byte ^= by),
        Mutation::Insert(at, byte) => bytes.insert(place(at), byte),
        Mutation::Cut(at, n) => drop(bytes.drain(place(at)..(place(at) + n).min(len))),
        Mutation::Copy(from, to, n) => {
            let piece = bytes[place(from)..(place(from) + n).min(len)].to_vec();
            drop(bytes.splice(place(to)..place(to), piece));
        }
        Mutation::Word(at, word) => {
            let word = words[word % words.len()].clone();
            drop(bytes.splice(place(at)..place(at), word));
        }
        Mutation::Splice(at, other) => {
            let other = &others[other % others.len()].1;
            bytes.truncate(place(at));
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
    }
}

fn holds(name: &str) {
    let target = properties::TARGETS.iter().find(|(n, _)| *n == name).unwrap().1;
    let (corpus, words) = (corpus(name), words());
    for (path, bytes) in &corpus {
        println!("{}", path.display());
        target(bytes);
    }
    let cases = if name == "journal_history" { CASES / 10 } else { CASES };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    // the same inputs each time: those that nobody has tried are the fuzzer's affair
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let inputs = (any::<prop::sample::Index>(), prop::collection::vec(mutation(), 1..5));
    let run = TestRunner::new_with_rng(config, rng).run(&inputs, |(which, mutations)| {
        let mut bytes = which.get(&corpus).1.clone();
        mutations.iter().for_each(|m| mutate(&mut bytes, m, &words, &corpus));
        println!("{:?}", String::from_utf8_lossy(&bytes));
        target(&bytes);
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test] fn $name() { holds(stringify!($name)); })*

        #[test]
        fn every_target_has_a_test_a_corpus_and_its_line() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(properties::TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
            assert_eq!(names("fuzz_targets"), tested);
            assert_eq!(names("corpus"), tested);
            let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
            for name in tested {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
                assert!(!corpus(name).is_empty());
            }
        }
    };
}

targets!(bodies, headers, journal_history, journal_reader, lists, options, records);
