//! The PostgreSQL store under all three services: connections, turns, and a schema for each service in one database.
//! Why so: ADR 0009; what of it runs on which engine: `docs/SCALE.md`.
//!
//! | file | what is in it |
//! | --- | --- |
//! | here | [`Database`] and [`Schema`]: what a store runs its statements on |
//! | `fate` | what an error says of the statement that met it |
//! | `pool` | connections kept open between statements |
//! | `prepare` | migrations, and the seed of an empty database |
//! | `url` | `STORE=postgres://…` |
//! | `whole` | a schema read or filled as a whole, for `mercado migrar` |
//! | `value` | numbers in and out |
//!
//! The laws:
//!
//! 1. What [`run!`] runs can be run again: it finds what an earlier turn did. So an outcome that is not known is
//!    never guessed at; it is run again, and if no turn is answered, the caller hears [`StoreError::Unknown`].
//! 2. Acknowledged means committed. What the server answers to a statement of its own transaction, or to `COMMIT`, is the
//!    only acknowledgement.
//! 3. No statement needs what an earlier one left in its session: any connection serves any request, also through a proxy
//!    that gives each transaction another one.
//! 4. A database that is late, down, starting, read-only or somebody else's standby is waited for, not died of: the
//!    process is not ready meanwhile, and ready again by itself.

mod fate;
mod pool;
mod prepare;
pub mod redis;
mod url;
mod value;
mod whole;

pub use fate::broken;
pub use prepare::Tables;
pub use url::PostgresUrl;
pub use value::{read, written};
pub use whole::{Part, Version, Whole};

use fate::Failed;
use http_kit::metrics::Metrics;
use journal::StoreError;
pub use pool::Lease;
use pool::Pool;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Error};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long an operation may take, with all its turns and the wait for a connection: less than a purchase's deadline, so
/// that a participant says 503 before its coordinator has given it up. The server stops a statement after as long.
pub const PATIENCE: Duration = Duration::from_millis(2000);
/// Between two looks at the database, and between two tries to reach it.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a store takes requests, and why not.
type Word = Result<(), Arc<str>>;

/// A process's connections to one database. Clones share them.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    url: PostgresUrl,
    options: PgConnectOptions,
    pool: Arc<Pool>,
    runtime: Handle,
    word: watch::Receiver<Word>,
    retries: AtomicU64,
    conflicts: AtomicU64,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).iter().for_each(JoinHandle::abort);
    }
}

impl Database {
    /// Opens at most `size` connections when they are needed, and one more that looks whether the database is there and
    /// takes writes. Must be called on the Tokio runtime that lives as long as the process.
    pub fn open(url: &PostgresUrl, size: usize, application: &str) -> Self {
        let millis = PATIENCE.as_millis().to_string();
        let options = url.options().application_name(application);
        let runtime = Handle::current();
        let hurried = options.clone().options([
            ("statement_timeout", millis.as_str()),
            // of a process that was stopped between two statements: its locks must not outlive its requests
            ("idle_in_transaction_session_timeout", "10000"),
        ]);
        let pool = Pool::new(hurried, size, runtime.clone());
        let (said, word) = watch::channel(Err("not connected yet".into()));
        let keeper = runtime.spawn(keep(options.clone(), url.to_string(), Arc::clone(&pool), said));
        let tasks = Mutex::new(vec![keeper]);
        Self(Arc::new(Inner {
            url: url.clone(),
            options,
            pool,
            runtime,
            word,
            retries: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            tasks,
        }))
    }

    /// Adds its numbers to `/metrics`.
    pub fn measure(&self, metrics: &Metrics) {
        let (retries, conflicts, idle, writable) = (self.clone(), self.clone(), self.clone(), self.clone());
        metrics.counter(
            "postgres_retries",
            "Turns that were taken again: after conflicts and lost connections",
            move || retries.retries(),
        );
        metrics.counter("postgres_conflicts", "Those of them after conflicts (40001, 40P01)", move || {
            conflicts.0.conflicts.load(Ordering::Relaxed)
        });
        metrics.gauge("postgres_idle_connections", "Connections that wait for work", move || {
            idle.0.pool.parked() as u64
        });
        metrics.gauge("postgres_writable", "1 where the database answers and takes writes", move || {
            u64::from(writable.0.word.borrow().is_ok())
        });
    }

