//! The turns of an operation: it is run again after conflicts, lost connections and failovers, until there is no time left.

use crate::fate::Failed;
use crate::pool::{Lease, NoLease};
use crate::{Inner, Schema};
use futures_util::future::BoxFuture;
use http_kit::logging::Seldom;
use journal::StoreError;
use sqlx::Error;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The turns of one operation; [`run!`](crate::run!) takes them.
pub struct Turns<'a> {
    schema: &'a Schema,
    repeatable: bool,
    /// Whether these turns take a place in the queue while they wait for a connection.
    counted: bool,
    pub(super) deadline: Instant,
    taken: u32,
    /// Where an earlier turn may have been done: why that is not known.
    left_open: Option<String>,
    /// Why the last turn failed that our own deadline did not cut off.
    met: Option<String>,
}

/// What a turn knows of the turns before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// An earlier turn may have been done. What it would have made may be there.
    pub maybe_done: bool,
}

/// Runs an operation on a schema: `run!(schema.repeatable(), |connection, turn| …)`, where `…` is the body of an async
/// function that gives `Result<T, sqlx::Error>`; it is a `Result<T, StoreError>`: `Unknown` where a turn may have been done,
/// `Rejected` where the database will never do it as it is, else `Io`.
///
/// A macro, since the compiler cannot show yet that the future of an async closure which borrows can go to another thread.
#[macro_export]
macro_rules! run {
    ($turns:expr, |$connection:ident, $turn:pat_param| $op:expr) => {{
        let mut turns = $turns;
        loop {
            let (mut lease, $turn) = match turns.begin().await {
                Ok(begun) => begun,
                Err(e) => break Err(e),
            };
            let answer = turns
                .limit(async {
                    let $connection = &mut lease.connection()?;
                    $op
                })
                .await;
            if let Some(end) = turns.end(lease, answer).await {
                break end;
            }
        }
    }};
}

impl<'a> Turns<'a> {
    pub(super) fn new(schema: &'a Schema, repeatable: bool) -> Self {
        let deadline = Instant::now() + schema.database.0.patience;
        Self { schema, repeatable, counted: true, deadline, taken: 0, left_open: None, met: None }
    }

    /// Those of a batch: repeatable, and with its requests in the queue already.
    pub(super) fn of_batch(schema: &'a Schema, deadline: Instant) -> Self {
        Self { schema, repeatable: true, counted: false, deadline, taken: 0, left_open: None, met: None }
    }

    /// A connection for the next turn.
    ///
    /// # Errors
    /// [`StoreError`] where there is none before the deadline.
    #[doc(hidden)]
    pub fn begin(&mut self) -> BoxFuture<'_, Result<(Lease, Turn), StoreError>> {
        // boxed here, or the pool and how a connection is made would be compiled anew for each crate that takes turns
        Box::pin(async {
            if self.taken == 0 {
                self.schema.wait_for_tables(self.deadline).await?;
            }
            loop {
                match self.schema.database.0.pool.lease(self.deadline, self.counted).await {
                    Ok(lease) => return Ok((lease, Turn { maybe_done: self.left_open.is_some() })),
                    Err(NoLease::Failed(e)) => self.after(Failed::to_connect(&e)).await?,
                    Err(NoLease::Full(queue)) => {
                        self.after(Failed::full(queue)).await?;
                    }
                }
            }
        })
    }

    /// The answer, where it comes before the deadline.
    ///
    /// # Errors
    /// The operation's; an I/O error where it does not come.
    #[doc(hidden)]
    pub async fn limit<T>(&self, op: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = |_| Error::Io(ErrorKind::TimedOut.into());
        timeout_at(self.deadline, op).await.map_err(late)?
    }

    /// What the operation comes to; `None` where another turn is to be taken.
    #[doc(hidden)]
    pub async fn end<T>(&mut self, lease: Lease, answer: Result<T, Error>) -> Option<Result<T, StoreError>> {
        match answer {
            Ok(value) => {
                lease.keep();
                Some(Ok(value))
            }
            Err(e) => self.failed(lease, &e).await.err().map(Err),
        }
    }

    /// Waits for the next turn after one that failed.
    fn failed(&mut self, lease: Lease, why: &Error) -> BoxFuture<'_, Result<(), StoreError>> {
        let failed = Failed::of(why);
        if failed.cut {
            lease.discard();
            let pool = &self.schema.database.0.pool;
            if failed.mixed_up {
                pool.mixed_up.store(true, Ordering::Relaxed);
            }
            // a server that went away took its other connections with it
            pool.renew();
        } else {
            drop(lease);
        }
        self.after(failed)
    }

    /// Waits for the next turn.
    pub(super) fn after(&mut self, failed: Failed) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.wait(failed))
    }

    async fn wait(&mut self, failed: Failed) -> Result<(), StoreError> {
        let Failed {
            maybe_done, passing, conflict, permanent, of_tables, full, busy, late, mut reason, ..
        } = failed;
        match &self.met {
            // what our own deadline cuts off says nothing of the server
            Some(before) if late => reason = format!("{reason}; before that: {before}"),
            None if late => {}
            _ => self.met = Some(reason.clone()),
        }
        if of_tables {
            self.schema.doubted.notify_one();
        }
        if maybe_done {
            self.left_open = Some(reason.clone());
        }
        let wait = pause(self.taken);
        let over = !passing || Instant::now() + wait >= self.deadline;
        match &self.left_open {
            Some(reason) if over || !self.repeatable => return Err(self.schema.unknown(reason)),
            None if permanent => return Err(self.schema.impossible(&reason)),
            None if full => {
                static FULL: Seldom = Seldom::new();
                if let Some(times) = FULL.say() {
                    log::error!("{} ({times} times)", self.schema.not_done(&reason));
                }
                return Err(StoreError::Full);
            }
            None if busy => return Err(StoreError::Busy),
            None if over => return Err(self.schema.not_done(&reason)),
            _ => {}
        }
        log::debug!("{}: another turn: {reason}", self.schema.name);
        let Inner { retries, conflicts, .. } = &*self.schema.database.0;
        retries.fetch_add(1, Ordering::Relaxed);
        conflicts.fetch_add(conflict.into(), Ordering::Relaxed);
        self.taken = self.taken.saturating_add(1);
        sleep(wait).await;
        Ok(())
    }
}

/// Before the next turn: longer each time, and never as long as that of another request which met the same conflict.
fn pause(turn: u32) -> Duration {
    let longest = 4_000_u64 << turn.min(6);
    Duration::from_micros(rand::random_range(longest / 4..=longest))
}
