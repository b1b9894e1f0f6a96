//! The market under test: its processes, the network between them, its disk, and what goes wrong with them.

use crate::clock;
use crate::database::Database;
use crate::disk::Disk;
use crate::history::{Line, Recorder};
use crate::http::{self, Addresses};
use crate::measure::Meter;
use crate::people;
use crate::plan::{Fault, Service, Stop, Way};
use crate::proxy::{Mode, Proxy};
use crate::reading;
use crate::slot::{Recipe, Slot};
use crate::t;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long purchases may still lie unread after a delay is over, in microseconds.
const BACKLOG: u64 = 500_000;
/// Between two looks at the services' counters: what a process counts after the last one is lost with it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whose market.
#[derive(Clone, Debug)]
pub enum Shop {
    /// Ours: the three binaries of this directory, and what they keep their data in.
    Market(PathBuf, Storage),
    /// The shop that everybody writes: this executable's hidden subcommand.
    Naive(PathBuf),
}

/// What the services keep their data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Files.
    Json,
    /// A primary and a synchronous standby.
    Postgres {
        /// Whether their transactions are SERIALIZABLE where they do not say otherwise.
        serializable: bool,
    },
}

impl Storage {
    /// Replicas of a service: at the start, and at most.
    fn replicas(self, service: Service) -> (usize, usize) {
        match (self, service) {
            (Self::Postgres { .. }, _) => (3, 3),
            (Self::Json, Service::Usuarios) => (1, 1),
            (Self::Json, Service::Tokens | Service::Transacciones) => (1, 2),
        }
    }

    /// MiB of the disk that can be filled.
    const fn disk_mib(self) -> u64 {
        match self {
            Self::Json => 192,
            // twice: a server's own tables, and what it has yet to copy or to throw away
            Self::Postgres { .. } => 512,
        }
    }
}

/// A running market.
pub struct World {
    /// Where its files are.
    pub data: PathBuf,
    /// Its database, where it has one.
    pub database: Option<Database>,
    /// Where people log in: the password of the office.
    pub office: Option<String>,
    clients: BTreeMap<Service, Arc<Proxy>>,
    internal: BTreeMap<Service, Arc<Proxy>>,
    slots: BTreeMap<(Service, usize), Slot>,
    disk: Option<Disk>,
    recorder: Arc<Recorder>,
    meter: Arc<Meter>,
    clocks: Option<PathBuf>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    conflicts: Arc<Conflicts>,
    watcher: Option<JoinHandle<()>>,
}

/// By process, its name and how many there were before it: what it last said of `postgres_conflicts_total`.
type Conflicts = Mutex<BTreeMap<(String, u64), u64>>;

