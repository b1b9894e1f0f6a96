//! The journal reader on any files.

use super::files::{self, DIR, path};
use ::journal::testing::Disk;
use journal::{ArrayWriter, Model, OpenError, Options};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A store that takes anything for a record, and keeps its text.
#[derive(Clone, Default)]
struct Hojas {
    /// Of the arrays, by collection.
    loaded: BTreeMap<String, Vec<String>>,
    /// Of the journal, in order.
    changes: Vec<String>,
}

impl Model for Hojas {
    const NAME: &'static str = "hojas";
    const COLLECTIONS: &'static [&'static str] = &["altas", "pares"];
    type Change = Box<RawValue>;

    fn apply(&mut self, change: &Box<RawValue>) {
        self.changes.push(change.get().to_owned());
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        self.loaded.entry(collection.to_owned()).or_default().push(element.to_owned());
        Ok(())
    }

    fn dump(&self, _: &str, _: &mut ArrayWriter<'_>) -> io::Result<()> {
        Ok(())
    }

    fn count(&self, collection: &str) -> usize {
        self.loaded.get(collection).map_or(0, Vec::len)
    }

    fn on_open(&self, _: &[&'static str]) -> Result<Vec<Box<RawValue>>, String> {
        Ok(Vec::new())
    }
}

const JOURNAL: &str = "hojas.journal";
const NAMES: &[&str] = &[
    "altas.json",
    "pares.json",
    "altas.json.tmp",
    "pares.json.tmp",
    JOURNAL,
    "hojas.journal.tmp",
    "hojas.lock",
];

fn start(disk: &Disk) -> Result<(Hojas, u64), OpenError> {
    disk.start::<Hojas>(Options::new(DIR))
}

/// The files with records, which a refusal must leave as they are.
fn kept(disk: &Disk) -> BTreeMap<PathBuf, Vec<u8>> {
    let own = |path: &PathBuf| path.extension().is_some_and(|e| e == "lock" || e == "turn" || e == "compact");
    disk.files().into_iter().filter(|(path, _)| !own(path)).collect()
}

/// A start on any files shows exactly the arrays and the whole lines before the first bad one, all of it durable; or it
/// refuses with the file and the reason, and changes nothing. `journal check` says beforehand which of the two.
pub fn journal_reader(data: &[u8]) {
    let files = files::parse(data, NAMES);
    let mut disk_files = files.clone();
    disk_files.entry(path("hojas.turn")).or_default();
    let disk = Disk::with(disk_files);
    let report = disk.check(Path::new(DIR), Hojas::NAME);
    let mut dumped = Vec::new();
    let dump = disk.dump(Path::new(DIR), Hojas::NAME, &mut dumped);
    let before = kept(&disk);

    let journal = files.get(&path(JOURNAL));
    let reference = journal.map(|bytes| Reference::read(bytes));
    let started = start(&disk);
    let sound = report.as_ref().is_ok_and(|report| report.sound());
    let (state, seq) = match started {
        Err(error) => {
            let OpenError::Data { file, line, reason } = &error else { panic!("{error:?}") };
            assert!(file.starts_with(DIR) && !reason.is_empty(), "{error}");
            let lines = files.get(file).map_or(0, |bytes| bytes.split(|b| *b == b'\n').count() as u64);
            assert!(line.is_none_or(|line| line >= 1 && line <= lines), "{error}: of {lines} lines");
            assert_eq!(kept(&disk), before, "a refusal changes nothing: {error}");
            // of which collections there are, a model decides
            let header = reference.as_ref().and_then(|r| r.header.as_ref());
            let ours =
                header.is_some_and(|h| Hojas::COLLECTIONS.iter().copied().eq(h.keys().map(String::as_str)));
            assert!(!sound || !ours, "the check found nothing, and the start: {error}");
            return;
        }
        Ok(started) => started,
    };

    let mut expected = Vec::new();
    if let Some(reference) = &reference {
        assert!(sound, "it opened, and the check says {report:?}");
        dump.unwrap_or_else(|e| panic!("it opened, and the dump says {e}"));
        assert!(!reference.later, "a valid line of a later batch was dropped");
        assert!(
            reference.end >= acknowledged(&files, reference.generation),
            "an acknowledged line was dropped"
        );
        expected.clone_from(&reference.changes);
    }
    assert_eq!(state.changes, expected, "the lines that show are not those that are whole");
    for (collection, loaded) in &state.loaded {
        let file = path(&format!("{collection}.json"));
        let tmp = path(&format!("{collection}.json.tmp"));
        let found =
            [file, tmp].into_iter().filter_map(|p| elements(files.get(&p)?)).any(|all| all == *loaded);
        assert!(found, "{collection} shows records that are in none of its files");
    }

    // what it showed is there again, with everything that was written and with what was synced only
    for disk in [Disk::with(disk.files()), disk.after_power_failure()] {
        let (again, same) = start(&disk).unwrap_or_else(|e| panic!("the second start: {e}"));
        assert_eq!((again.loaded, again.changes, same), (state.loaded.clone(), state.changes.clone(), seq));
        let report = disk.check(Path::new(DIR), Hojas::NAME).unwrap();
        assert!(report.sound() && report.journal.torn == 0, "{report}");
    }
}

