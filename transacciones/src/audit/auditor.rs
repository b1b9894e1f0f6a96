//! One audit at a time, for all who ask.

use super::audit;
use super::report::AuditReport;
use crate::error::Error;
use crate::purchase::runner::Coordinator;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Whoever asks is answered by an audit that begins after the question. All who ask before it begins share it, and it begins
/// a while after the end of the one before: so any number of clients that ask all the time cost one audit a while.
#[derive(Clone)]
pub struct Auditor {
    last: Arc<Mutex<Option<Done>>>,
    begun: Arc<AtomicU64>,
    of_lists: Arc<AtomicU64>,
    pause: Duration,
    // the process's own runtime: an audit takes nothing from the threads that answer requests
    runtime: Handle,
}

struct Done {
    /// 1 for the first audit.
    number: u64,
    ended: Instant,
    verdict: Result<Arc<AuditReport>, Error>,
}

impl Auditor {
    /// Rests for `pause` between two audits.
    pub fn new(pause: Duration, runtime: Handle) -> Self {
        Self { last: Arc::default(), begun: Arc::default(), of_lists: Arc::default(), pause, runtime }
    }

    /// How many audits were begun, since the start.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// How often an audit read a participant's lists, since the start.
    pub fn of_lists(&self) -> u64 {
        self.of_lists.load(Ordering::Relaxed)
    }

    /// The verdict of an audit that begins after this call.
    ///
    /// # Errors
    /// Those of [`audit`].
    pub async fn verdict(&self, coordinator: &Coordinator) -> Result<Arc<AuditReport>, Error> {
        let begun = self.begun.load(Ordering::SeqCst);
        // first come, first served: whoever waits here asked before the next audit begins
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(done) = last.as_ref().filter(|done| done.number > begun) {
            return done.verdict.clone();
        }
        let (this, coordinator) = (self.clone(), coordinator.clone());
        // the task keeps the lock, so that a client that hangs up lets nobody begin a second one beside it
        let task = async move {
            if let Some(before) = last.as_ref() {
                sleep_until(before.ended + this.pause).await;
            }
            let number = this.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let verdict = audit(&coordinator, &this.of_lists).await.map(Arc::new);
            *last = Some(Done { number, ended: Instant::now(), verdict: verdict.clone() });
            verdict
        };
        self.runtime.spawn(task).await.unwrap_or_else(|panicked| Err(Error::bug(panicked.to_string())))
    }
}
