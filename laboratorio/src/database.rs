//! PostgreSQL for a run: two servers of this machine's packages, started here. One is the primary and the other its
//! synchronous standby, so that what is acknowledged is on both disks. Services know one port, [`Database::url`], which
//! leads to whoever is primary.

use crate::child;
use crate::disk::Disk;
use crate::plan::Stop;
use crate::proxy::{Mode, Proxy};
use crate::slot::{Recipe, Slot};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// One that was stopped, or made anew, has caught up by then, also on a machine that is busy.
const CATCH_UP: Duration = Duration::from_secs(60);
/// One statement or one program of PostgreSQL's.
const PROGRAM_TIME: Duration = Duration::from_secs(60);
/// Its database, where the services' schemas are.
const NAME: &str = "mercado";

/// Little memory and small files; a standby that was away for seconds must find what it missed, and come back at once.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
min_wal_size = 4MB
max_wal_size = 48MB
wal_keep_size = 48MB
wal_retrieve_retry_interval = 100ms
wal_receiver_timeout = 5s
wal_sender_timeout = 5s
checkpoint_timeout = 30s
autovacuum_naptime = 5s
";

/// Both servers.
pub struct Database {
    nodes: [Node; 2],
    entrance: Arc<Proxy>,
    bin: PathBuf,
    /// Which is the primary; held while one of the two is down, since a standby that may lack what the primary shows must
    /// not be promoted.
    primary: Mutex<usize>,
}

struct Node {
    slot: Slot,
    /// Leads to this server, whatever port its process has got.
    door: Arc<Proxy>,
    data: PathBuf,
}

