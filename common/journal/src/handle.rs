//! [`Journal`], the handle that a program holds, and [`Snapshot`], what it reads.

use super::{
    budget::Need,
    disk::Volume,
    error::{OpenError, StoreError},
    lock::Locks,
    model::Model,
    open,
    options::Options,
    stats::Stats,
    store::{State, Store},
    writer::{Beside, Done, Message, Tx, Work, Writer, on_a_thread},
};
use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc, oneshot, watch},
};

type Reply<T, E> = oneshot::Sender<Result<Result<T, E>, StoreError>>;

/// One consistent state, of which every change is durable.
pub struct Snapshot<M: Model>(arc_swap::Guard<Arc<State<M>>>);

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

/// A store's open handle. Clones share it; without any left, the writer's thread ends, and nothing is compacted.
pub struct Journal<M: Model>(Arc<Handle<M>>);

struct Handle<M: Model> {
    store: Arc<Store<M>>,
    queue: mpsc::UnboundedSender<Message<M>>,
    places: Arc<Semaphore>,
    /// How many places there are.
    room: usize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl<M: Model> Clone for Journal<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A closure as the writer's thread takes it; `place` is dropped before the answer goes to `reply`.
pub(super) fn work<M, T, E, F>(f: F, need: Need, place: impl Send + 'static, reply: Reply<T, E>) -> Work<M>
where
    M: Model,
    F: FnOnce(&mut Tx<'_, M>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    Box::new(move |tx| {
        let tx = match tx {
            Ok(tx) => tx,
            Err(refused) => {
                // Nobody listens where the caller went away.
                let _ = reply.send(Err(refused));
                return None;
            }
        };
        let before = tx.memory();
        // The batch drops the model that a panic may have left half changed.
        let result = catch_unwind(AssertUnwindSafe(|| f(tx)));
        let keep = matches!(result, Ok(Ok(_)));
        if keep && tx.outgrows(need, before) {
            let acknowledge = Box::new(move |_| {
                drop(place);
                let _ = reply.send(Err(StoreError::Full));
            });
            return Some(Done { keep: false, acknowledge });
        }
        let acknowledge = Box::new(move |outcome: Result<(), StoreError>| {
            drop(place);
            let panicked = |_| StoreError::Rejected { reason: "its closure panicked".into() };
            let _ = reply.send(outcome.and_then(|()| result.map_err(panicked)));
        });
        Some(Done { keep, acknowledge })
    })
}

