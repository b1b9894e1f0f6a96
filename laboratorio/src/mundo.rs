//! The market under test: its processes, the network between them, its disk, and what goes wrong with them.

use crate::base::Base;
use crate::disco::Disco;
use crate::history::{Linea, Registro};
use crate::http::{self, Direcciones};
use crate::lectura;
use crate::plan::{Falla, Parada, Servicio, Via};
use crate::proxy::{Modo, Proxy};
use crate::slot::{Receta, Slot};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long purchases may still lie unread after a delay is over, in microseconds.
const RESACA: u64 = 500_000;
/// Between two looks at the services' counters: what a process counts after the last one is lost with it.
const MIRADA: Duration = Duration::from_millis(200);

/// Whose market.
#[derive(Clone, Debug)]
pub enum Tienda {
    /// Ours: the three binaries of this directory, and what they keep their data in.
    Mercado(PathBuf, Almacen),
    /// The shop that everybody writes: this executable's hidden subcommand.
    Ingenua(PathBuf),
}

/// What the services keep their data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Almacen {
    /// Files.
    Json,
    /// A primary and a synchronous standby.
    Postgres {
        /// Whether their transactions are SERIALIZABLE where they do not say otherwise.
        serializable: bool,
    },
}

impl Almacen {
    /// Replicas of a service: at the start, and at most.
    fn replicas(self, servicio: Servicio) -> (usize, usize) {
        match (self, servicio) {
            (Self::Postgres { .. }, _) => (3, 3),
            (Self::Json, Servicio::Usuarios) => (1, 1),
            (Self::Json, Servicio::Tokens | Servicio::Transacciones) => (1, 2),
        }
    }

    /// MiB of the disk that can be filled.
    const fn disco(self) -> u64 {
        match self {
            Self::Json => 192,
            // twice: a server's own tables, and what it has yet to copy or to throw away
            Self::Postgres { .. } => 512,
        }
    }
}

/// A running market.
pub struct Mundo {
    /// Where its files are.
    pub datos: PathBuf,
    /// Its database, where it has one.
    pub base: Option<Base>,
    clientes: BTreeMap<Servicio, Arc<Proxy>>,
    internas: BTreeMap<Servicio, Arc<Proxy>>,
    slots: BTreeMap<(Servicio, usize), Slot>,
    disco: Option<Disco>,
    registro: Arc<Registro>,
    relojes: Option<PathBuf>,
    cuenta: Mutex<BTreeMap<&'static str, u64>>,
    conflictos: Arc<Conflictos>,
    mirada: Option<JoinHandle<()>>,
}

/// By process, its name and how many there were before it: what it last said of `postgres_conflicts_total`.
type Conflictos = Mutex<BTreeMap<(String, u64), u64>>;

