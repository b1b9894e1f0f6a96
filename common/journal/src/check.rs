//! Looks at a store's files. It changes nothing, takes no lock and makes no file. It knows no model, so it runs on any store. Of a
//! store in use it may see a write that is half done, and take it for a torn end.

use super::{
    disk::Volume,
    error::Failure,
    hide::hide,
    journal_file::JournalFile,
    load::{Found, FoundLines, Sink, Upto, load, load_lines},
    mark::Mark,
    options::Words,
    paths::Paths,
    progress::Progress,
};
pub use super::{error::Damage, load::Origin};
use serde_json::value::RawValue;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// What [`check`] found; its `Display` is the command's output.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The store's name.
    pub name: String,
    /// The array files, by name.
    pub arrays: Vec<ArrayReport>,
    /// The journal file.
    pub journal: JournalReport,
    /// What makes an open refuse, at most one of each file. Empty: the store is sound.
    pub damage: Vec<Damage>,
}

/// One array file.
#[derive(Debug, Clone)]
pub struct ArrayReport {
    /// The file.
    pub file: PathBuf,
    /// Elements of its array, up to the first damage.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// The journal file.
#[derive(Debug, Clone, Default)]
pub struct JournalReport {
    /// The file.
    pub file: PathBuf,
    /// How often it was replaced.
    pub generation: u64,
    /// Good lines, without the header.
    pub lines: u64,
    /// The numbers of the first and last good line.
    pub seqs: Option<(u64, u64)>,
    /// Changes in them.
    pub changes: u64,
    /// Length of the header and the good lines.
    pub bytes: u64,
    /// Bytes that an unfinished write left after the good lines; the next open cuts them. 0 where something is damaged.
    pub torn: u64,
    /// How many bytes are known to have been acknowledged; none after a power failure or in a copy.
    pub acknowledged: Option<u64>,
}

impl Report {
    /// Whether an open would find no damage. (A model may still refuse a record's fields.)
    #[must_use]
    pub fn sound(&self) -> bool {
        self.damage.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for array in &self.arrays {
            let origin = match array.origin {
                Origin::Journal | Origin::New | Origin::Missing => "",
                Origin::Edited => ", edited since the last stop",
                Origin::Pending | Origin::Disputed => ", waits in its .tmp file for the next start",
            };
            writeln!(
                f,
                "{}: {} records, {} bytes{origin}",
                array.file.display(),
                array.records,
                array.bytes
            )?;
        }
        let journal = &self.journal;
        write!(f, "{}: generation {}, ", journal.file.display(), journal.generation)?;
        match journal.seqs {
            Some((first, last)) => write!(f, "lines {first} to {last} with {} changes", journal.changes)?,
            None => f.write_str("no lines")?,
        }
        write!(f, ", {} bytes", journal.bytes)?;
        if journal.torn > 0 {
            write!(f, ", then {} bytes of a write that did not finish", journal.torn)?;
        }
        writeln!(f)?;
        for damage in &self.damage {
            writeln!(f, "DAMAGED {damage}")?;
        }
        write!(f, "{}: {}", self.name, if self.sound() { "sound" } else { "damaged" })
    }
}

/// The names of the stores in a directory, sorted.
///
/// # Errors
/// The directory cannot be read.
pub fn stores(dir: &Path) -> io::Result<Vec<String>> {
    let mut paths =
        fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let journals = paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "journal"));
    Ok(journals.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
}

/// Reads and verifies every file of one store.
///
/// # Errors
/// A file cannot be read; what is wrong inside one is in the report.
pub fn check(dir: &Path, name: &str, words: Words) -> io::Result<Report> {
    check_on(Volume::real(), dir, name, words)
}

/// The same on any disk.
pub(super) fn check_on(volume: Volume, dir: &Path, name: &str, words: Words) -> io::Result<Report> {
    let paths = Paths::new(volume, words, dir, name);
    let mut report = Report { name: name.to_owned(), ..Report::default() };
    report.journal.file.clone_from(&paths.journal);
    match look(&paths, &mut report) {
        Ok(()) => {}
        Err(Failure::Damage(damage)) => report.damage.push(damage),
        Err(Failure::Io { path, source }) => {
            return Err(io::Error::new(source.kind(), format!("{}: {source}", path.display())));
        }
    }
    Ok(report)
}

/// Counts what it is given.
#[derive(Default)]
struct Counting {
    changes: u64,
}