impl<M: Model> Journal<M> {
    /// Opens or makes the store. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Self::open_on(Volume::real(), options)
    }

    /// The same on any disk.
    pub(super) fn open_on(volume: Volume, options: Options) -> Result<Self, OpenError> {
        let path = options.dir.clone();
        let (journal, writer) = Self::open_idle(volume, options, on_a_thread)?;
        let store = journal.0.store.clone();
        // The callers that the last batch answered get to run, and queue their next writes. With 16 callers a sync then
        // carries 13 lines and not 9. A yield waits for nobody.
        let gather = || {
            thread::yield_now();
            std::future::ready(())
        };
        // The writer needs a runtime only for its clock, and to sleep.
        let started = Builder::new_current_thread().enable_time().build().and_then(|runtime| {
            thread::Builder::new().name(format!("{}-writer", M::NAME)).spawn(move || {
                // A model's own panic outside a write, such as one in `apply` of another process's line.
                if catch_unwind(AssertUnwindSafe(|| runtime.block_on(writer.run(gather)))).is_err() {
                    *store.latched() = Some("the writer's thread panicked; restart the process".into());
                }
            })
        });
        let thread = started.map_err(|source| OpenError::Io { path, source })?;
        *journal.thread() = Some(thread);
        Ok(journal)
    }

    /// The same with a writer that nobody drives yet.
    pub(super) fn open_idle(
        volume: Volume,
        options: Options,
        beside: Beside,
    ) -> Result<(Self, Writer<M>), OpenError> {
        let room = options.queue.min(Semaphore::MAX_PERMITS);
        let store = Arc::new(open::open::<M>(volume, options)?);
        let (sender, receiver) = mpsc::unbounded_channel();
        let writer = Writer::new(store.clone(), Locks::open(&store.paths)?, receiver, beside);
        let places = Arc::new(Semaphore::new(room));
        Ok((Self(Arc::new(Handle { store, queue: sender, places, room, writer: Mutex::new(None) })), writer))
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A consistent state that includes every write that any process on this directory has acknowledged. Takes no lock
    /// unless another process has written since.
    ///
    /// # Errors
    /// Only where the other processes' lines cannot be read.
    pub fn read(&self) -> Result<Snapshot<M>, StoreError> {
        self.0.store.read().map(Snapshot)
    }

    /// Runs `f` on the writer's thread against the newest state; what it puts becomes one line. Returns once the line is
    /// on disk. An `Err` of `f` rolls its puts back and costs no write.
    ///
    /// Dropping this future before its first wait cancels the write; afterwards the write goes on.
    ///
    /// # Errors
    /// See [`StoreError`]: it says for each whether the write can be on disk.
    pub async fn write<T, E, F>(&self, f: F) -> Result<Result<T, E>, StoreError>
    where
        F: FnOnce(&mut Tx<'_, M>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.write_for(Need::Add, f).await
    }

    /// As [`write`](Self::write), for a write that may use more of the memory: see [`Need`].
    ///
    /// # Errors
    /// See [`StoreError`]: it says for each whether the write can be on disk.
    pub async fn write_for<T, E, F>(&self, need: Need, f: F) -> Result<Result<T, E>, StoreError>
    where
        F: FnOnce(&mut Tx<'_, M>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let Ok(place) = self.0.places.clone().try_acquire_owned() else {
            self.0.store.counters.refused.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Busy);
        };
        let (reply, answered) = oneshot::channel();
        let work = work(f, need, place, reply);
        if self.0.store.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        // Without a reader of the queue the store is closed, or the writer's thread is dead and the store latched.
        self.0
            .queue
            .send(Message::Write(work))
            .map_err(|_| self.health().err().unwrap_or(StoreError::Closed))?;
        let answer = answered.await.unwrap_or_else(|_| {
            // The queue was dropped with the write in it, or the writer's thread died in the middle of it.
            if self.0.store.closed.load(Ordering::Acquire) {
                Err(StoreError::Closed)
            } else {
                Err(StoreError::Unknown { reason: "the writer's thread ended".into() })
            }
        });
        if matches!(answer, Err(StoreError::Full)) {
            self.0.store.counters.full.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Whether writes are taken.
    ///
    /// # Errors
    /// [`StoreError::Latched`] since a write failed, [`StoreError::Closed`] once closed.
    pub fn health(&self) -> Result<(), StoreError> {
        if self.0.store.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        match &*self.0.store.latched() {
            Some(reason) => Err(StoreError::Latched { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Counts for the metrics page and the start-up line.
    pub fn stats(&self) -> Stats {
        let store = &self.0.store;
        let state = store.state.load();
        Stats {
            seq: state.seq,
            memory: state.model.memory(),
            queued: self.0.room - self.0.places.available_permits(),
            generation: state.mark.generation,
            journal_bytes: state.mark.length,
            array_bytes: store.source().header.array_bytes(),
            records: M::COLLECTIONS.iter().map(|c| (*c, state.model.count(c))).collect(),
            load: store.load,
            ..store.counters.stats()
        }
    }

    /// The number of the last applied line. It changes with each write of this process, and with the lines of other processes
    /// within 50 ms while somebody holds such a receiver.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.store.changed.subscribe()
    }

    /// Waits for the queue, compacts, lets go. Later writes fail with [`StoreError::Closed`]; reads go on. Blocks.
    ///
    /// # Errors
    /// The compaction's; the journal then still holds everything that was acknowledged.
    pub fn close(&self) -> Result<(), StoreError> {
        self.leave();
        let thread = self.thread().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("{}: the writer's thread panicked", M::NAME);
        }
        self.finish()
    }

    /// Takes no further writes; the writer ends once its queue is done.
    pub(super) fn leave(&self) {
        self.0.store.closed.store(true, Ordering::Release);
        // An error means that it has ended already.
        let _ = self.0.queue.send(Message::Close);
    }

    /// The last compaction, without the writer.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        // A compaction that runs, here or in another process, ends within seconds, and leaves less to do.
        let lock = self.0.store.paths.volume.open_or_create(&self.0.store.paths.compact)?;
        lock.lock()?;
        self.0.store.compact()?;
        Ok(())
    }
}
