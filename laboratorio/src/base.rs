//! PostgreSQL for a run: two servers of this machine's packages, started here. One is the primary and the other its
//! synchronous standby, so that what is acknowledged is on both disks. Services know one port, [`Base::url`], which leads
//! to whoever is primary.

use crate::disco::Disco;
use crate::plan::Parada;
use crate::proxy::{Modo, Proxy};
use crate::slot::{Receta, Slot};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// One that was stopped, or made anew, has caught up by then, also on a machine that is busy.
const AL_DIA: Duration = Duration::from_secs(60);
/// One statement or one program of PostgreSQL's.
const PROGRAMA: Duration = Duration::from_secs(60);
/// Its database, where the services' schemas are.
const NOMBRE: &str = "mercado";

/// Little memory and small files; a standby that was away for seconds must find what it missed, and come back at once.
const CONFIGURACION: &str = "
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
pub struct Base {
    nodos: [Nodo; 2],
    entrada: Arc<Proxy>,
    bin: PathBuf,
    /// Which is the primary; held while one of the two is down, since a standby that may lack what the primary shows must
    /// not be promoted.
    primario: Mutex<usize>,
}

struct Nodo {
    slot: Slot,
    /// Leads to this server, whatever port its process has got.
    puerta: Arc<Proxy>,
    datos: PathBuf,
}

