//! `mercado journal check|dump DIR`: looks at a store's files and changes nothing, takes no lock, makes no file. It knows
//! no model, so it runs on any store; of a store in use it may see a write that is under way as a torn tail.

use super::{
    array,
    disk::Volume,
    error::Failure,
    format::{Header, Image, Line, Scan, scan},
    mark::Mark,
    open::refuse_unfinished,
    store::{Paths, damaged, look_at_journal},
};
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
    /// The first damage of each file. Empty: the store is sound.
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

/// Where an array file's bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are those that the journal's header names.
    Journal,
    /// A person edited them since.
    Edited,
    /// A compaction was cut short: they are in the `.tmp` file, which the next open renames.
    Pending,
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
    /// Bytes that an unfinished write left after them; the next open cuts them.
    pub torn: u64,
    /// How many bytes are known to have been acknowledged; none after a power failure or in a copy.
    pub acknowledged: Option<u64>,
}

/// Something that makes an open refuse.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where one is to blame.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
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
                Origin::Journal => "",
                Origin::Edited => ", edited since the last stop",
                Origin::Pending => ", waits in its .tmp file for the next start",
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
            let line = damage.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(f, "DAMAGED {}{line}: {}", damage.file.display(), damage.reason)?;
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
pub fn check(dir: &Path, name: &str) -> io::Result<Report> {
    check_on(Volume::real(), dir, name)
}

/// The same on any disk.
pub(super) fn check_on(volume: Volume, dir: &Path, name: &str) -> io::Result<Report> {
    let paths = Paths::new(volume, dir, name);
    let mut report = Report { name: name.to_owned(), ..Report::default() };
    report.journal.file.clone_from(&paths.journal);
    if let Err(failure) = look(&paths, &mut report) {
        report.note(failure)?;
    }
    Ok(report)
}

impl Report {
    /// Keeps damage; what kept us from looking is the caller's.
    fn note(&mut self, failure: Failure) -> io::Result<()> {
        match failure {
            Failure::Damage { file, line, reason } => self.damage.push(Damage { file, line, reason }),
            Failure::Io { path, source } => {
                return Err(io::Error::new(source.kind(), format!("{}: {source}", path.display())));
            }
        }
        Ok(())
    }
}

fn look(paths: &Paths, report: &mut Report) -> Result<(), Failure> {
    refuse_unfinished(paths)?;
    // The mark comes first: of a store in use, the lines up to it are then there.
    let mark = if paths.volume.exists(&paths.lock)? {
        Mark::read(&paths.volume.open_to_read(&paths.lock)?)?
    } else {
        None
    };
    let Some(opened) = look_at_journal(paths)? else {
        return Err(Failure::damage(&paths.journal, None, "there is no such journal"));
    };
    let (source, header) = (&opened.source, &opened.source.header);
    for collection in header.arrays.keys() {
        if let Err(failure) = look_at_array(paths, header, collection, report) {
            report.note(failure).map_err(|e| Failure::io(&paths.array(collection), e))?;
        }
    }
    let bytes = source.file.read_range(opened.body, source.file.len()?)?;
    let mut changes = 0;
    let found: Scan = scan(&bytes, header.store, header.base + 1, |line: Line<Vec<&RawValue>>| {
        changes += line.cambios.len() as u64;
    });
    let lines = found.next - 1 - header.base;
    let journal = &mut report.journal;
    journal.generation = header.generation;
    journal.lines = lines;
    journal.changes = changes;
    journal.seqs = (lines > 0).then(|| (header.base + 1, found.next - 1));
    journal.bytes = opened.body + found.valid as u64;
    journal.acknowledged = mark.filter(|mark| mark.generation == header.generation).map(|mark| mark.length);
    if let Some(mark) = mark.filter(|mark| mark.generation > header.generation) {
        let reason = format!("generation {} was acknowledged, and the journal is older", mark.generation);
        return Err(Failure::damage(&paths.lock, None, reason));
    }
    let acknowledged = journal.acknowledged.unwrap_or_default();
    if journal.acknowledged.is_some_and(|length| length < opened.body) {
        return Err(Failure::damage(&paths.lock, None, "its mark is inside of the journal's header"));
    }
    match &found.stop {
        Some(stop) if !stop.torn || journal.bytes < acknowledged => return Err(damaged(source, stop)),
        Some(_) => journal.torn = (bytes.len() - found.valid) as u64,
        None if journal.bytes < acknowledged => {
            let reason =
                format!("it ends at byte {}, and {acknowledged} bytes were acknowledged", journal.bytes);
            return Err(Failure::damage(&paths.journal, None, reason));
        }
        None => {}
    }
    let edited = report.arrays.iter().find(|array| array.origin == Origin::Edited);
    if let Some(array) = edited.filter(|_| lines > 0) {
        let reason = format!("it was edited while the journal holds {lines} changes that are not in it");
        return Err(Failure::damage(&array.file, None, reason));
    }
    Ok(())
}

