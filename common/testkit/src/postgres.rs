//! A PostgreSQL of this process's own, from the machine's packages: nothing global is touched. It is started by the first
//! [`Server::shared`], and ends with this process, however that ends.

use crate::free_port;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Whether the tests of the API are to run on PostgreSQL: `TEST_STORE=postgres`.
pub fn is_chosen() -> bool {
    std::env::var("TEST_STORE").is_ok_and(|store| store == "postgres")
}

/// Ends a test where tests run on PostgreSQL, since it is about files: for this reason. `./test` counts such tests, and shows
/// the reasons.
#[macro_export]
macro_rules! files_only {
    ($reason:literal) => {
        if $crate::postgres::is_chosen() {
            println!("not on PostgreSQL: it {}", $reason);
            return;
        }
    };
}

/// `--store` of a service that a test starts on a directory: the directory, or where [`is_chosen`] the database that goes
/// with it, filled from the directory's arrays.
pub fn store_option(dir: &Path) -> Vec<String> {
    if is_chosen() {
        vec![
            format!("--store={}", Server::shared().database_of(dir)),
            format!("--seed-dir={}", dir.display()),
        ]
    } else {
        vec![format!("--store=json:{}", dir.display())]
    }
}

/// A server on a free port of the loopback address, with a fresh cluster.
pub struct Server {
    /// `-h` and `-p` of its clients.
    port: u16,
    dir: TempDir,
    /// Its end of file tells the guard that this process is gone.
    guard: Mutex<(Child, Option<ChildStdin>)>,
    databases: AtomicU32,
    by_dir: Mutex<HashMap<PathBuf, String>>,
}

/// What a test cluster does without: it need not survive the machine.
const FAST: &str = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n";

impl Server {
    /// The one that the tests of this process share: they take a database each.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(FAST))
    }

    /// The one whose transactions are SERIALIZABLE where they do not say otherwise.
    pub fn serializable() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&format!("{FAST}default_transaction_isolation = 'serializable'\n")))
    }

    /// One more, with these lines in its configuration.
    pub fn start(configuration: &str) -> Self {
        let dir = TempDir::with_prefix("mercado-pg-").expect("a directory");
        let data = dir.path().join("data");
        own(dir.path());
        let made = as_postgres("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .current_dir(dir.path())
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("its configuration");
        writeln!(
            file,
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\n\
             shared_buffers = 64MB\nautovacuum_naptime = 5s\n{configuration}"
        )
        .expect("its configuration");
        let server = Self {
            port,
            guard: Mutex::new(guard(&data)),
            dir,
            databases: AtomicU32::new(0),
            by_dir: Mutex::default(),
        };
        server.up();
        server
    }

    /// Where it listens, on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it, where it was stopped.
    pub fn up(&self) {
        let mut command = as_postgres("pg_ctl");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(self.dir.path().join("log"))
            .args(["-w", "-t", "60", "start"]);
        // pg_ctl's child keeps what it inherits: a pipe would never end
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pg_ctl");
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(started.success(), "{}", log());
    }

    /// Stops it as a crash does: what is under way is cut off.
    pub fn kill(&self) {
        self.stop("immediate");
    }

    /// Stops it as an operator does: sessions are told (57P01).
    pub fn down(&self) {
        self.stop("fast");
    }

    fn stop(&self, how: &str) {
        let mut command = as_postgres("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-w", "-t", "60", "-m", how, "stop"]);
        let stopped = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("pg_ctl");
        assert!(stopped.success(), "it does not stop");
    }

    /// `STORE` of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// `STORE` of a fresh database.
    pub async fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("create database {name}")).await;
        self.url(&name)
    }

    /// `STORE` of the database that goes with a directory: a fresh one the first time that it is asked for.
    pub fn database_of(&self, dir: &Path) -> String {
        let mut known = self.by_dir.lock().unwrap_or_else(PoisonError::into_inner);
        let name = known.entry(dir.to_owned()).or_insert_with(|| {
            let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
            let port = self.port.to_string();
            let mut command = Command::new(bin().join("createdb"));
            command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name]);
            assert!(command.status().expect("createdb").success());
            name
        });
        self.url(name)
    }

    /// What a query of one number answers, by a connection of its own.
    pub async fn count(&self, database: &str, sql: &str) -> i64 {
        let mut connection = self.connect(database).await;
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect(sql)
    }

    /// Runs a statement in a database by a connection of its own.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
        connection.close().await.expect("a close");
    }

    /// A connection of one's own.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(database).parse().expect("a URL");
        options.connect().await.expect("a connection")
    }
}

/// A shell that ends the server when this process ends, also where this process is killed: the kernel closes the pipe then.
/// Servers in statics are never dropped, so this is how each test binary cleans up.
fn guard(data: &Path) -> (Child, Option<ChildStdin>) {
    let script = r#"trap '' INT TERM HUP
        cat >/dev/null
        pid=$(head -1 "$1/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        rm -rf "$2""#;
    let mut child = Command::new("sh")
        .args(["-c", script, "guard"])
        .args([data, data.parent().expect("a directory")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    let pipe = child.stdin.take();
    (child, pipe)
}

impl Drop for Server {
    fn drop(&mut self) {
        let (child, pipe) = &mut *self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.take());
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The newest of the machine's installations.
fn bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut found: Vec<_> =
            versions.map(|v| v.path().join("bin")).filter(|b| b.join("initdb").exists()).collect();
        found.sort_by_key(|b| b.parent().and_then(|v| v.file_name()?.to_str()?.parse::<u32>().ok()));
        found.pop().expect("PostgreSQL's programs: install the package postgresql, as ./test does")
    })
}

/// One of its programs.
fn as_postgres(program: &str) -> Command {
    let mut command = as_postgres_user(bin().join(program));
    command.current_dir("/");
    command
}

/// A program as the user `postgres` where this process is root's: PostgreSQL and PgBouncer refuse to run as root.
pub(crate) fn as_postgres_user(program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a directory to the user `postgres`.
pub(crate) fn own(dir: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres:").arg(dir).status().expect("chown");
        assert!(given.success());
    }
}
