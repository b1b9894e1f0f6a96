//! The PostgreSQL store under all three services: connections, turns, and a schema for each service in one database.
//! Why so: ADR 0009; what of it runs on which engine: `docs/SCALE.md`.
//!
//! | file | what is in it |
//! | --- | --- |
//! | here | [`Database`] and [`Schema`]: what a store runs its statements on |
//! | `batch` | requests of one operation, gathered while the one before is under way: [`Batcher`] |
//! | `connect` | to which host, and under which name |
//! | `fate` | what an error says of the statement that met it |
//! | `keeper` | whether the database is there, and commits |
//! | `lanes` | how many batches are under way at once |
//! | `link` | what statements run on: [`Link`] |
//! | `pool` | connections kept open between statements |
//! | `posting` | what is counted after the requests, in lots |
//! | `prepare` | migrations, and the seed of an empty database |
//! | `redis` | Redis, for what may be lost |
//! | `scans` | how many lists that count rows run at once |
//! | `turns` | an operation is run until it is answered: [`run!`] |
//! | `url` | `STORE=postgres://…` |
//! | `whole` | schemas read or filled as a whole, for a command that moves them |
//! | `value` | numbers in and out |
//!
//! The laws:
//!
//! 1. An outcome that is not known is never guessed at. A *repeatable* operation finds what an earlier turn did, so [`run!`]
//!    runs it again; if no turn is answered, the caller hears [`StoreError::Unknown`]. An operation that cannot be repeated is
//!    run *once*, and again only where it is certain that nothing was done.
//! 2. Acknowledged means committed. The only acknowledgement is the server's answer to `COMMIT`, or to a statement that is a
//!    transaction of its own.
//! 3. No statement needs what an earlier one left in its session: any connection serves any request, also through a proxy
//!    that gives each transaction another one.
//! 4. A process outlives a database that is late, down, starting, read-only or a standby. The process is not ready meanwhile,
//!    and becomes ready again by itself.

mod batch;
mod connect;
mod fate;
mod keeper;
mod lanes;
mod link;
mod pool;
mod posting;
mod prepare;
pub mod redis;
mod scans;
mod turns;
mod url;
mod value;
mod whole;

pub use batch::{Batcher, Operation};
pub use fate::{broken, is_exhausted};
pub use link::Link;
pub use posting::Posting;
pub use prepare::Tables;
pub use turns::{Turn, Turns};
pub use url::PostgresUrl;
pub use value::{read, row_limit, written};
pub use whole::{Part, Version, WholeDatabase};

use connect::Connector;
use futures_util::future::BoxFuture;
use http_kit::metrics::Metrics;
use journal::StoreError;
use lanes::Lanes;
pub use pool::Lease;
use pool::Pool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

/// How long an operation may take, with all its turns and the wait for a connection: less than the deadline of the
/// callers, so that a service says 503 before its caller has given it up. The server stops a statement after as long.
pub const PATIENCE: Duration = Duration::from_millis(2000);
/// Between two looks at the database, and between two attempts to prepare a schema.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a store takes requests, and why not.
type Word = Result<(), Arc<str>>;

/// A process's connections to one database. Clones share them.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    url: PostgresUrl,
    /// How long an operation may take.
    patience: Duration,
    /// For what takes longer than a request may.
    unhurried: Connector,
    pool: Arc<Pool>,
    runtime: Handle,
    word: watch::Receiver<Word>,
    retries: AtomicU64,
    conflicts: AtomicU64,
    lanes: Lanes,
    scans: Arc<Semaphore>,
    batches: AtomicU64,
    batched: AtomicU64,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).iter().for_each(JoinHandle::abort);
    }
}

impl Database {
    /// Opens at most `size` connections when they are needed, and one more that looks whether the database is there and
    /// commits writes. While all are in use, at most `queue` operations wait for one, and the next one fails at once. Must
    /// be called on the Tokio runtime that lives as long as the process. `patience` is how long an operation may take:
    /// [`PATIENCE`], but in tests.
    pub fn open(url: &PostgresUrl, size: usize, queue: usize, patience: Duration, application: &str) -> Self {
        let unhurried = Connector::new(url.hosts(), url.wants_read_write(), application);
        let millis = patience.as_millis().to_string();
        // The connection that looks is made as all others are: where they cannot be made, the process is not ready.
        let hurried = Arc::new(unhurried.with(|options| {
            options.options([
                ("statement_timeout", millis.as_str()),
                // of a process that was stopped between two statements: its locks must not outlive its requests
                ("idle_in_transaction_session_timeout", "10000"),
            ])
        }));
        let runtime = Handle::current();
        let pool = Pool::new(Arc::clone(&hurried), size, queue, runtime.clone());
        let (said, word) = watch::channel(Err("not connected yet".into()));
        let keeper = runtime.spawn(keeper::keep(hurried, url.to_string(), Arc::clone(&pool), said));
        let tasks = Mutex::new(vec![keeper]);
        // Behind a proxy that shares sessions, a prepared statement does not outlive its transaction.
        let unhurried = unhurried.with(|options| options.statement_cache_capacity(0));
        Self(Arc::new(Inner {
            url: url.clone(),
            patience,
            unhurried,
            pool,
            runtime,
            word,
            retries: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            lanes: Lanes::new(size),
            scans: scans::turns(size),
            batches: AtomicU64::new(0),
            batched: AtomicU64::new(0),
            tasks,
        }))
    }