fn look_at_array(
    paths: &Paths,
    header: &Header,
    collection: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    let file = paths.array(collection);
    let Some(entry) = header.arrays.get(collection) else { return Ok(()) };
    let mut bytes = paths.volume.read(&file)?;
    let (image, mut origin) = (bytes.as_deref().map(Image::of), Origin::Journal);
    if image != Some(entry.now) {
        let tmp = paths.volume.read(&Paths::tmp(&file))?.filter(|tmp| Image::of(tmp) == entry.now);
        if tmp.is_some() && image.is_some() && image != entry.before {
            return Err(Failure::damage(
                &file,
                None,
                "it was edited while its .tmp file waited to take its place",
            ));
        }
        origin = if tmp.is_some() { Origin::Pending } else { Origin::Edited };
        bytes = tmp.or(bytes);
    }
    let Some(bytes) = bytes else {
        return Err(Failure::damage(&file, None, "it is missing, and the journal builds on it"));
    };
    let mut records = 0;
    let read = array::each(&file, &bytes, |_| {
        records += 1;
        Ok(())
    });
    report.arrays.push(ArrayReport { file, records, bytes: bytes.len() as u64, origin });
    read
}

/// Prints a store's journal for a person to read: the header, then each line's number and, below it, its changes.
///
/// # Errors
/// The journal cannot be read, or `out` not written. Damage is printed where it is met, and is an error as well.
pub fn dump(dir: &Path, name: &str, out: &mut dyn io::Write) -> io::Result<()> {
    dump_on(Volume::real(), dir, name, out)
}

/// The same on any disk.
pub(super) fn dump_on(volume: Volume, dir: &Path, name: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let paths = Paths::new(volume, dir, name);
    let opened = look_at_journal(&paths).map_err(io::Error::other)?;
    let opened = opened.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("{}: there is no such journal", paths.journal.display()),
        )
    })?;
    let (source, header) = (&opened.source, &opened.source.header);
    writeln!(out, "generation {}, after line {}", header.generation, header.base)?;
    for (collection, entry) in &header.arrays {
        writeln!(
            out,
            "  {collection}.json: {} bytes, xxh3 {}",
            entry.now.bytes,
            String::from(entry.now.xxh3)
        )?;
    }
    let read = || source.file.read_range(opened.body, source.file.len()?);
    let bytes = read().map_err(io::Error::other)?;
    let mut written = Ok(());
    let found = scan(&bytes, header.store, header.base + 1, |line: Line<Vec<&RawValue>>| {
        if written.is_ok() {
            written = print(out, &line);
        }
    });
    written?;
    match found.stop {
        None => Ok(()),
        Some(stop) if stop.torn => {
            writeln!(out, "line {}: a write that did not finish ({})", stop.seq, stop.reason)
        }
        Some(stop) => {
            let failure = damaged(source, &stop);
            writeln!(out, "DAMAGED {failure}")?;
            Err(io::Error::other(failure))
        }
    }
}

fn print(out: &mut dyn io::Write, line: &Line<Vec<&RawValue>>) -> io::Result<()> {
    writeln!(out, "line {}", line.seq)?;
    for change in &line.cambios {
        writeln!(out, "  {change}")?;
    }
    Ok(())
}
