//! The one reader of a store's files. [`load`] gives every record to a [`Sink`] and returns what it [`Found`]; it changes
//! nothing and refuses nothing. What follows from that is the policy of each of its four users:
//!
//! | user | policy |
//! | --- | --- |
//! | `open` | damage refuses the start; an edited array is taken where the journal has no lines |
//! | `store`, which follows other processes | an array that is not the header's was just replaced: look again |
//! | `transfer`, which reads a store as a whole | damage and edits are refused; lines after the mark count |
//! | `check` | all damage is reported |

use super::{
    array,
    error::{Damage, Failure},
    format::{Fingerprint, Header, Stop, scan},
    journal_file::JournalFile,
    mark::Mark,
    model::Model,
    paths::Paths,
    progress::Progress,
};
use serde::Deserialize;
use std::path::PathBuf;

/// Takes what is read.
pub(super) trait Sink {
    /// The changes of a line, as this sink wants them.
    type Changes<'l>: Deserialize<'l>;

    /// An element of a collection's array: its JSON text. The error is the reason why it is wrong.
    fn element(&mut self, collection: &str, element: &str) -> Result<(), String>;

    /// A good line, in order.
    fn line(&mut self, seq: u64, changes: Self::Changes<'_>);
}

/// Reads into a model.
pub(super) struct IntoModel<'m, M> {
    pub(super) model: &'m mut M,
    /// The last line that is in the model already.
    pub(super) applied: u64,
}

impl<M: Model> Sink for IntoModel<'_, M> {
    type Changes<'l> = Vec<M::Change>;

    fn element(&mut self, collection: &str, element: &str) -> Result<(), String> {
        self.model.load(collection, element)
    }

    fn line(&mut self, seq: u64, changes: Vec<M::Change>) {
        if seq > self.applied {
            changes.iter().for_each(|change| self.model.apply(change));
        }
    }
}

/// How far the journal is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upto {
    /// To the mark: what comes after it may be under way. Where an array was edited, to the end.
    Mark,
    /// To this byte.
    Byte(u64),
    /// To the end of the file.
    End,
}

/// What the files of a store hold.
pub(super) struct Found<'c> {
    /// The mark's length, where the mark is of this journal.
    pub(super) marked: Option<u64>,
    /// How many bytes of the journal were acknowledged for certain.
    pub(super) acknowledged: u64,
    pub(super) arrays: Vec<FoundArray<'c>>,
    pub(super) lines: FoundLines,
    /// Everything that is wrong, in the order: mark, arrays, journal.
    pub(super) damage: Vec<Damage>,
}

/// One array file.
pub(super) struct FoundArray<'c> {
    pub(super) collection: &'c str,
    pub(super) file: PathBuf,
    pub(super) origin: Origin,
    /// Its elements, up to the first that is wrong.
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Its bytes, where the origin is [`Origin::Edited`].
    pub(super) edit: Vec<u8>,
}

/// Where the bytes of an array come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are those that the journal's header names.
    Journal,
    /// They are in the `.tmp` file: a compaction was cut short, and the next open renames it.
    Pending,
    /// As [`Pending`](Self::Pending), and somebody edited the array since.
    Disputed,
    /// A person edited the array since.
    Edited,
    /// The header does not know the collection, and there is no file.
    New,
    /// The header knows it, and there is no file.
    Missing,
}

/// The lines of a journal.
pub(super) struct FoundLines {
    /// Where the last good one ends.
    pub(super) end: u64,
    /// The number of the last good one.
    pub(super) last: u64,
    /// Bytes that were read after it, where the reader stopped.
    pub(super) rest: u64,
    /// Why the reader stopped before the end.
    pub(super) stop: Option<Stop>,
}

impl Found<'_> {
    /// The first damage as an error.
    pub(super) fn refuse_damage(&mut self) -> Result<(), Failure> {
        if self.damage.is_empty() { Ok(()) } else { Err(Failure::Damage(self.damage.remove(0))) }
    }

    /// The first array that somebody edited.
    pub(super) fn edited(&self) -> Option<&FoundArray<'_>> {
        self.arrays.iter().find(|array| array.origin == Origin::Edited)
    }
}

