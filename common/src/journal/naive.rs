//! Placeholder in memory: same interface, no disk. Replaced by the next commits.

use super::{Model, OpenError, Options, Stats, StoreError};
use arc_swap::{ArcSwap, Guard};
use serde::Serialize;
use std::{
    io,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Writes the elements of one array file.
pub struct ArrayWriter<'a> {
    out: &'a mut dyn io::Write,
}

impl ArrayWriter<'_> {
    /// Writes the next record.
    ///
    /// # Errors
    /// The disk's, or that the record does not serialize.
    pub fn element<T: Serialize + ?Sized>(&mut self, record: &T) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, record)?;
        Ok(())
    }
}

struct State<M> {
    model: M,
    seq: u64,
}

/// One consistent state, of which every change is durable.
pub struct Snapshot<M: Model>(Guard<Arc<State<M>>>);

impl<M: Model> Snapshot<M> {
    /// The last line that this state includes.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }
}

impl<M: Model> Deref for Snapshot<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.0.model
    }
}

/// What a write sees: the newest state, and its own puts.
pub struct Tx<'a, M: Model> {
    model: &'a mut M,
    changes: Vec<M::Change>,
}

impl<M: Model> Tx<'_, M> {
    /// Applies a change to what this write sees, and records it for the journal.
    pub fn put(&mut self, change: M::Change) {
        self.model.apply(&change);
        self.changes.push(change);
    }
}

impl<M: Model> Deref for Tx<'_, M> {
    type Target = M;
    fn deref(&self) -> &M {
        self.model
    }
}

struct Inner<M: Model> {
    state: ArcSwap<State<M>>,
    writer: Mutex<()>,
    changed: watch::Sender<u64>,
}

/// A store's open handle. Clones share it.
pub struct Journal<M: Model>(Arc<Inner<M>>);

impl<M: Model> Clone for Journal<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Model> Journal<M> {
    /// Opens or makes the store. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    #[allow(clippy::needless_pass_by_value)]
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let mut model = M::default();
        let mut edited = Vec::new();
        for collection in M::COLLECTIONS {
            let Some(seed) = &options.seed_dir else { continue };
            let file = seed.join(format!("{collection}.json"));
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let data = |reason: String| OpenError::Data { file: file.clone(), line: None, reason };
            let elements: Vec<Box<serde_json::value::RawValue>> =
                serde_json::from_str(&text).map_err(|e| data(e.to_string()))?;
            for element in elements {
                model.load(collection, element.get()).map_err(&data)?;
            }
            edited.push(*collection);
        }
        let changes = model.on_open(&edited).map_err(|reason| OpenError::Data {
            file: options.dir.clone(),
            line: None,
            reason,
        })?;
        for change in &changes {
            model.apply(change);
        }
        Ok(Self(Arc::new(Inner {
            state: ArcSwap::from_pointee(State { model, seq: 0 }),
            writer: Mutex::new(()),
            changed: watch::channel(0).0,
        })))
    }

    /// A consistent state that includes every write that any process on this directory has acknowledged.
    ///
    /// # Errors
    /// Only where the other processes' lines cannot be read.
    pub fn read(&self) -> Result<Snapshot<M>, StoreError> {
        Ok(Snapshot(self.0.state.load()))
    }

    /// Runs `f` against the newest state on the writer's thread; what it puts becomes one line. Returns once the line is
    /// on disk. An `Err` of `f` rolls its puts back and costs no write. The write goes on if this future is dropped.
    ///
    /// # Errors
    /// See [`StoreError`]: which of them leave the outcome open.
    #[allow(clippy::unused_async)]
    pub async fn write<T, E, F>(&self, f: F) -> Result<Result<T, E>, StoreError>
    where
        F: FnOnce(&mut Tx<'_, M>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let _one = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.0.state.load();
        let mut model = now.model.clone();
        let mut tx = Tx { model: &mut model, changes: Vec::new() };
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| f(&mut tx))) else {
            return Err(StoreError::Rejected { reason: "it panicked".into() });
        };
        if result.is_ok() && !tx.changes.is_empty() {
            let seq = now.seq + 1;
            self.0.state.store(Arc::new(State { model, seq }));
            self.0.changed.send_replace(seq);
        }
        Ok(result)
    }

    /// Whether writes are taken.
    ///
    /// # Errors
    /// [`StoreError::Latched`] since a write failed, [`StoreError::Closed`] once closed.
    pub fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Counts for the metrics page and the start-up line.
    pub fn stats(&self) -> Stats {
        let now = self.0.state.load();
        let records = M::COLLECTIONS.iter().map(|c| (*c, now.model.count(c))).collect();
        Stats { seq: now.seq, records, ..Stats::default() }
    }

    /// The last applied line, told at every publish in this process: its own writes, and others' lines caught up with.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Waits for the queue, compacts, lets go. Later writes fail with [`StoreError::Closed`]. Blocks.
    ///
    /// # Errors
    /// The compaction's; the journal then still holds everything that was acknowledged.
    pub fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