impl World {
    /// Starts all processes on an empty store with this seed; with `accounts` people log in.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(
        shop: &Shop,
        accounts: bool,
        dir: &Path,
        recorder: Arc<Recorder>,
        meter: Arc<Meter>,
    ) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        let storage = match shop {
            Shop::Market(_, storage) => *storage,
            Shop::Naive(_) => Storage::Json,
        };
        let data = dir.join("datos");
        std::fs::create_dir_all(&data).map_err(io)?;
        let disk = Disk::mount(&data, storage.disk_mib()).await;
        let disk =
            disk.map_err(|e| say!("{}", t!("se omite: disco lleno ({e})", "skipped: full disk ({e})"))).ok();
        let faketime = clock::library();
        if faketime.is_none() {
            let what = t!(
                "se omite: saltos del reloj (falta el paquete faketime de Debian, y LIBFAKETIME no nombra ninguna biblioteca)",
                "skipped: jumping clock (Debian's package faketime is not installed, LIBFAKETIME names no library)"
            );
            say!("{what}");
        }
        let database = match storage {
            Storage::Json => None,
            Storage::Postgres { serializable } => Some(Database::start(&data, dir, serializable).await?),
        };
        let (mut clients, mut internal) = (BTreeMap::new(), BTreeMap::new());
        for service in Service::ALL {
            clients.insert(service, Proxy::start().await.map_err(io)?);
            internal.insert(service, Proxy::start().await.map_err(io)?);
        }
        let clocks = faketime.as_ref().map(|_| dir.to_owned());
        let mut world = Self {
            data,
            database,
            office: None,
            clients,
            internal,
            slots: BTreeMap::new(),
            disk,
            recorder,
            meter,
            clocks,
            counts: Mutex::default(),
            conflicts: Arc::default(),
            watcher: None,
        };
        match shop {
            Shop::Naive(program) => {
                let slot = Slot::new(world.naive(program, dir));
                slot.start();
                world.slots.insert((Service::Transacciones, 0), slot);
            }
            Shop::Market(bin, storage) => {
                if accounts {
                    let store = world.store(Service::Usuarios);
                    let usuarios = bin.join(Service::Usuarios.name());
                    world.office = Some(people::found(&usuarios, &store, &dir.join("semilla")).await?);
                }
                for service in Service::ALL {
                    let clock = faketime
                        .as_deref()
                        .map(|library| clock::environment(library, dir, service))
                        .transpose()?;
                    let (some, most) = storage.replicas(service);
                    for n in 0..most {
                        let slot = Slot::new(world.replica(bin, dir, service, n, clock.as_deref()));
                        if n < some {
                            slot.start();
                        }
                        world.slots.insert((service, n), slot);
                    }
                }
            }
        }
        if world.database.is_some() {
            let (client, slots) = (http::client(false)?, world.slots.values().cloned().collect());
            world.watcher = Some(tokio::spawn(watch(client, slots, Arc::clone(&world.conflicts))));
        }
        Ok(world)
    }

    fn naive(&self, program: &Path, dir: &Path) -> Recipe {
        Recipe {
            name: "tienda ingenua".to_owned(),
            program: program.to_owned(),
            args: vec!["tienda-ingenua".to_owned()],
            environment: vec![
                ("DATOS".to_owned(), self.data.display().to_string()),
                ("SEED_DIR".to_owned(), dir.join("semilla").display().to_string()),
            ],
            port: "PORT",
            log: dir.join("ingenua.log"),
            public: self.clients.values().cloned().collect(),
            internal: None,
            delays: None,
        }
    }

    fn store(&self, service: Service) -> String {
        match &self.database {
            None => format!("json:{}", self.data.join(service.name()).display()),
            Some(database) => database.url(),
        }
    }

    fn replica(
        &self,
        bin: &Path,
        dir: &Path,
        service: Service,
        n: usize,
        clock: Option<&[(String, String)]>,
    ) -> Recipe {
        let name = format!("{}-{}", service.name(), n + 1);
        let url = |s| self.internal.get(&s).map(|p| p.url()).unwrap_or_default();
        let mut environment = vec![
            ("HOST", "127.0.0.1".to_owned()),
            ("INTERNAL_TOKEN", "laboratorio-0123456789".to_owned()),
            ("STORE", self.store(service)),
            ("SEED_DIR", dir.join("semilla").display().to_string()),
            ("WORKERS", "2".to_owned()),
            ("DRAIN_SECONDS", "0".to_owned()),
            ("GRACE_SECONDS", "5".to_owned()),
            ("HOSTNAME", name.clone()),
            ("RUST_LOG", "warn".to_owned()),
            ("CUENTAS", people::mode(self.office.as_ref())),
            ("USUARIOS_URL", url(Service::Usuarios)),
        ];
        if service == Service::Transacciones {
            environment.push(("TOKENS_URL", url(Service::Tokens)));
            // above the deadline (3 s): recovery and customers who insist must meet
            environment.push(("ORPHAN_AGE_MS", "4000".to_owned()));
        }
        let environment = environment.into_iter().map(|(k, v)| (k.to_owned(), v));
        Recipe {
            program: bin.join(service.name()),
            args: Vec::new(),
            environment: environment.chain(clock.into_iter().flatten().cloned()).collect(),
            port: "PORT",
            log: dir.join(format!("{name}.log")),
            public: self.clients.get(&service).cloned().into_iter().collect(),
            internal: self.internal.get(&service).cloned(),
            delays: (service == Service::Transacciones).then(|| Arc::clone(&self.recorder)),
            name,
        }
    }

    /// Where clients find it.
    pub fn addresses(&self) -> Addresses {
        let url = |s| self.clients.get(&s).map(|p| p.url()).unwrap_or_default();
        Addresses {
            usuarios: url(Service::Usuarios),
            tokens: url(Service::Tokens),
            transacciones: url(Service::Transacciones),
            people: None,
        }
    }

    /// Processes that were killed so far.
    pub fn kills(&self) -> u64 {
        self.slots.values().map(Slot::kills).sum()
    }

    /// What happened, by kind.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        counts.insert("kill -9", self.kills());
        counts.insert("processes started", self.slots.values().map(Slot::starts).sum());
        if self.database.is_some() {
            let conflicts = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.insert("conflicts, taken again", conflicts.values().sum());
        }
        counts
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// One of the replicas that run, or the first; the naive shop is one process for all. `percentile` is of a hundred.
    fn slot(&self, service: Service, percentile: u64) -> Option<&Slot> {
        let all = self.slots.iter().filter(|((s, _), _)| *s == service).map(|(_, slot)| slot);
        let up: Vec<_> = all.filter(|slot| slot.public().is_some()).collect();
        let which = (percentile.saturating_sub(1) * up.len() as u64 / 100).try_into().unwrap_or(0);
        let first = || self.slots.get(&(service, 0)).or_else(|| self.slots.values().next());
        up.get(which).copied().or_else(first)
    }

    fn way(&self, way: Way) -> Option<&Arc<Proxy>> {
        match way {
            Way::Clients(s) => self.clients.get(&s),
            Way::Internal(s) => self.internal.get(&s),
            Way::Database => self.database.as_ref().map(Database::entrance),
        }
    }

    /// Lets it go wrong, and makes it good again where that is part of it.
    ///
    /// # Errors
    /// Where the history or the disk cannot be written, or PostgreSQL does not come back.
    pub async fn apply(&self, fault: Fault) -> Result<(), String> {
        self.recorder.fault(&fault.to_string())?;
        let desde = self.recorder.now();
        let mut delayed = false;
        match fault {
            Fault::Kill { service, percentile, down } => {
                self.slot(service, percentile).inspect(|s| s.kill(Signal::KILL, down));
            }
            Fault::Restart(service, percentile) => {
                self.count("SIGTERM");
                self.slot(service, percentile).inspect(|s| s.signal(Signal::TERM));
            }
            Fault::Freeze(service, percentile, time) => {
                self.count("SIGSTOP");
                if let Some(slot) = self.slot(service, percentile) {
                    slot.signal(Signal::STOP);
                    tokio::time::sleep(time).await;
                    slot.signal(Signal::CONT);
                }
                delayed = service == Service::Transacciones;
            }
            Fault::Cut(way, time) => {
                self.count("network cut");
                self.network(way, Mode::Cut, time).await;
            }
            Fault::Slow(way, by, time) => {
                self.count("network slow");
                self.network(way, Mode::Slow(by), time).await;
                delayed = way == Way::Clients(Service::Transacciones);
            }
            Fault::Hold(way, time) => {
                self.count("network held");
                self.network(way, Mode::Hold, time).await;
                delayed = way == Way::Clients(Service::Transacciones);
            }
            Fault::Replica(service, time) => self.replicas(service, time).await,
            Fault::Disk(time) => self.disk(time).await?,
            Fault::Clock(service, by) => {
                if let Some(dir) = &self.clocks {
                    self.count("clock jump");
                    clock::set(dir, service, by)?;
                }
            }
            Fault::StopPrimary(how, down) => {
                if let Some(database) = &self.database
                    && database.stop_primary(how, down).await?
                {
                    self.count(match how {
                        Stop::Kill => "PostgreSQL, kill -9",
                        Stop::Immediate => "PostgreSQL, immediate",
                        Stop::Fast => "PostgreSQL, fast",
                    });
                }
            }
            Fault::StopStandby(time) => {
                if let Some(database) = &self.database
                    && database.stop_standby(time).await?
                {
                    self.count("standby, kill -9");
                }
            }
            Fault::Promote(how, before) => {
                if let Some(database) = &self.database
                    && database.promote(how, before).await?
                {
                    self.count("standby promoted");
                }
            }
        }
        let now = self.recorder.now();
        let until = fault.lasts().map_or(now, |time| desde + u64::try_from(time.as_micros()).unwrap_or(0));
        self.meter.mark_to(desde, until.max(now), fault.said(), !matches!(fault, Fault::Replica(..)));
        if delayed {
            self.recorder.write(&Line::Delay { desde, hasta: self.recorder.now() + BACKLOG })?;
        }
        Ok(())
    }

    /// The last replica comes and goes, or goes and comes.
    async fn replicas(&self, service: Service, time: Duration) {
        let last = self.slots.iter().rfind(|((s, n), _)| *s == service && *n > 0);
        if let Some((_, slot)) = last {
            if self.database.is_some() {
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
        let Some(disk) = &self.disk else { return Ok(()) };
        if let Some(database) = &self.database {
            if database.fill_disk(disk, time).await? {
                self.count("disk full");
            }
            return Ok(());
        }
        self.count("disk full");
        // a store has some space ahead; one that was just compacted has less
        self.slots.values().for_each(|s| s.signal(Signal::TERM));
        disk.fill().await?;
        tokio::time::sleep(time).await;
        disk.free().await?;
        // a store that lost its disk takes writes again when it is opened again
        self.slots.values().for_each(|s| s.signal(Signal::TERM));
        Ok(())
    }

    async fn network(&self, way: Way, mode: Mode, time: Duration) {
        if let Some(proxy) = self.way(way) {
            proxy.set(mode);
            tokio::time::sleep(time).await;
            proxy.set(Mode::Pass);
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
                    let name = &slot.name;
                    return Err(t!(
                        "{name} terminó con {status} tras SIGTERM",
                        "{name} ended with {status} on SIGTERM"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends the database and gives the disk back: what was on it stays, as files.
    pub async fn close(mut self) {
        if let Some(database) = self.database.take() {
            database.stop().await;
        }
        if let Some(disk) = self.disk.take() {
            disk.unmount().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.watcher.take().inspect(JoinHandle::abort);
    }
}

/// Writes down what the processes count, for as long as they are there.
async fn watch(client: reqwest::Client, slots: Vec<Slot>, conflicts: Arc<Conflicts>) {
    loop {
        for slot in &slots {
            let (public, starts) = (slot.public(), slot.starts());
            if let Some(public) = public
                && let Some(n) =
                    reading::counter(&client, public, "postgres_conflicts_total", LOOK_EVERY).await
            {
                let mut conflicts = conflicts.lock().unwrap_or_else(PoisonError::into_inner);
                let last = conflicts.entry((slot.name.clone(), starts)).or_default();
                // it may have been another process's by the time it was asked
                *last = n.max(*last);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