    /// How many turns were taken again.
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// Ends the tasks behind it and takes leave of the server.
    pub async fn close(&self) {
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        futures_util::future::join_all(tasks).await;
        self.0.pool.close().await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.0.runtime.spawn(task);
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

/// Looks at the database for as long as the process lives, on a connection of its own: a pool that is busy is no reason
/// to send requests elsewhere.
async fn keep(options: PgConnectOptions, shown: String, pool: Arc<Pool>, said: watch::Sender<Word>) {
    let mut own = None;
    loop {
        let looked = timeout(PATIENCE, look(&mut own, &options)).await;
        let word = looked.unwrap_or_else(|_| Err("it does not answer in time".into()));
        if word.is_err() {
            own = None;
            pool.renew();
        }
        pool.reap();
        said.send_if_modified(|before| {
            match (&before, &word) {
                (Err(old), Err(new)) if old == new => return false,
                (_, Err(why)) => log::warn!("{shown}: {why}; not ready, and looking again every second"),
                (Err(_), Ok(())) => log::info!("{shown}: connected"),
                (Ok(()), Ok(())) => return false,
            }
            *before = word;
            true
        });
        sleep(LOOK).await;
    }
}

async fn look(own: &mut Option<PgConnection>, options: &PgConnectOptions) -> Word {
    let ask = async {
        let connection = match own {
            Some(connection) => connection,
            None => own.insert(options.connect().await?),
        };
        // in recovery it is "on", too; and where a disk is nearly full some operators set it
        let read_only = sqlx::query_scalar!(r#"select current_setting('transaction_read_only') as "it!""#);
        read_only.fetch_one(connection).await
    };
    match ask.await {
        Ok(on) if on == "on" => Err("it takes no writes (a standby, or read-only)".into()),
        Ok(_) => Ok(()),
        Err(e) => Err(e.to_string().into()),
    }
}

/// A service's schema, on which its store runs its statements. Clones share it.
#[derive(Clone)]
pub struct Schema {
    name: &'static str,
    database: Database,
    prepared: watch::Receiver<Word>,
}

impl Schema {
    /// Migrates the service's schema and fills it from `seed` where it was never filled, as soon as the database is there.
    /// Returns at once; operations wait for it.
    pub fn open<M: Tables>(database: &Database, seed: M) -> Self {
        let (said, prepared) = watch::channel(Err("its tables are not there yet".into()));
        let (options, word) = (database.0.options.clone(), database.0.word.clone());
        database.spawn(prepare::prepare(options, word, seed, said));
        Self { name: M::NAME, database: database.clone(), prepared }
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
        for word in [&self.database.0.word, &self.prepared] {
            word.borrow().clone().map_err(|reason| self.not_done(&reason))?;
        }
        Ok(())
    }

    fn not_done(&self, reason: &str) -> StoreError {
        StoreError::Io { reason: format!("{}, schema {}: {reason}", self.database.0.url, self.name).into() }
    }

    fn unknown(&self, reason: &str) -> StoreError {
        StoreError::Unknown {
            reason: format!("{}, schema {}: {reason}", self.database.0.url, self.name).into(),
        }
    }

    /// For [`run!`]: an operation that can be run again to the same effect, until it is answered or [`PATIENCE`] is over;
    /// after conflicts, lost connections and failovers.
    pub fn repeatable(&self) -> Turns<'_> {
        self.turns(true)
    }

    /// For [`run!`]: an operation that would be done twice by a second run; it is run again only where it is certain that
    /// it was not done.
    pub fn once(&self) -> Turns<'_> {
        self.turns(false)
    }

    fn turns(&self, repeatable: bool) -> Turns<'_> {
        let deadline = Instant::now() + PATIENCE;
        Turns { schema: self, repeatable, deadline, taken: 0, left_open: None }
    }

    async fn wait_for_tables(&self, deadline: Instant) -> Result<(), StoreError> {
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
    }

    /// Does something every so often behind the requests, while the tables are there and until the database is closed.
    pub fn every<F>(&self, period: Duration, work: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut prepared = self.prepared.clone();
        self.database.spawn(async move {
            while prepared.wait_for(Result::is_ok).await.is_ok() {
                work().await;
                sleep(period).await;
            }
        });
    }
}

/// The turns of one operation; [`run!`] takes them.
pub struct Turns<'a> {
    schema: &'a Schema,
    repeatable: bool,
    deadline: Instant,
    taken: u32,
    /// Why it is not known whether an earlier turn was done, where one may have been.
    left_open: Option<String>,
}

/// What a turn knows of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// One may have been done: what it would have made may be there.
    pub maybe_done: bool,
}

/// Runs an operation on a schema: `run!(schema.repeatable(), |connection, turn| …)`, where `…` is the body of an async
/// function that gives `Result<T, sqlx::Error>`; it is a `Result<T, StoreError>`: `Unknown` where a turn may have been done,
/// `Io` where none was.
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
                    let $connection = lease.connection()?;
                    $op
                })
                .await;
            if let Some(end) = turns.end(lease, answer).await {
                break end;
            }
        }
    }};
}

impl Turns<'_> {
    /// A connection for the next turn.
    ///
    /// # Errors
    /// [`StoreError`] where there is none before the deadline.
    #[doc(hidden)]
    pub async fn begin(&mut self) -> Result<(Lease, Turn), StoreError> {
        if self.taken == 0 {
            self.schema.wait_for_tables(self.deadline).await?;
        }
        loop {
            match self.schema.database.0.pool.lease(self.deadline).await {
                Ok(lease) => return Ok((lease, Turn { maybe_done: self.left_open.is_some() })),
                Err(e) => self.after(Failed::to_connect(&e)).await?,
            }
        }
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
        let failed = match answer {
            Ok(value) => {
                lease.keep();
                return Some(Ok(value));
            }
            Err(e) => Failed::of(&e),
        };
        if failed.cut {
            lease.discard();
            // a server that went away took its other connections with it
            self.schema.database.0.pool.renew();
        } else {
            drop(lease);
        }
        self.after(failed).await.err().map(Err)
    }

    /// Waits for the next turn.
    async fn after(&mut self, failed: Failed) -> Result<(), StoreError> {
        let Failed { maybe_done, passing, conflict, reason, .. } = failed;
        if maybe_done {
            self.left_open = Some(reason.clone());
        }
        let wait = pause(self.taken);
        let over = !passing || Instant::now() + wait >= self.deadline;
        match &self.left_open {
            Some(reason) if over || !self.repeatable => return Err(self.schema.unknown(reason)),
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

/// Takes leave of a server; one that is gone already needs none.
async fn leave(connection: PgConnection) {
    if let Err(e) = connection.close().await {
        log::debug!("a connection did not close: {e}");
    }
}
