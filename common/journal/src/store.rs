//! The applied state and where it came from: publishing, reading, and following the lines of other processes.

use super::{
    budget::Counted,
    disk::File,
    error::{Damage, Failure, StoreError},
    format::Hex,
    journal_file::JournalFile,
    load::{IntoModel, Origin, Upto, load, replay},
    mark::Mark,
    model::Model,
    options::Options,
    paths::Paths,
    stats::Counters,
};
use arc_swap::ArcSwap;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::watch;

/// How often a reader looks again where compactions replace the journal while it reads. Each look reads the whole store.
const LOOKS: u32 = 50;

/// A consistent state, all of it durable.
pub(super) struct State<M> {
    pub(super) model: M,
    /// The last line that is applied.
    pub(super) seq: u64,
    /// Everything up to this mark is applied, and nothing beyond.
    pub(super) mark: Mark,
}

/// What the readers, the writer's thread and a compaction share.
pub(super) struct Store<M: Model> {
    pub(super) paths: Paths,
    pub(super) options: Options,
    /// Read only through this handle: each thread that locks has its own, since a `flock` belongs to an open file.
    pub(super) mark: File,
    pub(super) state: ArcSwap<State<M>>,
    /// The journal file that [`State::mark`] speaks of. Held to publish. A std mutex, for microseconds: never while waiting for
    /// a file lock or a sync of a write.
    source: Mutex<JournalFile>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) latch: Mutex<Option<Arc<str>>>,
    pub(super) closed: AtomicBool,
    pub(super) counters: Counters,
    pub(super) counted: Counted,
    pub(super) load: Duration,
}

impl<M: Model> Store<M> {
    pub(super) fn new(
        paths: Paths,
        options: Options,
        mark: File,
        source: JournalFile,
        state: State<M>,
    ) -> Self {
        let counted = Counted::new(options.budget.clone(), state.model.memory());
        Self {
            paths,
            options,
            mark,
            counted,
            changed: watch::channel(state.seq).0,
            state: ArcSwap::from_pointee(state),
            source: Mutex::new(source),
            latch: Mutex::new(None),
            closed: AtomicBool::new(false),
            counters: Counters::default(),
            load: Duration::ZERO,
        }
    }

    pub(super) fn source(&self) -> MutexGuard<'_, JournalFile> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn latched(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.latch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a state to the readers. `_held` proves that nobody else publishes.
    pub(super) fn publish(&self, _held: &JournalFile, state: State<M>) {
        let seq = state.seq;
        self.counted.set(state.model.memory());
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
    pub(super) fn follow(&self, source: &mut JournalFile) -> Result<(), Failure> {
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
    fn advance(&self, source: &JournalFile, state: &State<M>, length: u64) -> Result<(), Failure> {
        let mut model = state.model.clone();
        let mut into = IntoModel { model: &mut model, applied: state.seq };
        let lines = replay(&mut into, source, state.mark.length..length, state.seq + 1)?;
        let mark = Mark { length: lines.end, ..state.mark };
        self.publish(source, State { model, seq: lines.last, mark });
        Ok(())
    }

    /// Goes over to the file that a compaction, here or elsewhere, has put in the journal's place. False: look again.
    ///
    /// The old file holds the rest of its generation, and all of that is durable: the process that replaced it had the lock and
    /// had repaired the end first.
    pub(super) fn switch(&self, source: &mut JournalFile) -> Result<bool, Failure> {
        let old = self.state.load_full();
        let end = source.file.len()?;
        self.advance(source, &old, end)?;
        let state = self.state.load_full();

        let Some(next) = JournalFile::open(&self.paths)? else {
            return Err(Failure::damage(&self.paths.journal, None, "it was removed while in use"));
        };
        if next.header.store != source.header.store {
            let reason = "another store's journal was put in its place";
            return Err(Failure::damage(&self.paths.journal, 1, reason));
        }
        let generation = next.header.generation;
        // The length is read before the mark. While the mark is of an older generation, nobody has appended to this file, since
        // each writer sets the mark first; so the file holds what was synced before its rename, and no more.
        let length = next.file.len()?;
        let length = match self.read_mark()? {
            mark if mark.generation == generation => mark.length,
            mark if mark.generation < generation => length,
            _ => return Ok(false),
        };
        let Some((model, end, seq)) = self.load(&next, &state, length)? else { return Ok(false) };
        if seq < state.seq {
            let reason = format!("it ends with line {seq}, and {} was acknowledged", state.seq);
            return Err(Failure::damage(&self.paths.journal, None, reason));
        }
        let mark = Mark { generation, length: end };
        *source = next;
        self.publish(source, State { model, seq, mark });
        Ok(true)
    }

    /// Reads a newer journal up to a length: the model, where the last line ends, and its number. `None` where an array has
    /// other bytes than the header says, since a further compaction has just replaced it. The arrays are not read where the
    /// state has all of their lines already.
    fn load(
        &self,
        next: &JournalFile,
        state: &State<M>,
        length: u64,
    ) -> Result<Option<(M, u64, u64)>, Failure> {
        let base = next.header.base;
        let (mut model, applied, arrays) = if state.seq >= base {
            (state.model.clone(), state.seq, &[] as &[&str])
        } else {
            (M::default(), base, M::COLLECTIONS)
        };
        let known: Vec<&str> =
            arrays.iter().copied().filter(|c| next.header.arrays.contains_key(*c)).collect();
        let mut into = IntoModel { model: &mut model, applied };
        let mut found = load(&self.paths, next, None, &known, Upto::Byte(length), &mut into)?;
        if found.arrays.iter().any(|array| matches!(array.origin, Origin::Edited | Origin::Missing)) {
            return Ok(None);
        }
        // An edit that a person must decide about refuses a start. A process that runs goes on with the array that it knows.
        let disputed = |damage: &Damage| {
            found.arrays.iter().any(|array| array.origin == Origin::Disputed && array.file == damage.file)
        };
        found.damage.retain(|damage| !disputed(damage));
        found.refuse_damage()?;
        match &found.lines.stop {
            Some(stop) => Err(next.damaged(stop).into()),
            None => Ok(Some((model, found.lines.end, found.lines.last))),
        }
    }
}

/// A new store's identity.
pub(super) fn new_store_id() -> Hex {
    Hex(rand::random())
}
