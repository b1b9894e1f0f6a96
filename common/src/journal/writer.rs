//! The writer: one thread, one batch at a time, one line for each write and one sync for all of them.

use super::{
    Model,
    error::{Failure, StoreError},
    format::push_line,
    lock::Locks,
    store::Store,
};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// How often a latched store tries to reopen, and an idle one looks for other processes' lines.
const IDLE: Duration = Duration::from_secs(1);
/// The same look while somebody listens for changes: what they wait for is another process's purchase.
const LISTENING: Duration = Duration::from_millis(50);
/// Bounds the work that is lost if the sync fails, and the time that another process waits for the lock.
const MOST_IN_BATCH: usize = 1024;

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

/// Tells a write's caller how it ended.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What a write's closure came to.
pub(super) struct Verdict {
    /// Its puts are to be written.
    pub(super) keep: bool,
    pub(super) answer: Answer,
}

/// A queued write: run against a working copy, or told why it cannot be.
pub(super) type Work<M> = Box<dyn FnOnce(Result<&mut Tx<'_, M>, StoreError>) -> Option<Verdict> + Send>;

pub(super) enum Message<M: Model> {
    Write(Work<M>),
    Close,
}

pub(super) struct Writer<M: Model> {
    pub(super) store: Arc<Store<M>>,
    pub(super) locks: Locks,
    pub(super) queue: Receiver<Message<M>>,
    /// How many bytes the failed batch had: a reopen proves that the disk takes as many.
    failed: usize,
    tried: Instant,
    compacting: Arc<AtomicBool>,
}

impl<M: Model> Writer<M> {
    pub(super) fn new(store: Arc<Store<M>>, locks: Locks, queue: Receiver<Message<M>>) -> Self {
        Self { store, locks, queue, failed: 0, tried: Instant::now(), compacting: Arc::default() }
    }

    /// Serves the queue until it is closed or every handle is gone.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let idle = if self.store.changed.receiver_count() > 0 { LISTENING } else { IDLE };
            let mut open = match self.queue.recv_timeout(idle) {
                Ok(Message::Write(work)) => {
                    batch.push(work);
                    true
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => false,
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    continue;
                }
            };
            // The callers that the last batch answered run once and are back in the queue: of 16, a sync then carries 13
            // lines and not 9. It waits for nobody.
            thread::yield_now();
            while open && batch.len() < MOST_IN_BATCH {
                match self.queue.try_recv() {
                    Ok(Message::Write(work)) => batch.push(work),
                    Ok(Message::Close) => open = false,
                    Err(_) => break,
                }
            }
            self.tick_if_latched();
            self.serve(batch.drain(..));
            if !open {
                break;
            }
        }
        // What came after the close; a write that comes later still finds no queue.
        for message in self.queue.try_iter() {
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

    /// Runs a batch: all of it under the lock, answered after the sync. Also those that put nothing are answered only
    /// then: they may have seen a neighbour's change.
    fn commit(&mut self, batch: impl Iterator<Item = Work<M>>) {
        let mut answers = Vec::new();
        let outcome = self.locked(batch, &mut answers);
        if let Err(error) = &outcome {
            self.latch(error);
        }
        for answer in answers {
            answer(outcome.clone());
        }
        if outcome.is_ok() {
            self.compact_if_due();
        }
    }

    fn locked(
        &mut self,
        batch: impl Iterator<Item = Work<M>>,
        answers: &mut Vec<Answer>,
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
        let state = self.store.state.load_full();
        let (mut model, mut lines, mut seq) = (state.model.clone(), Vec::new(), state.seq);
        for work in batch {
            let before = model.clone();
            let mut tx = Tx { model: &mut model, changes: Vec::new() };
            let Some(Verdict { keep, answer }) = work(Ok(&mut tx)) else { continue };
            let changes = tx.changes;
            if !keep || changes.is_empty() {
                if !keep {
                    model = before;
                }
                answers.push(answer);
                continue;
            }
            match push_line(&mut lines, store_id, seq + 1, state.seq + 1, &changes) {
                Ok(()) => {
                    seq += 1;
                    answers.push(answer);
                }
                Err(e) => {
                    model = before;
                    answer(Err(StoreError::Rejected {
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
        self.store.append(&held, lines, model, seq)
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
            // Whoever reads will meet the same error; here it has no one to go to.
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

    /// Starts a compaction on a thread of its own, unless one runs here or in another process.
    fn compact_if_due(&self) {
        if !self.store.due() || self.compacting.load(Ordering::Acquire) {
            return;
        }
        let paths = &self.store.paths;
        let lock =
            match paths.volume.open_or_create(&paths.compact).and_then(|f| Ok(f.try_lock()?.then_some(f))) {
                Ok(Some(lock)) => lock,
                Ok(None) => return,
                Err(e) => return log::warn!("{}: no compaction: {e}", M::NAME),
            };
        self.compacting.store(true, Ordering::Release);
        let (store, compacting) = (self.store.clone(), self.compacting.clone());
        let spawned = thread::Builder::new().name(format!("{}-compact", M::NAME)).spawn(move || {
            if let Err(e) = store.compact() {
                log::error!("{}: compaction failed, the journal goes on growing: {e}", M::NAME);
                // Not at once again: the next try is at the next batch after this pause.
                thread::sleep(IDLE);
            }
            drop(lock);
            compacting.store(false, Ordering::Release);
        });
        if let Err(e) = spawned {
            self.compacting.store(false, Ordering::Release);
            log::warn!("{}: no compaction: {e}", M::NAME);
        }
    }
}