    /// Adds its numbers to `/metrics`.
    pub fn measure(&self, metrics: &Metrics) {
        let count = |read: fn(&Inner) -> u64| {
            let database = self.clone();
            move || read(&database.0)
        };
        metrics.counter(
            "postgres_retries",
            "Turns that were taken again: after conflicts and lost connections",
            count(|inner| inner.retries.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "postgres_conflicts",
            "Those of them after conflicts (40001, 40P01)",
            count(|inner| inner.conflicts.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "postgres_turned_away",
            "Operations that failed at once because too many waited for a connection",
            count(|inner| inner.pool.queue.turned_away()),
        );
        metrics.counter(
            "postgres_batches",
            "Batches of requests that were sent, each as one statement",
            count(|inner| inner.batches.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "postgres_batched",
            "Requests that went in them",
            count(|inner| inner.batched.load(Ordering::Relaxed)),
        );
        metrics.gauge(
            "postgres_waiting",
            "Operations that wait for a connection, or for the batch before theirs",
            count(|inner| inner.pool.queue.waiting() as u64),
        );
        metrics.gauge(
            "postgres_idle_connections",
            "Connections that wait for work",
            count(|inner| inner.pool.parked() as u64),
        );
        metrics.gauge(
            "postgres_left_open",
            "Connections whose statement nobody waits for, and the server has not ended yet",
            count(|inner| inner.pool.open_ends().len() as u64),
        );
        metrics.gauge(
            "postgres_writable",
            "1 where the database answers and commits writes",
            count(|inner| u64::from(inner.word.borrow().is_ok())),
        );
    }

    /// How many turns were taken again.
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// How many batches were sent.
    pub fn batches(&self) -> u64 {
        self.0.batches.load(Ordering::Relaxed)
    }

    /// Ends the background tasks and takes leave of the server.
    pub async fn close(&self) {
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        futures_util::future::join_all(tasks).await;
        self.0.pool.close().await;
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let task = self.0.runtime.spawn(task);
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

/// A service's schema, on which its store runs its statements. Clones share it.
#[derive(Clone)]
pub struct Schema {
    name: &'static str,
    database: Database,
    prepared: watch::Receiver<Word>,
    /// Whether its tables are there, and the role may do with them what the service does. Requests do not wait for it.
    whole: watch::Receiver<Word>,
    /// Told where a statement failed as if this were not so.
    doubted: Arc<Notify>,
}

impl Schema {
    /// Migrates the service's schema and fills it from `seed` where it was never filled, as soon as the database is there.
    /// Returns at once; operations wait for it.
    pub fn open<M: Tables>(database: &Database, seed: M) -> Self {
        let missing = || watch::channel(Err("its tables are not there yet".into()));
        let ((said, prepared), (said_whole, whole)) = (missing(), missing());
        let (connector, word) = (database.0.unhurried.with(|options| options), database.0.word.clone());
        let doubted = Arc::new(Notify::new());
        let told = prepare::Told { prepared: said, whole: said_whole, doubted: Arc::clone(&doubted) };
        database.spawn(prepare::prepare(connector, word, Box::new(seed), told));
        Self { name: M::NAME, database: database.clone(), prepared, whole, doubted }
    }

    /// The schema's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The database that it is in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Whether operations can be expected to work.
    ///
    /// # Errors
    /// Why not.
    pub fn health(&self) -> Result<(), StoreError> {
        for word in [&self.database.0.word, &self.prepared, &self.whole] {
            word.borrow().clone().map_err(|reason| self.not_done(&reason))?;
        }
        Ok(())
    }

    fn not_done(&self, reason: &str) -> StoreError {
        StoreError::Io { reason: format!("{}, schema {}: {reason}", self.database.0.url, self.name).into() }
    }

    fn impossible(&self, reason: &str) -> StoreError {
        StoreError::Rejected {
            reason: format!("{}, schema {}: {reason}", self.database.0.url, self.name).into(),
        }
    }

    fn unknown(&self, reason: &str) -> StoreError {
        StoreError::Unknown {
            reason: format!("{}, schema {}: {reason}", self.database.0.url, self.name).into(),
        }
    }

    /// For [`run!`]: an operation that can be run again to the same effect, until it is answered or its time is over;
    /// after conflicts, lost connections and failovers.
    pub fn repeatable(&self) -> Turns<'_> {
        Turns::new(self, true)
    }

    /// For [`run!`]: an operation that would be done twice by a second run; it is run again only where it is certain that
    /// it was not done.
    pub fn once(&self) -> Turns<'_> {
        Turns::new(self, false)
    }

    fn wait_for_tables(&self, deadline: Instant) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.prepared.borrow().is_ok() {
                return Ok(());
            }
            let mut prepared = self.prepared.clone();
            let waited = timeout_at(deadline, prepared.wait_for(Result::is_ok)).await;
            if matches!(waited, Ok(Ok(_))) {
                Ok(())
            } else {
                self.health().and(Err(self.not_done("not in time")))
            }
        })
    }

    /// Starts a background task that does some work every `period`, from when the tables are there until the database is
    /// closed. Where the work fails, the log says `trouble` and why.
    pub fn every<F>(&self, period: Duration, trouble: &'static str, work: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), StoreError>> + Send,
    {
        let (name, mut prepared) = (self.name, self.prepared.clone());
        self.database.spawn(Box::pin(async move {
            while prepared.wait_for(Result::is_ok).await.is_ok() {
                if let Err(e) = work().await {
                    log::warn!("{name}: {trouble}: {e}");
                }
                sleep(period).await;
            }
        }));
    }
}