impl Sink for Counting {
    type Changes<'l> = Vec<&'l RawValue>;

    fn element(&mut self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn line(&mut self, _: u64, changes: Vec<&RawValue>) {
        self.changes += changes.len() as u64;
    }
}

fn look(paths: &Paths, report: &mut Report) -> Result<(), Failure> {
    paths.refuse_unfinished()?;
    // The mark is read first: in a store that is in use, the lines up to it are then there when they are read.
    let mark = Mark::look(paths)?;
    let Some(journal) = JournalFile::look(paths)? else {
        return Err(Failure::damage(&paths.journal, None, "there is no such journal"));
    };
    let collections: Vec<&str> = journal.header.arrays.keys().map(String::as_str).collect();
    let mut counting = Counting::default();
    let found = load(paths, &journal, mark, &collections, Upto::End, &mut counting)?;
    report.take(&journal, found, counting.changes);
    Ok(())
}

impl Report {
    fn take(&mut self, journal: &JournalFile, found: Found<'_>, changes: u64) {
        let Found { marked, arrays, lines, damage, .. } = found;
        for array in arrays {
            let (file, records, bytes, origin) = (array.file, array.records, array.bytes, array.origin);
            if origin != Origin::Missing {
                self.arrays.push(ArrayReport { file, records, bytes, origin });
            }
        }
        let (first, count) = (journal.header.base + 1, lines.last - journal.header.base);
        self.journal.generation = journal.header.generation;
        self.journal.lines = count;
        self.journal.changes = changes;
        self.journal.seqs = (count > 0).then_some((first, lines.last));
        self.journal.bytes = lines.end;
        self.journal.acknowledged = marked;
        self.journal.torn = if damage.is_empty() { lines.rest } else { 0 };
        self.damage = damage;
    }
}

/// Prints a store's journal for a person to read: the header, then each line's number and, below it, its changes. Of members
/// that are called as one of `secrets` the value is printed as `***`.
///
/// # Errors
/// The journal cannot be read, or `out` not written. Damage is printed where it is met, and is an error as well.
pub fn dump(dir: &Path, name: &str, secrets: &[&str], out: &mut dyn io::Write) -> io::Result<()> {
    dump_on(Volume::real(), dir, name, secrets, out)
}

/// Prints the lines that it is given.
struct Printing<'o> {
    out: &'o mut dyn io::Write,
    secrets: &'o [&'o str],
    printed: io::Result<()>,
}

impl Sink for Printing<'_> {
    type Changes<'l> = Vec<&'l RawValue>;

    fn element(&mut self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn line(&mut self, seq: u64, changes: Vec<&RawValue>) {
        if self.printed.is_ok() {
            self.printed = print(self.out, seq, &changes, self.secrets);
        }
    }
}

fn print(out: &mut dyn io::Write, seq: u64, changes: &[&RawValue], secrets: &[&str]) -> io::Result<()> {
    writeln!(out, "line {seq}")?;
    changes.iter().try_for_each(|change| writeln!(out, "  {}", hide(change.get(), secrets)))
}

/// The same on any disk.
pub(super) fn dump_on(
    volume: Volume,
    dir: &Path,
    name: &str,
    secrets: &[&str],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let paths = Paths::new(volume, Words::default(), dir, name);
    let Some(journal) = JournalFile::look(&paths).map_err(io::Error::other)? else {
        let what = format!("{}: there is no such journal", paths.journal.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    };
    let header = &journal.header;
    writeln!(out, "generation {}, after line {}", header.generation, header.base)?;
    for (collection, entry) in &header.arrays {
        let (bytes, hash) = (entry.now.bytes, String::from(entry.now.xxh3));
        writeln!(out, "  {collection}.json: {bytes} bytes, xxh3 {hash}")?;
    }
    let mut printing = Printing { out, secrets, printed: Ok(()) };
    let FoundLines { stop, .. } = journal
        .file
        .len()
        .and_then(|length| {
            let range = journal.body..length;
            load_lines(&journal, range, header.base + 1, &mut printing, &mut Progress::logged(name))
        })
        .map_err(io::Error::other)?;
    printing.printed?;
    match stop {
        None => Ok(()),
        Some(stop) if stop.torn => {
            writeln!(out, "line {}: a write that did not finish ({})", stop.seq, stop.reason)
        }
        Some(stop) => {
            let damage = journal.damaged(&stop);
            writeln!(out, "DAMAGED {damage}")?;
            Err(io::Error::other(damage))
        }
    }
}