impl Base {
    /// Starts both on directories below `dir`, and makes the database. `serializable`: how transactions are isolated that
    /// do not say it.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(dir: &Path, logs: &Path, serializable: bool) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        let bin = programas()?;
        if let Some(user) = user() {
            // which must also get there
            for (path, mode) in [(logs, 0o711), (dir, 0o700)] {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io)?;
            }
            let owned = Command::new("chown").arg(format!("{user}:")).arg(dir).status().await.map_err(io)?;
            if !owned.success() {
                return Err(format!("{}: cannot be given to the user {user}", dir.display()));
            }
        }
        let entrada = Proxy::start().await.map_err(io)?;
        let nodo = async |name: &str| -> Result<Nodo, String> {
            let puerta = Proxy::start().await.map_err(io)?;
            let datos = dir.join(name);
            let slot = Slot::new(receta(&bin, name, &datos, logs, &puerta));
            Ok(Nodo { slot, puerta, datos })
        };
        let nodos = [nodo("postgres-a").await?, nodo("postgres-b").await?];
        let base = Self { nodos, entrada, bin, primario: Mutex::new(0) };
        let [a, b] = &base.nodos;
        let initdb = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1"];
        base.program("initdb", &[&initdb[..], &["--no-sync", "-D", text(&a.datos)]].concat()).await?;
        let isolation = if serializable { "default_transaction_isolation = 'serializable'\n" } else { "" };
        a.configure(&format!("{CONFIGURACION}{isolation}"))?;
        a.slot.start();
        base.patient(0, &format!("create database {NOMBRE}")).await?;
        base.rehacer(1).await?;
        for nodo in [a, b] {
            // from now on whoever is primary answers no commit that the other does not have
            nodo.configure("synchronous_standby_names = '*'\n")?;
        }
        base.patient(0, "select pg_reload_conf()").await?;
        base.al_dia(0).await?;
        base.entrada.add(a.puerta.address);
        Ok(base)
    }

    /// `STORE` of the services.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/{NOMBRE}", self.entrada.address)
    }

    /// The network between the services and whoever is primary.
    pub fn entrada(&self) -> &Arc<Proxy> {
        &self.entrada
    }

    /// The primary stops, and is started again after so long. Whether it was done: not while another of these goes on.
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn cae(&self, como: Parada, abajo: Duration) -> Result<bool, String> {
        let Ok(primario) = self.primario.try_lock() else { return Ok(false) };
        self.nodo(*primario).slot.kill(como.signal(), abajo);
        sleep(abajo).await;
        self.al_dia(*primario).await.map(|()| true)
    }

    /// The standby is killed, and started again after so long: no commit is answered meanwhile. As [`Base::cae`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn sin_espejo(&self, abajo: Duration) -> Result<bool, String> {
        let Ok(primario) = self.primario.try_lock() else { return Ok(false) };
        self.nodo(1 - *primario).slot.kill(Parada::Mata.signal(), abajo);
        sleep(abajo).await;
        self.al_dia(*primario).await.map(|()| true)
    }

    /// The disk of both is full for so long. As [`Base::cae`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn sin_disco(&self, disco: &Disco, time: Duration) -> Result<bool, String> {
        let Ok(primario) = self.primario.try_lock() else { return Ok(false) };
        disco.fill().await?;
        sleep(time).await;
        disco.free().await?;
        self.al_dia(*primario).await.map(|()| true)
    }

    /// The primary stops for good, and the standby is promoted; for so long before that, services are led to one that takes
    /// no writes. Then the old primary is made anew, as a standby. As [`Base::cae`].
    ///
    /// # Errors
    /// The two do not come back.
    pub async fn promueve(&self, como: Parada, antes: Duration) -> Result<bool, String> {
        let Ok(mut primario) = self.primario.try_lock() else { return Ok(false) };
        let (viejo, nuevo) = (*primario, 1 - *primario);
        // nothing that the primary shows may be missing on the standby: not even a commit that was never answered, and
        // that a restart of the primary made visible
        self.al_dia(viejo).await?;
        self.entrada.set(Modo::Corta);
        self.nodo(viejo).slot.retire(como.signal()).await;
        self.entrada.remove(self.nodo(viejo).puerta.address);
        self.entrada.add(self.nodo(nuevo).puerta.address);
        self.entrada.set(Modo::Pasa);
        sleep(antes).await;
        if self.patient(nuevo, "select pg_promote(true, 60)").await?.trim() != "t" {
            return Err(format!("{} was not promoted", self.nodo(nuevo).slot.nombre));
        }
        *primario = nuevo;
        self.rehacer(viejo).await?;
        self.al_dia(nuevo).await.map(|()| true)
    }

    /// What a query answers on the primary, without decoration.
    ///
    /// # Errors
    /// `psql`'s.
    pub async fn query(&self, sql: &str) -> Result<String, String> {
        let primario = self.primario.lock().await;
        self.sql(*primario, NOMBRE, sql).await
    }

    /// Ends both cleanly.
    pub async fn stop(&self) {
        let primario = self.primario.lock().await;
        // the primary's last checkpoint waits for no standby
        for which in [*primario, 1 - *primario] {
            self.nodo(which).slot.retire(Parada::Rapida.signal()).await;
        }
    }

    fn nodo(&self, which: usize) -> &Nodo {
        let [a, b] = &self.nodos;
        if which == 0 { a } else { b }
    }

    /// Copies the other one, and starts it as its standby.
    async fn rehacer(&self, which: usize) -> Result<(), String> {
        let (nodo, other) = (self.nodo(which), self.nodo(1 - which));
        let deadline = Instant::now() + AL_DIA;
        let port = other.puerta.address.port().to_string();
        loop {
            let _ = tokio::fs::remove_dir_all(&nodo.datos).await;
            let args =
                ["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-c", "fast", "-R", "--no-sync", "-D"];
            match self.program("pg_basebackup", &[&args[..], &[text(&nodo.datos)]].concat()).await {
                Ok(_) => break,
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
        nodo.slot.start();
        Ok(())
    }

    /// Waits until the standby has all that the primary has.
    async fn al_dia(&self, primario: usize) -> Result<(), String> {
        let here = self.patient(primario, "select pg_current_wal_flush_lsn()").await?;
        let sql = format!(
            "select count(*) from pg_stat_replication
             where state = 'streaming' and sync_state = 'sync' and flush_lsn >= '{}'",
            here.trim()
        );
        let deadline = Instant::now() + AL_DIA;
        while self.patient(primario, &sql).await?.trim() != "1" {
            if Instant::now() > deadline {
                let name = &self.nodo(primario).slot.nombre;
                return Err(format!("{name}: its standby has not caught up after {} s", AL_DIA.as_secs()));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// A statement for a server that may be starting.
    async fn patient(&self, which: usize, sql: &str) -> Result<String, String> {
        let deadline = Instant::now() + AL_DIA;
        loop {
            match self.sql(which, "postgres", sql).await {
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => sleep(Duration::from_millis(50)).await,
                Ok(answer) => return Ok(answer),
            }
        }
    }

    async fn sql(&self, which: usize, database: &str, sql: &str) -> Result<String, String> {
        let port = self.nodo(which).puerta.address.port().to_string();
        let to = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database];
        self.program("psql", &[&["-X", "-q", "-t", "-A"], &to[..], &["-c", sql]].concat()).await
    }

    async fn program(&self, name: &str, args: &[&str]) -> Result<String, String> {
        let (program, mut before) = as_postgres(&self.bin.join(name));
        before.extend(args.iter().map(|a| (*a).to_owned()));
        let mut command = Command::new(program);
        command.args(before).current_dir("/").env("PGCONNECT_TIMEOUT", "5").kill_on_drop(true);
        let output = timeout(PROGRAMA, command.output()).await.map_err(|_| format!("{name}: no end"))?;
        let output = output.map_err(|e| format!("{name}: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}

impl Nodo {
    fn configure(&self, lines: &str) -> Result<(), String> {
        let path = self.datos.join("postgresql.conf");
        let file = std::fs::File::options().append(true).open(&path);
        file.and_then(|mut f| f.write_all(lines.as_bytes())).map_err(|e| format!("{}: {e}", path.display()))
    }
}

fn receta(bin: &Path, nombre: &str, datos: &Path, logs: &Path, puerta: &Arc<Proxy>) -> Receta {
    let (programa, mut args) = as_postgres(&bin.join("postgres"));
    args.extend(["-D".to_owned(), text(datos).to_owned()]);
    Receta {
        nombre: nombre.to_owned(),
        programa,
        args,
        entorno: vec![("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())],
        puerto: "PGPORT",
        registro: logs.join(format!("{nombre}.log")),
        publico: vec![Arc::clone(puerta)],
        interno: None,
        demoras: None,
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// The user that PostgreSQL's servers run as, where this one is root: they refuse to be.
fn user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("postgres")
}

/// A program and its first arguments; it ends with this process, however that ends.
fn as_postgres(program: &Path) -> (PathBuf, Vec<String>) {
    let mut args = vec!["--pdeathsig", "QUIT"];
    if let Some(user) = user() {
        args.extend(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    args.extend(["--", text(program)]);
    (PathBuf::from("setpriv"), args.into_iter().map(str::to_owned).collect())
}

/// The newest of this machine's installations.
fn programas() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|v| v.path().join("bin")).filter(|b| b.join("initdb").exists()).collect();
    found.sort_by_key(|b| b.parent().and_then(|v| v.file_name()?.to_str()?.parse::<u32>().ok()));
    found.pop().ok_or_else(|| "PostgreSQL is not installed: Debian's package is postgresql".to_owned())
}
