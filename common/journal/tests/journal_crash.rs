//! Whatever was written, and wherever the journal is then cut or spoiled: a reopen gives exactly a prefix that holds all
//! that was acknowledged, or refuses and names the place.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, OpenError, Options};
use model::{Banco, Change, Cuenta, Nota, files, open};
use proptest::prelude::*;
use std::{fs, path::Path};

#[derive(Debug, Clone)]
enum Step {
    /// One line with these changes.
    Write(Vec<Change>),
    /// A clean stop and a start.
    Compact,
    /// A start after a kill.
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..6u64, 0..1000u64).prop_map(|(id, saldo)| Change::Cuenta(Cuenta { id, saldo })),
        1 => (0..6u64).prop_map(Change::SinCuenta),
        1 => (0..3u64, "[a-zé\"\\\\\n]{0,12}").prop_map(|(id, texto)| Change::Nota(Nota { id, texto })),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(change(), 1..6).prop_map(Step::Write),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

type Records = (Vec<(u64, u64)>, Vec<(u64, String)>);

fn records(banco: &Banco) -> Records {
    (banco.lista(), banco.notas.values().map(|nota| (nota.id, nota.texto.clone())).collect())
}

/// Where the current journal file's lines end, with what a reader saw then; the first is the end of the header.
async fn run(dir: &Path, steps: Vec<Step>) -> Vec<(usize, Records)> {
    let mut journal = open(dir);
    let mut expected = Banco::default();
    let note = |journal: &Journal<Banco>, expected: &Banco| {
        assert_eq!(records(&journal.read().unwrap()), records(expected));
        (usize::try_from(journal.stats().journal_bytes).unwrap(), records(expected))
    };
    let mut ends = vec![note(&journal, &expected)];
    for step in steps {
        match step {
            Step::Write(changes) => {
                changes.iter().for_each(|change| journal::Model::apply(&mut expected, change));
                let written = journal.write(move |tx| -> Result<(), ()> {
                    changes.into_iter().for_each(|change| tx.put(change));
                    Ok(())
                });
                written.await.unwrap().unwrap();
                ends.push(note(&journal, &expected));
            }
            Step::Compact => {
                journal.close().unwrap();
                journal = open(dir);
                ends = vec![note(&journal, &expected)];
            }
            Step::Reopen => {
                drop(journal);
                journal = open(dir);
                assert_eq!(note(&journal, &expected), *ends.last().unwrap());
            }
        }
    }
    ends
}

/// A copy of the directory with another journal, and without the mark where `forget` (as after a power failure).
fn variant(dir: &Path, journal: &[u8], forget: bool) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in files(dir) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    fs::write(copy.path().join("banco.journal"), journal).unwrap();
    if forget {
        fs::remove_file(copy.path().join("banco.lock")).unwrap();
    }
    copy
}

fn refusal(dir: &Path) -> Option<OpenError> {
    let before = files(dir);
    let error = Journal::<Banco>::open(Options::new(dir)).err()?;
    let unlocked = |files: Vec<(String, Vec<u8>)>| -> Vec<(String, Vec<u8>)> {
        files.into_iter().filter(|(name, _)| name.ends_with("json") || name.ends_with("journal")).collect()
    };
    assert_eq!(unlocked(files(dir)), unlocked(before), "a refusal changes nothing");
    Some(error)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere_it_reopens_to_a_prefix_with_everything_acknowledged(steps in steps(), cut in 0.0..1.0f64) {
        let dir = tempfile::tempdir().unwrap();
        let ends = block_on(run(dir.path(), steps));
        let whole = fs::read(dir.path().join("banco.journal")).unwrap();
        let (header, durable) = (ends[0].0, ends.last().unwrap().0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = ((durable + 5) as f64 * cut) as usize;
        let cut = cut.min(whole.len());

        let after_power_failure = variant(dir.path(), &whole[..cut], true);
        if cut < header {
            prop_assert!(refusal(after_power_failure.path()).unwrap().to_string().contains("banco.journal:1: "));
        } else {
            let (_, expected) = ends.iter().rev().find(|(end, _)| *end <= cut).unwrap();
            let journal = open(after_power_failure.path());
            prop_assert_eq!(&records(&journal.read().unwrap()), expected);
            block_on(model::put(&journal, 99, 1));
            drop(journal);
            prop_assert_eq!(open(after_power_failure.path()).read().unwrap().saldo(99), Some(1));
        }
        // The machine stayed up, so the mark tells what was acknowledged.
        let after_kill = variant(dir.path(), &whole[..cut], false);
        if cut < durable {
            prop_assert!(refusal(after_kill.path()).unwrap().to_string().contains("banco.journal"));
        } else {
            prop_assert_eq!(&records(&open(after_kill.path()).read().unwrap()), &ends.last().unwrap().1);
        }
    }

    #[test]
    fn part_of_a_line_after_the_end_is_cut(steps in steps(), part in 1..60usize) {
        let dir = tempfile::tempdir().unwrap();
        let ends = block_on(run(dir.path(), steps));
        let mut bytes = fs::read(dir.path().join("banco.journal")).unwrap();
        let end = ends.last().unwrap().0;
        bytes.truncate(end);
        bytes.extend_from_slice(&b"0123456789abcdef {\"seq\":1,\"cambios\":[{\"Cuenta\":{\"id\":1,\"saldo\":1}}]}"[..part]);
        bytes.extend_from_slice(b"\r\r\r");
        let torn = variant(dir.path(), &bytes, false);
        let journal = open(torn.path());
        prop_assert_eq!(&records(&journal.read().unwrap()), &ends.last().unwrap().1);
        prop_assert_eq!(fs::metadata(torn.path().join("banco.journal")).unwrap().len(), end as u64);
    }

    #[test]
    fn a_flipped_byte_of_an_acknowledged_line_is_named(steps in steps(), at in 0.0..1.0f64, flip in 1..=255u8) {
        let dir = tempfile::tempdir().unwrap();
        let ends = block_on(run(dir.path(), steps));
        let mut bytes = fs::read(dir.path().join("banco.journal")).unwrap();
        let durable = ends.last().unwrap().0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let at = (durable as f64 * at) as usize;
        bytes[at] ^= flip;
        let line = ends.iter().take_while(|(end, _)| *end <= at).count() + 1;
        let named = format!("banco.journal:{line}: ");
        let error = refusal(variant(dir.path(), &bytes, false).path()).unwrap();
        prop_assert!(error.to_string().contains(&named), "{error}");
        prop_assert_eq!(error.exit_code(), 65);

        // Without the mark, the last line is like one that was never finished; one before it is not.
        let forgotten = variant(dir.path(), &bytes, true);
        if line == 1 || line < ends.len() {
            let error = refusal(forgotten.path()).unwrap();
            prop_assert!(error.to_string().contains(&named), "{error}");
        } else {
            prop_assert_eq!(&records(&open(forgotten.path()).read().unwrap()), &ends[ends.len() - 2].1);
        }
    }
}
