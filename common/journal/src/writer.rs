//! The writer: one batch at a time, one line for each write, and one sync for all lines of a batch. [`Writer::run`] is a future
//! that knows no thread. A journal drives it on a thread of its own, and a simulation as one of its tasks.

use super::{
    budget::{Need, Room},
    error::{Failure, StoreError},
    format::push_line,
    lock::Locks,
    model::Model,
    store::Store,
};
use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::Duration,
};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout},
};

/// How often a latched store tries to reopen, and an idle one looks for other processes' lines.
const IDLE: Duration = Duration::from_secs(1);
/// How often it looks while somebody listens for changes, which other processes may make.
const LISTENING: Duration = Duration::from_millis(50);
/// Bounds the work that is lost if the sync fails, and the time that another process waits for the lock.
const MOST_IN_BATCH: usize = 1024;

/// What a write sees: the newest state, and its own puts.
pub struct Tx<'a, M: Model> {
    model: &'a mut M,
    changes: Vec<M::Change>,
    /// It has put something, or begun to.
    dirty: bool,
    room: &'a Room,
}

impl<M: Model> Tx<'_, M> {
    /// Whether a write, before which the records took so many bytes, is to be refused for want of memory. One that adds
    /// nothing never is.
    pub(super) fn outgrows(&self, need: Need, before: u64) -> bool {
        let now = self.model.memory();
        now > before && self.room.refuses(need, now)
    }

    /// Applies a change to what this write sees, and records it for the journal.
    pub fn put(&mut self, change: M::Change) {
        self.dirty = true;
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

/// The model that the writes of a batch change, and the way back from a write that is refused. No copy is kept of the model
/// before each write: a map that nobody else has is changed in place, and each copy would make the next write copy whole nodes.
struct Working<M: Model> {
    model: M,
    /// The model before the changes in `since`.
    safe: M,
    since: Vec<M::Change>,
}

impl<M: Model> Working<M> {
    fn new(model: M) -> Self {
        Self { safe: model.clone(), model, since: Vec::new() }
    }

    /// A write's changes are part of the batch.
    fn keep(&mut self, changes: Vec<M::Change>) {
        self.since.extend(changes);
    }

    /// Takes back what is not kept. Each kept change is made a second time at most, however many writes are refused.
    fn back(&mut self) {
        for change in self.since.drain(..) {
            self.safe.apply(&change);
        }
        self.model = self.safe.clone();
    }
}

/// Tells a write's caller how it ended.
pub(super) type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What a write's closure came to.
pub(super) struct Done {
    /// Its puts are to be written.
    pub(super) keep: bool,
    pub(super) acknowledge: Acknowledge,
}

/// A queued write: run against a working copy, or told why it cannot be.
pub(super) type Work<M> = Box<dyn FnOnce(Result<&mut Tx<'_, M>, StoreError>) -> Option<Done> + Send>;

pub(super) enum Message<M: Model> {
    Write(Work<M>),
    Close,
}

pub(super) struct Writer<M: Model> {
    pub(super) store: Arc<Store<M>>,
    pub(super) locks: Locks,
    pub(super) queue: UnboundedReceiver<Message<M>>,
    /// How many bytes the failed batch had: a reopen proves that the disk takes as many.
    failed: usize,
    tried: Instant,
    beside: Beside,
    compaction: Arc<Mutex<Compaction>>,
}

/// How a compaction is started so that it runs beside the writes.
pub(super) type Beside = fn(name: String, job: Box<dyn FnOnce() + Send>) -> std::io::Result<()>;

/// On a thread of its own.
pub(super) fn on_a_thread(name: String, job: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    thread::Builder::new().name(name).spawn(job).map(drop)
}

#[derive(Clone, Copy)]
enum Compaction {
    None,
    Running,
    Failed(Instant),
}

impl<M: Model> Writer<M> {
    pub(super) fn new(
        store: Arc<Store<M>>,
        locks: Locks,
        queue: UnboundedReceiver<Message<M>>,
        beside: Beside,
    ) -> Self {
        let compaction = Arc::new(Mutex::new(Compaction::None));
        Self { store, locks, queue, failed: 0, tried: Instant::now(), beside, compaction }
    }

    /// Serves the queue until it is closed or every handle is gone. Between a batch's first write and the others it
    /// waits for `gather`.
    pub(super) async fn run<F: Future<Output = ()>>(mut self, mut gather: impl FnMut() -> F) {
        let mut batch = Vec::new();
        loop {
            let idle = if self.store.changed.receiver_count() > 0 { LISTENING } else { IDLE };
            let mut open = match timeout(idle, self.queue.recv()).await {
                Ok(Some(Message::Write(work))) => {
                    batch.push(work);
                    true
                }
                Ok(Some(Message::Close) | None) => false,
                Err(_) => {
                    self.tick();
                    continue;
                }
            };
            gather().await;
            while open && batch.len() < MOST_IN_BATCH {
                match self.queue.try_recv() {
                    Ok(Message::Write(work)) => batch.push(work),
                    Ok(Message::Close) => open = false,
                    Err(_) => break,
                }
            }
            // an empty batch, at the end, would still take the lock and might compact
            if !batch.is_empty() {
                self.tick_if_latched();
                self.serve(batch.drain(..));
            }
            if !open {
                break;
            }
        }
        // These came after the close. A write that comes later finds no queue.
        while let Ok(message) = self.queue.try_recv() {
            if let Message::Write(work) = message {
                work(Err(StoreError::Closed));
            }
        }
    }

    /// Does a batch, or refuses it while the store is latched.
    pub(super) fn serve(&mut self, batch: impl Iterator<Item = Work<M>>) {
        let latched = self.store.latched().clone();
        match latched {
            None => self.commit(batch),
            Some(reason) => {
                for work in batch {
                    work(Err(StoreError::Latched { reason: reason.clone() }));
                }
            }
        }
    }

    /// Runs a batch under the lock, and answers after the sync. Writes that put nothing are answered only then as well, since
    /// they may have seen a change of the same batch.
    fn commit(&mut self, batch: impl Iterator<Item = Work<M>>) {
        let mut waiting = Vec::new();
        let outcome = self.locked(batch, &mut waiting);
        if let Err(error) = &outcome {
            self.latch(error);
        }
        for acknowledge in waiting {
            acknowledge(outcome.clone());
        }
        if outcome.is_ok() {
            self.compact_if_due();
        }
    }

    fn locked(
        &mut self,
        batch: impl Iterator<Item = Work<M>>,
        waiting: &mut Vec<Acknowledge>,
    ) -> Result<(), StoreError> {
        let ready = self.locks.hold().and_then(|held| self.store.recover(&held).map(|()| held));
        let held = match ready {
            Ok(held) => held,
            Err(failure) => {
                let error = StoreError::from(failure);
                for work in batch {
                    work(Err(error.clone()));
                }
                return Err(error);
            }
        };
        let store_id = self.store.source().header.store;
        let room = self.store.counted.room();
        let state = self.store.state.load_full();
        let (mut working, mut lines, mut seq) = (Working::new(state.model.clone()), Vec::new(), state.seq);
        for work in batch {
            let mut tx = Tx { model: &mut working.model, changes: Vec::new(), dirty: false, room: &room };
            let Some(Done { keep, acknowledge }) = work(Ok(&mut tx)) else { continue };
            let Tx { changes, dirty, .. } = tx;
            if !keep || changes.is_empty() {
                if !keep && dirty {
                    working.back();
                }
                waiting.push(acknowledge);
                continue;
            }
            match push_line(&mut lines, store_id, seq + 1, state.seq + 1, &changes) {
                Ok(()) => {
                    seq += 1;
                    working.keep(changes);
                    waiting.push(acknowledge);
                }
                Err(e) => {
                    working.back();
                    acknowledge(Err(StoreError::Rejected {
                        reason: format!("a change does not serialize: {e}").into(),
                    }));
                }
            }
        }
        self.store.counters.batches.fetch_add(1, Ordering::Relaxed);
        if lines.is_empty() {
            return Ok(());
        }
        self.failed = lines.len();
        self.store.append(&held, lines, working.model, seq)
    }

    fn latch(&mut self, error: &StoreError) {
        let reason = error.to_string();
        log::error!("{}: writes are refused until a reopen works: {reason}", M::NAME);
        *self.store.latched() = Some(reason.into());
        self.tried = Instant::now();
    }

    fn tick_if_latched(&mut self) {
        if self.tried.elapsed() >= IDLE && self.store.latched().is_some() {
            self.tick();
        }
    }

    /// Between writes: a latched store is reopened, another looks for what other processes wrote.
    fn tick(&mut self) {
        if self.store.latched().is_none() {
            // A caller that reads gets the same error. Here nobody waits for it.
            if let Err(e) = self.store.read() {
                log::debug!("{}: {e}", M::NAME);
            }
            return;
        }
        if self.tried.elapsed() >= IDLE {
            self.try_reopen();
        }
    }

    /// Ends the latch if the disk is back.
    pub(super) fn try_reopen(&mut self) {
        self.tried = Instant::now();
        match self.reopen() {
            Ok(()) => {
                *self.store.latched() = None;
                log::info!("{}: reopened, writes go on", M::NAME);
            }
            Err(e) => log::debug!("{}: cannot reopen: {e}", M::NAME),
        }
    }

    /// Verifies the journal again from the last state that was published, repairs its end, and tries the disk.
    fn reopen(&self) -> Result<(), Failure> {
        let held = self.locks.hold()?;
        self.store.recover(&held)?;
        let file = self.store.source().file.clone();
        self.store.adopt_tail(&held, &file)?;
        self.store.probe(self.failed)
    }

    fn compaction(&self) -> Compaction {
        *self.compaction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a compaction, unless one runs here or in another process.
    fn compact_if_due(&self) {
        let may = match self.compaction() {
            Compaction::None => true,
            Compaction::Running => false,
            // A compaction that failed is not tried again at once.
            Compaction::Failed(when) => when.elapsed() >= IDLE,
        };
        if !may || !self.store.due() {
            return;
        }
        let paths = &self.store.paths;
        let lock =
            match paths.volume.open_or_create(&paths.compact).and_then(|f| Ok(f.try_lock()?.then_some(f))) {
                Ok(Some(lock)) => lock,
                Ok(None) => return,
                Err(e) => return log::warn!("{}: no compaction: {e}", M::NAME),
            };
        let set = {
            let compaction = self.compaction.clone();
            move |now| *compaction.lock().unwrap_or_else(PoisonError::into_inner) = now
        };
        set(Compaction::Running);
        let (store, done) = (self.store.clone(), set.clone());
        let job = move || {
            let compacted = store.compact();
            drop(lock);
            done(match compacted {
                Ok(()) => Compaction::None,
                Err(e) => {
                    log::error!("{}: compaction failed, the journal goes on growing: {e}", M::NAME);
                    Compaction::Failed(Instant::now())
                }
            });
        };
        if let Err(e) = (self.beside)(format!("{}-compact", M::NAME), Box::new(job)) {
            set(Compaction::None);
            log::warn!("{}: no compaction: {e}", M::NAME);
        }
    }
}