impl Mundo {
    /// Starts all processes on an empty store with this seed.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(tienda: &Tienda, dir: &Path, registro: Arc<Registro>) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        let almacen = match tienda {
            Tienda::Mercado(_, almacen) => *almacen,
            Tienda::Ingenua(_) => Almacen::Json,
        };
        let datos = dir.join("datos");
        std::fs::create_dir_all(&datos).map_err(io)?;
        let disco = Disco::mount(&datos, almacen.disco()).await;
        let disco = disco.map_err(|e| say!("skipped: full disk ({e})")).ok();
        let faketime = faketime();
        if faketime.is_none() {
            say!(
                "skipped: jumping clock (Debian's package faketime is not installed, LIBFAKETIME names no library)"
            );
        }
        let base = match almacen {
            Almacen::Json => None,
            Almacen::Postgres { serializable } => Some(Base::start(&datos, dir, serializable).await?),
        };
        let (mut clientes, mut internas) = (BTreeMap::new(), BTreeMap::new());
        for servicio in Servicio::ALL {
            clientes.insert(servicio, Proxy::start().await.map_err(io)?);
            internas.insert(servicio, Proxy::start().await.map_err(io)?);
        }
        let relojes = faketime.as_ref().map(|_| dir.to_owned());
        let mut mundo = Self {
            datos,
            base,
            clientes,
            internas,
            slots: BTreeMap::new(),
            disco,
            registro,
            relojes,
            cuenta: Mutex::default(),
            conflictos: Arc::default(),
            mirada: None,
        };
        match tienda {
            Tienda::Ingenua(programa) => {
                let slot = Slot::new(mundo.ingenua(programa, dir));
                slot.start();
                mundo.slots.insert((Servicio::Transacciones, 0), slot);
            }
            Tienda::Mercado(bin, almacen) => {
                for servicio in Servicio::ALL {
                    let reloj =
                        faketime.as_deref().map(|library| reloj(library, dir, servicio)).transpose()?;
                    let (some, most) = almacen.replicas(servicio);
                    for n in 0..most {
                        let slot = Slot::new(mundo.replica(bin, dir, servicio, n, reloj.as_deref()));
                        if n < some {
                            slot.start();
                        }
                        mundo.slots.insert((servicio, n), slot);
                    }
                }
            }
        }
        if mundo.base.is_some() {
            let (client, slots) = (http::client(false)?, mundo.slots.values().cloned().collect());
            mundo.mirada = Some(tokio::spawn(mirar(client, slots, Arc::clone(&mundo.conflictos))));
        }
        Ok(mundo)
    }

    fn ingenua(&self, programa: &Path, dir: &Path) -> Receta {
        Receta {
            nombre: "tienda ingenua".to_owned(),
            programa: programa.to_owned(),
            args: vec!["tienda-ingenua".to_owned()],
            entorno: vec![
                ("DATOS".to_owned(), self.datos.display().to_string()),
                ("SEED_DIR".to_owned(), dir.join("semilla").display().to_string()),
            ],
            puerto: "PORT",
            registro: dir.join("ingenua.log"),
            publico: self.clientes.values().cloned().collect(),
            interno: None,
            demoras: None,
        }
    }

    fn replica(
        &self,
        bin: &Path,
        dir: &Path,
        servicio: Servicio,
        n: usize,
        reloj: Option<&[(String, String)]>,
    ) -> Receta {
        let nombre = format!("{}-{}", servicio.nombre(), n + 1);
        let url = |s| self.internas.get(&s).map(|p| p.url()).unwrap_or_default();
        let store = match &self.base {
            None => format!("json:{}", self.datos.join(servicio.nombre()).display()),
            Some(base) => base.url(),
        };
        let mut entorno = vec![
            ("HOST", "127.0.0.1".to_owned()),
            ("INTERNAL_TOKEN", "laboratorio-0123456789".to_owned()),
            ("STORE", store),
            ("SEED_DIR", dir.join("semilla").display().to_string()),
            ("WORKERS", "2".to_owned()),
            ("DRAIN_SECONDS", "0".to_owned()),
            ("GRACE_SECONDS", "5".to_owned()),
            ("HOSTNAME", nombre.clone()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        if servicio == Servicio::Transacciones {
            entorno.push(("USUARIOS_URL", url(Servicio::Usuarios)));
            entorno.push(("TOKENS_URL", url(Servicio::Tokens)));
            // above the deadline (3 s): recovery and customers who insist must meet
            entorno.push(("ORPHAN_AGE_MS", "4000".to_owned()));
        }
        let entorno = entorno.into_iter().map(|(k, v)| (k.to_owned(), v));
        Receta {
            programa: bin.join(servicio.nombre()),
            args: Vec::new(),
            entorno: entorno.chain(reloj.into_iter().flatten().cloned()).collect(),
            puerto: "PORT",
            registro: dir.join(format!("{nombre}.log")),
            publico: self.clientes.get(&servicio).cloned().into_iter().collect(),
            interno: self.internas.get(&servicio).cloned(),
            demoras: (servicio == Servicio::Transacciones).then(|| Arc::clone(&self.registro)),
            nombre,
        }
    }

    /// Where clients find it.
    pub fn direcciones(&self) -> Direcciones {
        let url = |s| self.clientes.get(&s).map(|p| p.url()).unwrap_or_default();
        Direcciones {
            usuarios: url(Servicio::Usuarios),
            tokens: url(Servicio::Tokens),
            transacciones: url(Servicio::Transacciones),
        }
    }

    /// Processes that were killed so far.
    pub fn kills(&self) -> u64 {
        self.slots.values().map(Slot::kills).sum()
    }

    /// What happened, by kind.
    pub fn cuenta(&self) -> BTreeMap<&'static str, u64> {
        let mut cuenta = self.cuenta.lock().unwrap_or_else(PoisonError::into_inner).clone();
        cuenta.insert("kill -9", self.kills());
        cuenta.insert("processes started", self.slots.values().map(Slot::starts).sum());
        if self.base.is_some() {
            let conflictos = self.conflictos.lock().unwrap_or_else(PoisonError::into_inner);
            cuenta.insert("conflicts, taken again", conflictos.values().sum());
        }
        cuenta
    }

    fn count(&self, what: &'static str) {
        *self.cuenta.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// One of the replicas that run, or the first; the naive shop is one process for all. `cual` is of a hundred.
    fn slot(&self, servicio: Servicio, cual: u64) -> Option<&Slot> {
        let all = self.slots.iter().filter(|((s, _), _)| *s == servicio).map(|(_, slot)| slot);
        let up: Vec<_> = all.filter(|slot| slot.public().is_some()).collect();
        let which = (cual.saturating_sub(1) * up.len() as u64 / 100).try_into().unwrap_or(0);
        let first = || self.slots.get(&(servicio, 0)).or_else(|| self.slots.values().next());
        up.get(which).copied().or_else(first)
    }

    fn via(&self, via: Via) -> Option<&Arc<Proxy>> {
        match via {
            Via::Clientes(s) => self.clientes.get(&s),
            Via::Interna(s) => self.internas.get(&s),
            Via::Base => self.base.as_ref().map(Base::entrada),
        }
    }

    /// Lets it go wrong, and makes it good again where that is part of it.
    ///
    /// # Errors
    /// Where the history or the disk cannot be written, or PostgreSQL does not come back.
    pub async fn apply(&self, falla: Falla) -> Result<(), String> {
        self.registro.falla(&format!("{falla:?}"))?;
        let desde = self.registro.now();
        let mut retrasa = false;
        match falla {
            Falla::Mata { servicio, cual, abajo } => {
                self.slot(servicio, cual).inspect(|s| s.kill(Signal::KILL, abajo));
            }
            Falla::Reinicia(servicio, cual) => {
                self.count("SIGTERM");
                self.slot(servicio, cual).inspect(|s| s.signal(Signal::TERM));
            }
            Falla::Congela(servicio, cual, time) => {
                self.count("SIGSTOP");
                if let Some(slot) = self.slot(servicio, cual) {
                    slot.signal(Signal::STOP);
                    tokio::time::sleep(time).await;
                    slot.signal(Signal::CONT);
                }
                retrasa = servicio == Servicio::Transacciones;
            }
            Falla::Corta(via, time) => {
                self.count("network cut");
                self.network(via, Modo::Corta, time).await;
            }
            Falla::Demora(via, by, time) => {
                self.count("network slow");
                self.network(via, Modo::Demora(by), time).await;
                retrasa = via == Via::Clientes(Servicio::Transacciones);
            }
            Falla::Retiene(via, time) => {
                self.count("network held");
                self.network(via, Modo::Retiene, time).await;
                retrasa = via == Via::Clientes(Servicio::Transacciones);
            }
            Falla::Replica(servicio, time) => self.replicas(servicio, time).await,
            Falla::Disco(time) => self.disk(time).await?,
            Falla::Reloj(servicio, by) => {
                if let Some(dir) = &self.relojes {
                    self.count("clock jump");
                    let reloj = dir.join(format!("reloj-{}", servicio.nombre()));
                    std::fs::write(reloj, format!("{by:+}s")).map_err(|e| format!("clock: {e}"))?;
                }
            }
            Falla::Cae(como, abajo) => {
                if let Some(base) = &self.base
                    && base.cae(como, abajo).await?
                {
                    self.count(match como {
                        Parada::Mata => "PostgreSQL, kill -9",
                        Parada::Inmediata => "PostgreSQL, immediate",
                        Parada::Rapida => "PostgreSQL, fast",
                    });
                }
            }
            Falla::SinEspejo(time) => {
                if let Some(base) = &self.base
                    && base.sin_espejo(time).await?
                {
                    self.count("standby, kill -9");
                }
            }
            Falla::Promueve(como, antes) => {
                if let Some(base) = &self.base
                    && base.promueve(como, antes).await?
                {
                    self.count("standby promoted");
                }
            }
        }
        if retrasa {
            self.registro.write(&Linea::Demora { desde, hasta: self.registro.now() + RESACA })?;
        }
        Ok(())
    }

    /// The last replica comes and goes, or goes and comes.
    async fn replicas(&self, servicio: Servicio, time: Duration) {
        let last = self.slots.iter().rfind(|((s, n), _)| *s == servicio && *n > 0);
        if let Some((_, slot)) = last {
            if self.base.is_some() {
                self.count("replica less");
                slot.retire(Signal::TERM).await;
                tokio::time::sleep(time).await;
                slot.start();
            } else {
                self.count("second replica");
                slot.start();
                tokio::time::sleep(time).await;
                slot.retire(Signal::TERM).await;
            }
        }
    }

    async fn disk(&self, time: Duration) -> Result<(), String> {
        let Some(disco) = &self.disco else { return Ok(()) };
        if let Some(base) = &self.base {
            if base.sin_disco(disco, time).await? {
                self.count("disk full");
            }
            return Ok(());
        }
        self.count("disk full");
        // a store has some space ahead; one that was just compacted has less
        self.slots.values().for_each(|s| s.signal(Signal::TERM));
        disco.fill().await?;
        tokio::time::sleep(time).await;
        disco.free().await?;
        // a store that lost its disk takes writes again when it is opened again
        self.slots.values().for_each(|s| s.signal(Signal::TERM));
        Ok(())
    }

    async fn network(&self, via: Via, modo: Modo, time: Duration) {
        if let Some(proxy) = self.via(via) {
            proxy.set(modo);
            tokio::time::sleep(time).await;
            proxy.set(Modo::Pasa);
        }
    }

    /// Ends every service cleanly.
    ///
    /// # Errors
    /// Which did not end well.
    pub async fn stop(&self) -> Result<(), String> {
        for slot in self.slots.values() {
            match slot.retire(Signal::TERM).await {
                Some(status) if !status.success() => {
                    return Err(format!("{} ended with {status} on SIGTERM", slot.nombre));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the database and gives the disk back: what was on it stays, as files.
    pub async fn close(mut self) {
        if let Some(base) = self.base.take() {
            base.stop().await;
        }
        if let Some(disco) = self.disco.take() {
            disco.unmount().await;
        }
    }
}

impl Drop for Mundo {
    fn drop(&mut self) {
        self.mirada.take().inspect(JoinHandle::abort);
    }
}

/// Writes down what the processes count, for as long as they are there.
async fn mirar(client: reqwest::Client, slots: Vec<Slot>, conflictos: Arc<Conflictos>) {
    loop {
        for slot in &slots {
            let (public, starts) = (slot.public(), slot.starts());
            if let Some(public) = public
                && let Some(n) = lectura::counter(&client, public, "postgres_conflicts_total").await
            {
                let mut conflictos = conflictos.lock().unwrap_or_else(PoisonError::into_inner);
                let last = conflictos.entry((slot.nombre.clone(), starts)).or_default();
                // it may have been another process's by the time it was asked
                *last = n.max(*last);
            }
        }
        tokio::time::sleep(MIRADA).await;
    }
}

/// What a process needs whose clock can jump: one clock for a service.
fn reloj(library: &Path, dir: &Path, servicio: Servicio) -> Result<Vec<(String, String)>, String> {
    let reloj = dir.join(format!("reloj-{}", servicio.nombre()));
    std::fs::write(&reloj, "+0s").map_err(|e| format!("{}: {e}", reloj.display()))?;
    let entorno = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", reloj.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(entorno.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// `LIBFAKETIME`, or where Debian's package puts the library.
fn faketime() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LIBFAKETIME") {
        return Some(path.into());
    }
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    machines.flatten().map(|m| m.path().join("faketime/libfaketimeMT.so.1")).find(|p| p.exists())
}
