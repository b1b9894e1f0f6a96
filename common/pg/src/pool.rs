//! Connections, kept open between statements.
//!
//! sqlx's own pool asks the server whether it is there each time that a connection comes back, which doubles the round
//! trips; and it opens a connection on the runtime of whoever needs it, which here is a worker's that may be busy, or
//! end. This one opens all of them on the process's runtime, and mends only those whose statement was left half-way.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Error, raw_sql};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// A connection is replaced after so long, so that all of them spread over servers that came later.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// One that nobody needed for so long is closed.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How long what was left half-way may take to end.
const MENDING: Duration = Duration::from_secs(5);

pub(super) struct Pool {
    options: PgConnectOptions,
    runtime: Handle,
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    parked: Vec<Open>,
    /// Connections of an earlier one are not taken back.
    generation: u64,
    closed: bool,
}

struct Open {
    connection: PgConnection,
    generation: u64,
    born: Instant,
    since: Instant,
}

impl Pool {
    /// Opens nothing yet.
    pub fn new(options: PgConnectOptions, size: usize, runtime: Handle) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(size));
        Arc::new(Self { options, runtime, places, idle: Mutex::default() })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, at the latest at the deadline.
    pub async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, Error> {
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned());
        let place = place.await.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?;
        let (parked, generation) = {
            let mut idle = self.idle();
            if idle.closed {
                return Err(Error::PoolClosed);
            }
            // the last one parked: those that the load does not need grow old
            (idle.parked.pop(), idle.generation)
        };
        let open = match parked {
            Some(open) if open.born.elapsed() < LIFETIME => open,
            _ => {
                let options = self.options.clone();
                let connecting = self.runtime.spawn(async move { options.connect().await });
                let connected = timeout_at(deadline, connecting).await.map_err(|_| Error::PoolTimedOut)?;
                let now = Instant::now();
                let connection = connected.map_err(|_| Error::WorkerCrashed)??;
                Open { connection, generation, born: now, since: now }
            }
        };
        Ok(Lease { pool: Arc::clone(self), held: Some((open, place)) })
    }

    fn park(&self, open: Open) {
        let mut idle = self.idle();
        if !idle.closed && open.generation == idle.generation {
            idle.parked.push(Open { since: Instant::now(), ..open });
        }
    }

    /// Lets go of every connection that is open now.
    pub fn renew(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.parked.clear();
    }

    /// Closes what nobody has needed for a while.
    pub fn reap(&self) {
        self.idle().parked.retain(|open| open.since.elapsed() < IDLE);
    }

    /// Connections that wait for work.
    pub fn parked(&self) -> usize {
        self.idle().parked.len()
    }

    /// Takes leave of the server; those that are in use are closed when they come back.
    pub async fn close(&self) {
        let parked = {
            let mut idle = self.idle();
            idle.closed = true;
            std::mem::take(&mut idle.parked)
        };
        let goodbyes = parked.into_iter().map(|open| timeout(MENDING, open.connection.close()));
        futures_util::future::join_all(goodbyes).await;
    }
}

/// A connection in use. Dropped without `keep` or `discard`, its statement was left half-way, or
/// failed: it goes back once the server has answered and rolled back.
pub struct Lease {
    pool: Arc<Pool>,
    held: Option<(Open, OwnedSemaphorePermit)>,
}

impl Lease {
    /// The connection, until the lease ends.
    ///
    /// # Errors
    /// None, while it has not ended.
    #[doc(hidden)]
    pub fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.held.as_mut().map(|(open, _)| &mut open.connection).ok_or(Error::WorkerCrashed)
    }

    /// For the next one: all statements were answered, and no transaction is open.
    pub(super) fn keep(mut self) {
        // a transaction that was forgotten ends as one that failed does: by `drop`
        if let Some((open, place)) = self.held.take_if(|(open, _)| is_clean(&open.connection)) {
            self.pool.park(open);
            drop(place);
        }
    }

    /// It leads nowhere.
    pub(super) fn discard(mut self) {
        self.held = None;
    }
}

fn is_clean(connection: &PgConnection) -> bool {
    !connection.is_in_transaction() && !connection.should_flush()
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((mut open, place)) = self.held.take() {
            let pool = Arc::clone(&self.pool);
            self.pool.runtime.spawn(async move {
                // sqlx forgets a BEGIN whose answer was not waited for: the next one's writes would be in its
                // transaction, answered and never committed. In one that failed, this fails, too
                let ended = raw_sql("begin; rollback").execute(&mut open.connection);
                if let Ok(Ok(_)) = timeout(MENDING, ended).await {
                    pool.park(open);
                }
                drop(place);
            });
        }
    }
}