/// Reads the arrays of `collections` and the journal's lines.
///
/// # Errors
/// Only those of the disk.
pub(super) fn load<'c, S: Sink>(
    paths: &Paths,
    journal: &JournalFile,
    mark: Option<Mark>,
    collections: &[&'c str],
    upto: Upto,
    sink: &mut S,
) -> Result<Found<'c>, Failure> {
    let name = paths.journal.file_stem().unwrap_or_default().to_string_lossy();
    let mut progress = Progress::logged(&name);
    let mut damage = Vec::new();
    let (marked, wrong) = judge_mark(paths, journal, mark);
    damage.extend(wrong);
    let mut arrays = Vec::new();
    for collection in collections {
        let (array, wrong) = load_array(paths, &journal.header, collection, sink, &mut progress)?;
        arrays.push(array);
        damage.extend(wrong);
    }
    let acknowledged = marked.unwrap_or(journal.body);
    let edited = arrays.iter().find(|array| array.origin == Origin::Edited);
    let to = match upto {
        Upto::Byte(to) => to,
        Upto::Mark if edited.is_none() => acknowledged,
        Upto::Mark | Upto::End => journal.file.len()?,
    };
    let base = journal.header.base;
    let lines = load_lines(journal, journal.body..to, base + 1, sink, &mut progress)?;
    damage.extend(judge_lines(paths, journal, acknowledged, &lines)?);
    if let Some(array) = edited.filter(|_| lines.last > base) {
        damage.push(edited_beside_lines(paths, array, lines.last - base));
    }
    Ok(Found { marked, acknowledged, arrays, lines, damage })
}

/// A journal whose header knows a collection that the model does not.
pub(super) fn refuse_unknown<M: Model>(paths: &Paths, header: &Header) -> Result<(), Failure> {
    match header.arrays.keys().find(|name| !M::COLLECTIONS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let reason =
                format!("it holds a collection {name:?} that this version does not know; start a newer one");
            Err(Failure::damage(&paths.journal, 1, reason))
        }
    }
}

/// How much of the journal was acknowledged, where the mark says so, or what is wrong with the mark.
fn judge_mark(paths: &Paths, journal: &JournalFile, mark: Option<Mark>) -> (Option<u64>, Option<Damage>) {
    let wrong = |reason| Damage::of(&paths.lock, None, reason);
    let generation = journal.header.generation;
    match mark {
        Some(mark) if mark.generation == generation && mark.length < journal.body => {
            let reason = "its mark is inside of the journal's header, so it is another store's; if this directory was \
                          restored from a copy, remove this file";
            (None, Some(wrong(reason)))
        }
        Some(mark) if mark.generation == generation => (Some(mark.length), None),
        Some(mark) if mark.generation > generation => {
            let reason = "it speaks of a newer journal than there is; if this directory was restored from a copy, \
                          remove this file";
            (None, Some(wrong(reason)))
        }
        _ => (None, None),
    }
}

fn load_array<'c, S: Sink>(
    paths: &Paths,
    header: &Header,
    collection: &'c str,
    sink: &mut S,
    progress: &mut Progress<'_>,
) -> Result<(FoundArray<'c>, Option<Damage>), Failure> {
    let file = paths.array(collection);
    let own = paths.volume.read(&file)?;
    let print = own.as_deref().map(Fingerprint::of);
    let entry = header.arrays.get(collection);
    let pending = match entry {
        Some(entry) if print != Some(entry.now) => {
            paths.volume.read(&Paths::tmp(&file))?.filter(|tmp| Fingerprint::of(tmp) == entry.now)
        }
        _ => None,
    };
    let (origin, bytes) = match (entry, pending, own) {
        (Some(entry), Some(tmp), _) if print.is_none() || print == entry.before => (Origin::Pending, tmp),
        (_, Some(tmp), _) => (Origin::Disputed, tmp),
        (Some(entry), None, Some(own)) if print == Some(entry.now) => (Origin::Journal, own),
        (_, None, Some(own)) => (Origin::Edited, own),
        (Some(_), None, None) => (Origin::Missing, Vec::new()),
        (None, None, None) => (Origin::New, Vec::new()),
    };
    progress.step(|| format!("{} is read", file.display()));
    let from =
        if matches!(origin, Origin::Pending | Origin::Disputed) { Paths::tmp(&file) } else { file.clone() };
    let mut records = 0;
    let read = match origin {
        Origin::New | Origin::Missing => Ok(()),
        _ => array::each(&from, &bytes, |element| {
            records += 1;
            progress.record(|| format!("{records} records of {} are read", from.display()));
            sink.element(collection, element)
        }),
    };
    let damage = match (origin, read) {
        (Origin::Missing, _) => {
            let reason = "it is missing, and the journal builds on it; restore the directory from a copy";
            Some(Damage::of(&file, None, reason))
        }
        (Origin::Disputed, _) => {
            let reason = format!(
                "it was edited while {} waited to take its place after an unclean stop; put the file back as it was, \
                 or rename the other over it",
                from.display()
            );
            Some(Damage::of(&file, None, reason))
        }
        (_, Err(Failure::Damage(damage))) => Some(damage),
        (_, Err(failure @ Failure::Io { .. })) => return Err(failure),
        (_, Ok(())) => None,
    };
    let length = bytes.len() as u64;
    let edit = if origin == Origin::Edited { bytes } else { Vec::new() };
    Ok((FoundArray { collection, file, origin, records, bytes: length, edit }, damage))
}