impl Database {
    /// Starts both on directories below `dir`, and makes the database. `serializable`: how transactions are isolated that
    /// do not say it.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(dir: &Path, logs: &Path, serializable: bool) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        let bin = installation()?;
        if let Some(user) = user() {
            // which must also get there
            for (path, mode) in [(logs, 0o711), (dir, 0o700)] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io)?;
            }
            let owned =
                child::command("chown").arg(format!("{user}:")).arg(dir).status().await.map_err(io)?;
            if !owned.success() {
                return Err(format!("{}: cannot be given to the user {user}", dir.display()));
            }
        }
        let entrance = Proxy::start().await.map_err(io)?;
        let node = async |name: &str| -> Result<Node, String> {
            let door = Proxy::start().await.map_err(io)?;
            let data = dir.join(name);
            let slot = Slot::new(recipe(&bin, name, &data, logs, &door));
            Ok(Node { slot, door, data })
        };
        let nodes = [node("postgres-a").await?, node("postgres-b").await?];
        let database = Self { nodes, entrance, bin, primary: Mutex::new(0) };
        let [a, b] = &database.nodes;
        let initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1"];
        database.program("initdb", &[&initdb[..], &["--no-sync", "-D", text(&a.data)]].concat()).await?;
        let isolation = if serializable { "default_transaction_isolation = 'serializable'\n" } else { "" };
        a.configure(&format!("{SETTINGS}{isolation}"))?;
        a.slot.start();
        database.patient(0, &format!("create database {NAME}")).await?;
        database.rebuild(1).await?;
        for node in [a, b] {
            // from now on whoever is primary answers no commit that the other does not have
            node.configure("synchronous_standby_names = '*'\n")?;
        }
        database.patient(0, "select pg_reload_conf()").await?;
        database.catch_up(0).await?;
        database.entrance.add(a.door.address);
        Ok(database)
    }

    /// `STORE` of the services.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/{NAME}", self.entrance.address)
    }

    /// The network between the services and whoever is primary.
    pub fn entrance(&self) -> &Arc<Proxy> {
        &self.entrance
    }

    /// The primary stops, and is started again after so long. Whether it was done: not while another of these goes on.
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn stop_primary(&self, how: Stop, down: Duration) -> Result<bool, String> {
        let Ok(primary) = self.primary.try_lock() else { return Ok(false) };
        self.node(*primary).slot.kill(how.signal(), down);
        sleep(down).await;
        self.catch_up(*primary).await.map(|()| true)
    }

    /// The standby is killed, and started again after so long: no commit is answered meanwhile. As
    /// [`Database::stop_primary`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn stop_standby(&self, down: Duration) -> Result<bool, String> {
        let Ok(primary) = self.primary.try_lock() else { return Ok(false) };
        self.node(1 - *primary).slot.kill(Stop::Kill.signal(), down);
        sleep(down).await;
        self.catch_up(*primary).await.map(|()| true)
    }

    /// The disk of both is full for so long. As [`Database::stop_primary`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn fill_disk(&self, disk: &Disk, time: Duration) -> Result<bool, String> {
        let Ok(primary) = self.primary.try_lock() else { return Ok(false) };
        disk.fill().await?;
        sleep(time).await;
        disk.free().await?;
        self.catch_up(*primary).await.map(|()| true)
    }

    /// The primary stops for good, and the standby is promoted; for so long before that, services are led to one that takes
    /// no writes. Then the old primary is made anew, as a standby. As [`Database::stop_primary`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn promote(&self, how: Stop, before: Duration) -> Result<bool, String> {
        let Ok(mut primary) = self.primary.try_lock() else { return Ok(false) };
        let (old, new) = (*primary, 1 - *primary);
        // nothing that the primary shows may be missing on the standby: not even a commit that was never answered, and
        // that a restart of the primary made visible
        self.catch_up(old).await?;
        self.entrance.set(Mode::Cut);
        self.node(old).slot.retire(how.signal()).await;
        self.entrance.remove(self.node(old).door.address);
        self.entrance.add(self.node(new).door.address);
        self.entrance.set(Mode::Pass);
        sleep(before).await;
        if self.patient(new, "select pg_promote(true, 60)").await?.trim() != "t" {
            return Err(format!("{} was not promoted", self.node(new).slot.name));
        }
        *primary = new;
        self.rebuild(old).await?;
        self.catch_up(new).await.map(|()| true)
    }

    /// What a query answers on the primary, without decoration.
    ///
    /// # Errors
    /// `psql`'s.
    pub async fn query(&self, sql: &str) -> Result<String, String> {
        let primary = self.primary.lock().await;
        self.sql(*primary, NAME, sql).await
    }

    /// Ends both cleanly.
    pub async fn stop(&self) {
        let primary = self.primary.lock().await;
        // the primary's last checkpoint waits for no standby
        for which in [*primary, 1 - *primary] {
            self.node(which).slot.retire(Stop::Fast.signal()).await;
        }
    }

    fn node(&self, which: usize) -> &Node {
        let [a, b] = &self.nodes;
        if which == 0 { a } else { b }
    }

    /// Copies the other one, and starts it as its standby.
    async fn rebuild(&self, which: usize) -> Result<(), String> {
        let (node, other) = (self.node(which), self.node(1 - which));
        let deadline = Instant::now() + CATCH_UP;
        let port = other.door.address.port().to_string();
        loop {
            let _ = tokio::fs::remove_dir_all(&node.data).await;
            let args =
                ["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-c", "fast", "-R", "--no-sync", "-D"];
            match self.program("pg_basebackup", &[&args[..], &[text(&node.data)]].concat()).await {
                Ok(_) => break,
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
        node.slot.start();
        Ok(())
    }

    /// Waits until the standby has all that the primary has.
    async fn catch_up(&self, primary: usize) -> Result<(), String> {
        let here = self.patient(primary, "select pg_current_wal_flush_lsn()").await?;
        let sql = format!(
            "select count(*) from pg_stat_replication
             where state = 'streaming' and sync_state = 'sync' and flush_lsn >= '{}'",
            here.trim()
        );
        let deadline = Instant::now() + CATCH_UP;
        while self.patient(primary, &sql).await?.trim() != "1" {
            if Instant::now() > deadline {
                let name = &self.node(primary).slot.name;
                return Err(format!("{name}: its standby has not caught up after {} s", CATCH_UP.as_secs()));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A statement for a server that may be starting.
    async fn patient(&self, which: usize, sql: &str) -> Result<String, String> {
        let deadline = Instant::now() + CATCH_UP;
        loop {
            match self.sql(which, "postgres", sql).await {
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => sleep(Duration::from_millis(50)).await,
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn sql(&self, which: usize, database: &str, sql: &str) -> Result<String, String> {
        let port = self.node(which).door.address.port().to_string();
        let to = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database];
        self.program("psql", &[&["-X", "-q", "-t", "-A"], &to[..], &["-c", sql]].concat()).await
    }

    async fn program(&self, name: &str, args: &[&str]) -> Result<String, String> {
        let (program, mut before) = as_postgres(&self.bin.join(name));
        before.extend(args.iter().map(|a| (*a).to_owned()));
        let mut command = child::command(program);
        // a standby answers no SERIALIZABLE question
        let reading = ("PGOPTIONS", r"-c default_transaction_isolation=repeatable\ read");
        command.args(before).current_dir("/").envs([reading, ("PGCONNECT_TIMEOUT", "5")]);
        let output = timeout(PROGRAM_TIME, command.output()).await.map_err(|_| format!("{name}: no end"))?;
        let output = output.map_err(|e| format!("{name}: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}

impl Node {
    fn configure(&self, lines: &str) -> Result<(), String> {
        let path = self.data.join("postgresql.conf");
        let file = std::fs::File::options().append(true).open(&path);
        file.and_then(|mut f| f.write_all(lines.as_bytes())).map_err(|e| format!("{}: {e}", path.display()))
    }
}

fn recipe(bin: &Path, name: &str, data: &Path, logs: &Path, door: &Arc<Proxy>) -> Recipe {
    let (program, mut args) = as_postgres(&bin.join("postgres"));
    args.extend(["-D".to_owned(), text(data).to_owned()]);
    Recipe {
        name: name.to_owned(),
        program,
        args,
        environment: vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())],
        port: "PGPORT",
        log: logs.join(format!("{name}.log")),
        public: vec![Arc::clone(door)],
        internal: None,
        delays: None,
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// The user that PostgreSQL's servers run as, where this one is root: they refuse to be.
fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("postgres")
}

/// A program and its first arguments; it ends with this process, however that ends. A change of the user makes the kernel
/// forget the signal that was asked for before (see `child`); QUIT lets PostgreSQL remove its shared memory.
fn as_postgres(program: &Path) -> (PathBuf, Vec<String>) {
    let mut args = vec!["--pdeathsig", "QUIT"];
    if let Some(user) = user() {
        args.extend(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    args.extend(["--", text(program)]);
    (PathBuf::from("setpriv"), args.into_iter().map(str::to_owned).collect())
}

/// The newest of this machine's installations.
fn installation() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|v| v.path().join("bin")).filter(|b| b.join("initdb").exists()).collect();
    found.sort_by_key(|b| b.parent().and_then(|v| v.file_name()?.to_str()?.parse::<u32>().ok()));
    found.pop().ok_or_else(|| "PostgreSQL is not installed: Debian's package is postgresql".to_owned())
}
