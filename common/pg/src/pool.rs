//! Connections, kept open between statements. Why not another pool: ADR 0009.
//!
//! All connections are opened on the process's runtime, since that of a worker may be busy, or end. A connection whose
//! statement was answered costs no further round trip. One whose statement was left half-way is mended in the background,
//! and keeps its place until the server has ended the statement: a server that does not end statements would otherwise get
//! more connections than the pool has places.

use crate::connect::{Connected, Connector, leave};
use crate::link::Link;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error, raw_sql};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// A connection is replaced after so long, so that all of them spread over servers that came later.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// One that nobody needed for so long is closed.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// One that nobody needed for so long is asked whether it still works, so that no NAT on the way forgets it.
const QUIET: Duration = Duration::from_secs(30);
/// One that nobody needed for so long may lead nowhere, for all we know, and is asked before it is used. A pool that is busy
/// uses its connections again much sooner, and asks none.
const DOUBTFUL: Duration = Duration::from_millis(100);
/// How long an answer may take that costs the server nothing. A caller whose connection did not give it has the larger part
/// of [`PATIENCE`](crate::PATIENCE) left for another one.
const PROMPT: Duration = Duration::from_millis(500);
/// How long a statement that nobody waits for may take, before the server is asked to end it.
const GRACE: Duration = Duration::from_millis(100);

pub(super) struct Pool {
    connector: Arc<Connector>,
    runtime: Handle,
    places: Arc<Semaphore>,
    /// Callers that wait for a connection, or in a batch that waits for one.
    pub queue: Arc<Queue>,
    idle: Mutex<Idle>,
    open_ends: Mutex<HashMap<String, oneshot::Sender<()>>>,
    /// Somebody's statement has an open end.
    pub left_open: Notify,
    /// A server took a connection's statements for another one's: what looks whether the database is there looks for that, too,
    /// from then on.
    pub mixed_up: AtomicBool,
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
    name: String,
    generation: u64,
    born: Instant,
    /// When it was used for the last time.
    since: Instant,
    /// When its server answered for the last time.
    asked: Instant,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoLease {
    /// As many as may wait do.
    Full(usize),
    /// It could not be opened in time, or at all.
    Failed(Error),
}

impl From<Error> for NoLease {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl Pool {
    /// Opens nothing yet. While `size` connections are in use, at most `queue` callers wait for one.
    pub fn new(connector: Arc<Connector>, size: usize, queue: usize, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            connector,
            runtime,
            places: Arc::new(Semaphore::new(size)),
            queue: Arc::new(Queue {
                most: queue,
                waiting: AtomicUsize::new(0),
                turned_away: AtomicU64::new(0),
            }),
            idle: Mutex::default(),
            open_ends: Mutex::default(),
            left_open: Notify::new(),
            mixed_up: AtomicBool::new(false),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that works, at the latest at the deadline. A caller that is `counted` takes a place in the queue where it
    /// has to wait; of a batch, each request has one already.
    ///
    /// # Errors
    /// At once where too many wait already.
    pub async fn lease(self: &Arc<Self>, deadline: Instant, counted: bool) -> Result<Lease, NoLease> {
        let place = self.place(deadline, counted).await?;
        let (parked, generation) = {
            let mut idle = self.idle();
            if idle.closed {
                return Err(Error::PoolClosed.into());
            }
            // The last one that was parked is the first to be used. The ones that the load does not need grow old.
            (idle.parked.pop(), idle.generation)
        };
        let parked = match parked {
            Some(open) if open.born.elapsed() < LIFETIME => self.asked(open).await,
            _ => None,
        };
        let open = match parked {
            Some(open) => open,
            None => {
                let connector = Arc::clone(&self.connector);
                let connecting = self.runtime.spawn(async move { connector.connect().await });
                let connected = timeout_at(deadline, connecting).await.map_err(|_| Error::PoolTimedOut)?;
                let Connected { connection, name } = connected.map_err(|_| Error::WorkerCrashed)??;
                let now = Instant::now();
                Open { connection, name, generation, born: now, since: now, asked: now }
            }
        };
        Ok(Lease { pool: Arc::clone(self), held: Some((open, place)) })
    }

    async fn place(&self, deadline: Instant, counted: bool) -> Result<OwnedSemaphorePermit, NoLease> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        // dropped when this caller stops waiting, however it does
        let _waits = if counted { Some(self.queue.enter().map_err(NoLease::Full)?) } else { None };
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        Ok(place.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?)
    }

    /// The same connection, where its server still answers.
    async fn asked(&self, mut open: Open) -> Option<Open> {
        if open.asked.elapsed() >= DOUBTFUL {
            match timeout(PROMPT, open.connection.ping()).await {
                Ok(Ok(())) => open.asked = Instant::now(),
                Ok(Err(_)) => return None,
                Err(_) => {
                    self.leave_open(open.name.clone());
                    return None;
                }
            }
        }
        Some(open)
    }

    /// Has the server asked to end what this connection does: at once, not at the next look.
    fn leave_open(&self, name: String) -> oneshot::Receiver<()> {
        let (tell, ended) = oneshot::channel();
        self.open_ends.lock().unwrap_or_else(PoisonError::into_inner).insert(name, tell);
        self.left_open.notify_one();
        ended
    }

