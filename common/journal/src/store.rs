//! The applied state and where it came from: publishing, reading, and following the lines of other processes.

use super::{
    Model, Options, array,
    disk::{File, Inode, Volume},
    error::{Failure, StoreError},
    format::{Header, Hex, Image, Stop, scan_changes},
    mark::Mark,
};
use arc_swap::ArcSwap;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How often a reader looks again where compactions replace the journal under its eyes. Each look is a whole load.
const LOOKS: u32 = 50;

/// The names of a store's files, and the disk that they are on.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) volume: Volume,
    pub(super) dir: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) turn: PathBuf,
    pub(super) compact: PathBuf,
}

impl Paths {
    pub(super) fn new(volume: Volume, dir: &Path, name: &str) -> Self {
        let file = |extension: &str| dir.join(format!("{name}.{extension}"));
        Self {
            volume,
            dir: dir.to_owned(),
            journal: file("journal"),
            lock: file("lock"),
            turn: file("turn"),
            compact: file("compact"),
        }
    }

    pub(super) fn array(&self, collection: &str) -> PathBuf {
        self.dir.join(format!("{collection}.json"))
    }

    /// What says that a directory is being filled: see `whole`.
    pub(super) fn unfinished(dir: &Path) -> PathBuf {
        dir.join("migrar.pendiente")
    }

    /// The file that a rename will put in the place of `path`.
    pub(super) fn tmp(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        name.into()
    }
}

/// A consistent state, all of it durable.
pub(super) struct State<M> {
    pub(super) model: M,
    /// The last line that is applied.
    pub(super) seq: u64,
    /// Everything up to this mark is applied, and nothing beyond.
    pub(super) mark: Mark,
}

/// The journal file that [`State::mark`] speaks of.
pub(super) struct Source {
    pub(super) file: File,
    pub(super) inode: Inode,
    pub(super) header: Header,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) lines: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) compactions: AtomicU64,
}

/// What the readers, the writer's thread and a compaction share.
pub(super) struct Store<M: Model> {
    pub(super) paths: Paths,
    pub(super) options: Options,
    /// Read only through this handle: each thread that locks has its own, since a `flock` belongs to an open file.
    pub(super) mark: File,
    pub(super) state: ArcSwap<State<M>>,
    /// Held to publish. A std mutex, for microseconds: never while waiting for a file lock or a sync of a write.
    source: Mutex<Source>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) latch: Mutex<Option<Arc<str>>>,
    pub(super) closed: AtomicBool,
    pub(super) counters: Counters,
    pub(super) load: Duration,
}

impl<M: Model> Store<M> {
    pub(super) fn new(paths: Paths, options: Options, mark: File, source: Source, state: State<M>) -> Self {
        Self {
            paths,
            options,
            mark,
            changed: watch::channel(state.seq).0,
            state: ArcSwap::from_pointee(state),
            source: Mutex::new(source),
            latch: Mutex::new(None),
            closed: AtomicBool::new(false),
            counters: Counters::default(),
            load: Duration::ZERO,
        }
    }