/// Reads the lines in a range of a journal's bytes, the first being number `next`.
pub(super) fn load_lines<S: Sink>(
    journal: &JournalFile,
    range: std::ops::Range<u64>,
    next: u64,
    sink: &mut S,
    progress: &mut Progress<'_>,
) -> Result<FoundLines, Failure> {
    let bytes = journal.file.read_range(range.start, range.end)?;
    let path = journal.file.path();
    let found = scan::<S::Changes<'_>>(&bytes, journal.header.store, next, |line| {
        progress.record(|| format!("line {} of {} is read", line.seq, path.display()));
        sink.line(line.seq, line.cambios);
    });
    let rest = if found.stop.is_some() { bytes.len() - found.valid } else { 0 };
    Ok(FoundLines {
        end: range.start + found.valid as u64,
        last: found.next - 1,
        rest: rest as u64,
        stop: found.stop,
    })
}

/// As [`load_lines`], into a model, for a range in which every line is durable: a line that is not good is damage.
pub(super) fn replay<M: Model>(
    into: &mut IntoModel<'_, M>,
    journal: &JournalFile,
    range: std::ops::Range<u64>,
    next: u64,
) -> Result<FoundLines, Failure> {
    let lines = load_lines(journal, range, next, into, &mut Progress::logged(M::NAME))?;
    match &lines.stop {
        Some(stop) => Err(journal.damaged(stop).into()),
        None => Ok(lines),
    }
}

/// What is wrong with lines of which so many bytes were acknowledged. A torn end after those bytes is no damage.
fn judge_lines(
    paths: &Paths,
    journal: &JournalFile,
    acknowledged: u64,
    lines: &FoundLines,
) -> Result<Option<Damage>, Failure> {
    let length = journal.file.len()?;
    let damage = match &lines.stop {
        _ if length < acknowledged => {
            let reason = format!(
                "it ends at byte {length}, and {acknowledged} bytes were acknowledged; restore it, or if this directory is \
                 a copy that was made while the store was in use, remove {} to go on without the missing changes",
                paths.lock.display()
            );
            Some(Damage::of(&paths.journal, None, reason))
        }
        Some(stop) if !stop.torn || lines.end < acknowledged => Some(journal.damaged(stop)),
        None if lines.end < acknowledged => {
            let reason = "acknowledged lines are not there any more; restore the directory from a copy";
            Some(Damage::of(&paths.journal, journal.header.line_of(lines.last + 1), reason))
        }
        _ => None,
    };
    Ok(damage)
}

/// An array that was edited after an unclean stop: the journal has changes that its editor did not see, and would undo
/// the edit of every record in them.
pub(super) fn edited_beside_lines(paths: &Paths, array: &FoundArray<'_>, lines: u64) -> Damage {
    let reason = format!(
        "it was edited while {} holds {lines} changes that are not in it yet, after an unclean stop; put the file back \
         as it was, start and stop the service, and edit it then; or remove the journal to lose those changes",
        paths.journal.display()
    );
    Damage::of(&array.file, None, reason)
}