    fn park(&self, open: Open) {
        let mut idle = self.idle();
        if !idle.closed && open.generation == idle.generation {
            idle.parked.push(open);
        }
    }

    /// Lets go of every connection that is open now.
    pub fn renew(&self) {
        let mut idle = self.idle();
        idle.generation += 1;
        idle.parked.clear();
    }

    /// Closes what nobody has needed for a while, and asks what nobody has needed for a moment whether it still works.
    pub fn look_after(self: &Arc<Self>) {
        let mut quiet = Vec::new();
        {
            let mut idle = self.idle();
            idle.parked.retain(|open| open.since.elapsed() < IDLE);
            while let Some(n) = idle.parked.iter().position(|open| open.asked_long_ago()) {
                // A connection that is asked is in use, so it needs a place. Without one it waits for the next look.
                let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { break };
                quiet.push((idle.parked.remove(n), place));
            }
        }
        for (open, place) in quiet {
            let pool = Arc::clone(self);
            self.runtime.spawn(async move {
                if let Some(open) = pool.asked(open).await {
                    pool.park(open);
                }
                drop(place);
            });
        }
    }

    /// Connections that wait for work.
    pub fn parked(&self) -> usize {
        self.idle().parked.len()
    }

    /// The names of the connections whose statement may still be under way, though nobody waits for it.
    pub fn open_ends(&self) -> Vec<String> {
        self.open_ends.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The server has ended the statement of this connection.
    pub fn ended(&self, name: &str) {
        let told = self.open_ends.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        // nobody hears it where the connection itself has just said so
        let _ = told.map(|tell| tell.send(()));
    }

    /// Takes leave of the server. A connection that is in use is closed when it comes back.
    pub async fn close(&self) {
        let parked = {
            let mut idle = self.idle();
            idle.closed = true;
            std::mem::take(&mut idle.parked)
        };
        let goodbyes = parked.into_iter().map(|open| timeout(PROMPT, leave(open.connection)));
        futures_util::future::join_all(goodbyes).await;
    }

    /// Brings a connection back whose statement failed, or was left half-way.
    async fn mend(self: Arc<Self>, mut open: Open, place: OwnedSemaphorePermit) {
        let name = open.name.clone();
        // sqlx forgets a BEGIN whose answer nobody waited for. The next caller's writes would then be in that transaction:
        // answered, and never committed. Where a transaction has failed, this BEGIN fails, too.
        let mended = {
            let mut answer = std::pin::pin!(raw_sql("begin; rollback").execute(&mut open.connection));
            match timeout(GRACE, &mut answer).await {
                Ok(answer) => answer.is_ok(),
                Err(_) => tokio::select! {
                    answer = answer => answer.is_ok(),
                    _ = self.leave_open(name.clone()) => false,
                },
            }
        };
        self.ended(&name);
        if mended {
            open.used();
            self.park(open);
        }
        drop(place);
    }
}

/// How many callers may wait.
pub(super) struct Queue {
    most: usize,
    waiting: AtomicUsize,
    turned_away: AtomicU64,
}

impl Queue {
    /// A place, until it is dropped.
    ///
    /// # Errors
    /// How many wait, where that is as many as may.
    pub fn enter(self: &Arc<Self>) -> Result<Waits, usize> {
        self.enter_below(self.most)
    }

    /// The same for a caller that waits for a scan: half of the places are for the others.
    pub fn enter_to_scan(self: &Arc<Self>) -> Result<Waits, usize> {
        self.enter_below(self.most.div_ceil(2))
    }

    fn enter_below(self: &Arc<Self>, most: usize) -> Result<Waits, usize> {
        let waits = Waits(Arc::clone(self));
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= most {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(most);
        }
        Ok(waits)
    }

    /// Callers that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Callers that were turned away because too many waited.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }
}

/// One more caller that waits.
pub(super) struct Waits(Arc<Queue>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Open {
    fn used(&mut self) {
        self.since = Instant::now();
        self.asked = self.since;
    }

    fn asked_long_ago(&self) -> bool {
        self.asked.elapsed() >= QUIET
    }
}

/// A connection in use. Where it is dropped without `keep` or `discard`, its statement failed, or was left half-way: the
/// connection goes back to the pool once the server has answered and rolled back.
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
    pub fn connection(&mut self) -> Result<Link<'_>, Error> {
        let open = self.held.as_mut().map(|(open, _)| Link::of(&mut open.connection));
        open.ok_or(Error::WorkerCrashed)
    }

    /// Gives the connection to the next caller: all statements were answered, and no transaction is open.
    pub(super) fn keep(mut self) {
        // a transaction that was forgotten ends as one that failed does: by `drop`
        if let Some((mut open, place)) = self.held.take_if(|(open, _)| is_clean(&open.connection)) {
            open.used();
            self.pool.park(open);
            drop(place);
        }
    }

    /// Closes the connection, which leads nowhere.
    pub(super) fn discard(mut self) {
        self.held = None;
    }
}

fn is_clean(connection: &PgConnection) -> bool {
    !connection.is_in_transaction() && !connection.should_flush()
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((open, place)) = self.held.take() {
            self.pool.runtime.spawn(Arc::clone(&self.pool).mend(open, place));
        }
    }
}