    pub(super) fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn latched(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.latch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a state to the readers. `_held` proves that nobody else publishes.
    pub(super) fn publish(&self, _held: &Source, state: State<M>) {
        let seq = state.seq;
        self.state.store(Arc::new(state));
        self.changed.send_if_modified(|told| std::mem::replace(told, seq) != seq);
    }

    /// The state that includes every acknowledged write. The mark is read first: what it covers was durable then.
    pub(super) fn read(&self) -> Result<arc_swap::Guard<Arc<State<M>>>, StoreError> {
        let mark = self.read_mark()?;
        let state = self.state.load();
        if state.mark >= mark {
            return Ok(state);
        }
        let mut source = self.source();
        self.follow(&mut source)?;
        Ok(self.state.load())
    }

    fn read_mark(&self) -> Result<Mark, Failure> {
        Mark::read(&self.mark)?.ok_or_else(|| {
            Failure::damage(&self.paths.lock, None, "the mark in it is gone; was it overwritten?")
        })
    }

    /// Applies other processes' lines until the mark is reached.
    pub(super) fn follow(&self, source: &mut Source) -> Result<(), Failure> {
        for _ in 0..LOOKS {
            let mark = self.read_mark()?;
            let state = self.state.load_full();
            if state.mark >= mark {
                return Ok(());
            }
            if state.mark.generation == mark.generation {
                self.advance(source, &state, mark.length)?;
                let seen = self.state.load().mark.length;
                if seen < mark.length {
                    let reason =
                        format!("its lines end at byte {seen}, and {} were acknowledged", mark.length);
                    return Err(Failure::damage(&self.paths.journal, None, reason));
                }
                return Ok(());
            }
            if self.switch(source)? {
                continue;
            }
        }
        Err(Failure::damage(&self.paths.journal, None, "compactions replace it faster than it can be read"))
    }

    /// Applies the lines of the source file up to a length that is known to be durable.
    fn advance(&self, source: &Source, state: &State<M>, length: u64) -> Result<(), Failure> {
        let from = state.mark.length;
        let bytes = source.file.read_range(from, length)?;
        let mut model = state.model.clone();
        let (valid, seq) = replay(&mut model, source, &bytes, state.seq + 1, state.seq)?;
        let mark = Mark { length: from + valid, ..state.mark };
        self.publish(source, State { model, seq, mark });
        Ok(())
    }

    /// Goes over to the file that a compaction, here or elsewhere, has put in the journal's place. False: look again.
    ///
    /// The old file holds the rest of its generation, all of it durable: whoever replaced it had the lock and had first
    /// repaired its end.
    pub(super) fn switch(&self, source: &mut Source) -> Result<bool, Failure> {
        let old = self.state.load_full();
        let end = source.file.len()?;
        self.advance(source, &old, end)?;
        let state = self.state.load_full();

        let Some(next) = open_journal(&self.paths)? else {
            return Err(Failure::damage(&self.paths.journal, None, "it was removed while in use"));
        };
        if next.source.header.store != source.header.store {
            return Err(Failure::damage(
                &self.paths.journal,
                1,
                "another store's journal was put in its place",
            ));
        }
        let generation = next.source.header.generation;
        // The length comes before the mark: while the mark is of an older generation, nobody has appended to this file
        // (each writer sets the mark first), so that it holds what was synced before its rename and no more.
        let length = next.source.file.len()?;
        let length = match self.read_mark()? {
            mark if mark.generation == generation => mark.length,
            mark if mark.generation < generation => length,
            _ => return Ok(false),
        };
        let (mut model, applied) = if state.seq >= next.source.header.base {
            (state.model.clone(), state.seq)
        } else {
            let Some(model) = load_arrays(&self.paths, &next.source.header)? else { return Ok(false) };
            (model, next.source.header.base)
        };
        let bytes = next.source.file.read_range(next.body, length)?;
        let (valid, seq) = replay(&mut model, &next.source, &bytes, next.source.header.base + 1, applied)?;
        if seq < state.seq {
            let reason = format!("it ends with line {seq}, and {} was acknowledged", state.seq);
            return Err(Failure::damage(&self.paths.journal, None, reason));
        }
        let mark = Mark { generation, length: next.body + valid };
        *source = next.source;
        self.publish(source, State { model, seq, mark });
        Ok(true)
    }
}

/// A journal file, just opened.
pub(super) struct Opened {
    pub(super) source: Source,
    /// Where the first line begins.
    pub(super) body: u64,
}

/// The journal that the path names now, or `None` where there is none.
pub(super) fn open_journal(paths: &Paths) -> Result<Option<Opened>, Failure> {
    if !paths.volume.exists(&paths.journal)? {
        return Ok(None);
    }
    let file = paths.volume.open(&paths.journal)?;
    // while it is open, it says that this store is in use: see `whole`
    if !file.share()? {
        let moving = io::Error::new(
            io::ErrorKind::ResourceBusy,
            "`mercado migrar` is reading this store; start again when that has ended",
        );
        return Err(Failure::io(&paths.journal, moving));
    }
    opened(paths, file).map(Some)
}

/// The same, only to look at it.
pub(super) fn look_at_journal(paths: &Paths) -> Result<Option<Opened>, Failure> {
    if paths.volume.exists(&paths.journal)? {
        opened(paths, paths.volume.open_to_read(&paths.journal)?).map(Some)
    } else {
        Ok(None)
    }
}

fn opened(paths: &Paths, file: File) -> Result<Opened, Failure> {
    let inode = file.inode()?;
    // A header is a few hundred bytes; this is room for many collections.
    let (header, body) =
        Header::decode(&file.read_range(0, 64 << 10)?).map_err(|e| Failure::damage(&paths.journal, 1, e))?;
    Ok(Opened { source: Source { file, inode, header }, body })
}

/// The model of a header's arrays; `None` where the files have other bytes, since a compaction has just replaced them.
fn load_arrays<M: Model>(paths: &Paths, header: &Header) -> Result<Option<M>, Failure> {
    let mut model = M::default();
    for collection in M::COLLECTIONS {
        let Some(entry) = header.arrays.get(*collection) else { continue };
        let path = paths.array(collection);
        let mut found = false;
        for path in [&path, &Paths::tmp(&path)] {
            let Some(bytes) = paths.volume.read(path)? else { continue };
            if Image::of(&bytes) == entry.now {
                array::load(&mut model, collection, path, &bytes)?;
                found = true;
                break;
            }
        }
        if !found {
            return Ok(None);
        }
    }
    Ok(Some(model))
}

/// Applies lines, all of which must be good, the first being number `next`; those up to `applied` are in the model
/// already. Returns the bytes of the lines and the number of the last.
pub(super) fn replay<M: Model>(
    model: &mut M,
    source: &Source,
    bytes: &[u8],
    next: u64,
    applied: u64,
) -> Result<(u64, u64), Failure> {
    let scan = scan_changes(bytes, source.header.store, next, |seq, changes: Vec<M::Change>| {
        if seq > applied {
            changes.iter().for_each(|change| model.apply(change));
        }
    });
    match scan.stop {
        Some(stop) => Err(damaged(source, &stop)),
        None => Ok((scan.valid as u64, scan.next - 1)),
    }
}

/// A line that was acknowledged and is not what it was.
pub(super) fn damaged(source: &Source, stop: &Stop) -> Failure {
    let reason = format!(
        "line {} was acknowledged and is damaged: {}; restore the directory from a copy",
        stop.seq, stop.reason
    );
    Failure::damage(source.file.path(), source.header.line_of(stop.seq), reason)
}

/// A new store's identity.
pub(super) fn new_store_id() -> Hex {
    Hex(rand::random())
}