fn elements(bytes: &[u8]) -> Option<Vec<String>> {
    let all: Vec<Box<RawValue>> = serde_json::from_slice(bytes).ok()?;
    Some(all.iter().map(|element| element.get().to_owned()).collect())
}

/// How much of the journal the mark says is durable.
fn acknowledged(files: &BTreeMap<PathBuf, Vec<u8>>, generation: u64) -> usize {
    let Some(mark) = files.get(&path("hojas.lock")).filter(|mark| mark.len() >= 24) else { return 0 };
    let word = |at: usize| u64::from_le_bytes(mark[at..at + 8].try_into().unwrap());
    let valid = word(16) == xxh3_64_with_seed(&mark[..16], 0x6d65_7263_6164_6f31) && word(0) == generation;
    if valid { usize::try_from(word(8)).unwrap() } else { 0 }
}

/// The journal as one would read it with pen and paper.
#[derive(Default)]
struct Reference {
    header: Option<serde_json::Map<String, serde_json::Value>>,
    generation: u64,
    /// Of whole lines in order.
    changes: Vec<String>,
    /// Where they end.
    end: usize,
    /// Behind them is a valid line of a batch that was begun after the line that should be there was acknowledged.
    later: bool,
}

#[derive(serde::Deserialize)]
struct Line {
    seq: u64,
    #[serde(default)]
    lote: Option<u64>,
    cambios: Vec<Box<RawValue>>,
}

fn verified(line: &[u8], seed: u64) -> Option<&[u8]> {
    let (check, body) = line.split_at_checked(17)?;
    (check == format!("{:016x} ", xxh3_64_with_seed(body, seed)).as_bytes()).then_some(body)
}

impl Reference {
    fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut lines = bytes.split_inclusive(|b| *b == b'\n');
        let Some(first) = lines.next().and_then(|line| line.strip_suffix(b"\n")) else { return found };
        let header =
            verified(first, 0).and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
        let Some(header) = header else { return found };
        let store = u64::from_str_radix(header["store"].as_str().unwrap_or_default(), 16).unwrap_or_default();
        found.generation = header["generation"].as_u64().unwrap_or_default();
        found.header = header["arrays"].as_object().cloned();
        found.end = first.len() + 1;
        let mut batch = 0;
        let mut next = header["base"].as_u64().unwrap_or_default().saturating_add(1);
        for line in lines {
            let body = line.strip_suffix(b"\n").and_then(|line| verified(line, store));
            let Some(line_read) = body.and_then(|body| serde_json::from_slice::<Line>(body).ok()) else {
                break;
            };
            // one from the middle of a batch whose beginning is not there was left by a write that failed
            let lote = line_read.lote.unwrap_or(line_read.seq);
            if line_read.seq != next || (lote != next && batch != lote) {
                break;
            }
            batch = lote;
            found.changes.extend(line_read.cambios.iter().map(|change| change.get().to_owned()));
            found.end += line.len();
            next = next.saturating_add(1);
        }
        let rest = &bytes[found.end..];
        found.later = (0..rest.len()).any(|at| {
            let line = rest[at..].split(|b| *b == b'\n').next().unwrap_or_default();
            let line = verified(line, store).and_then(|body| serde_json::from_slice::<Line>(body).ok());
            line.is_some_and(|line| line.lote.unwrap_or(line.seq) > next)
        });
        found
    }
}
