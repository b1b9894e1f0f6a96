//! The market on this machine as it runs in a cluster: several processes of each service on one store, behind the gateway.
//! Each has a network of its own that can be cut or slowed.

mod recipe;

use crate::gateway::{Backend, Extra, Gateway};
use crate::history::Recorder;
use crate::plan::Service;
use crate::proxy::{Mode, Proxy};
use crate::slot::Slot;
use crate::{clock, people, t, words};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of all processes; they are all on loopback.
pub const INTERNAL_TOKEN: &str = "laboratorio-0123456789";
/// Above a purchase's deadline (3 s), and short: recovery and customers who insist must meet.
pub const ORPHAN_AGE: Duration = Duration::from_millis(4000);
/// One that starts on a machine that is busy.
const START_TIME: Duration = Duration::from_secs(30);
/// One that leaves finishes what it began.
const LEAVE_TIME: Duration = Duration::from_secs(30);

/// Whose market.
#[derive(Clone, Debug)]
pub enum Programs {
    /// Ours: the three binaries of this directory.
    Market(PathBuf),
    /// The shop that everybody writes, which is one program: this executable's hidden subcommand.
    Naive(PathBuf),
}

/// A process, or a place that waits for one.
#[derive(Clone)]
pub struct Replica {
    /// Of which service; the naive shop's count as `transacciones`.
    pub service: Service,
    /// What it says in `X-Pod`.
    pub name: String,
    /// What it is doing, as far as we know.
    pub state: State,
    slot: Slot,
    door: Arc<Proxy>,
    backend: Arc<Backend>,
}

/// What a process is doing. Its network is another matter: it stays as it is, whatever becomes of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Runs,
    /// SIGSTOP was sent.
    Frozen,
    /// It was killed, and nobody starts it.
    Dead,
}

impl Replica {
    /// Whether the gateway's last probe was answered.
    pub fn ready(&self) -> bool {
        self.backend.ready()
    }

    /// What its network does.
    pub fn network(&self) -> Mode {
        self.door.mode()
    }

    /// Where it can be asked directly, whatever process is there.
    pub fn url(&self) -> String {
        self.door.url()
    }

    /// Its public port; nothing while no process is there.
    pub fn public(&self) -> Option<SocketAddr> {
        self.slot.public()
    }

    /// Processes that were started here so far.
    pub fn starts(&self) -> u64 {
        self.slot.starts()
    }
}

/// The market's processes and what leads to them.
pub struct Local {
    /// Where clients connect.
    pub gateway: Gateway,
    /// Where its store is.
    pub data: PathBuf,
    /// Where people log in: the password of the office.
    pub office: Option<String>,
    programs: Programs,
    dir: PathBuf,
    store: Option<String>,
    clocks: BTreeMap<Service, Vec<(String, String)>>,
    recorder: Option<Arc<Recorder>>,
    internal: BTreeMap<Service, Arc<Proxy>>,
    replicas: Mutex<Vec<Replica>>,
    made: Mutex<BTreeMap<Service, usize>>,
}

/// What to start.
pub struct Setup {
    /// Whose processes.
    pub programs: Programs,
    /// Everything is below it; `semilla` in it is what the store starts with.
    pub dir: PathBuf,
    /// `STORE`; files below `dir` where it is left out.
    pub store: Option<String>,
    /// How many of each service.
    pub replicas: BTreeMap<Service, usize>,
    /// Where clients connect; port 0 is any.
    pub address: SocketAddr,
    /// Routes of the gateway's own.
    pub extra: Option<Extra>,
    /// The library by which clocks can jump.
    pub clocks: Option<PathBuf>,
    /// Where to note that requests may lie unread.
    pub recorder: Option<Arc<Recorder>>,
    /// Whether people log in.
    pub accounts: bool,
}

impl Local {
    /// Starts all processes and waits until each is ready.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(setup: Setup) -> Result<Arc<Self>, String> {
        let data = setup.dir.join("datos");
        std::fs::create_dir_all(&data).map_err(|e| words::failed(&data, &e))?;
        let gateway = Gateway::start(setup.address, setup.extra).await?;
        let mut internal = BTreeMap::new();
        for service in Service::ALL {
            internal.insert(service, Proxy::start().await.map_err(|e| format!("loopback: {e}"))?);
        }
        let mut clocks = BTreeMap::new();
        if let Some(library) = &setup.clocks {
            for service in Service::ALL {
                clocks.insert(service, clock::environment(library, &setup.dir, service)?);
            }
        }
        let office = match &setup.programs {
            Programs::Market(bin) if setup.accounts => {
                let usuarios = bin.join(Service::Usuarios.name());
                let store = recipe::store(setup.store.as_deref(), &data, Service::Usuarios);
                Some(people::found(&usuarios, &store, &setup.dir.join("semilla")).await?)
            }
            _ => None,
        };
        let local = Arc::new(Self {
            gateway,
            office,
            clocks,
            store: setup.store,
            data,
            programs: setup.programs,
            dir: setup.dir,
            recorder: setup.recorder,
            internal,
            replicas: Mutex::default(),
            made: Mutex::default(),
        });
        for (service, n) in
            local.services().into_iter().map(|s| (s, setup.replicas.get(&s).copied().unwrap_or(1)))
        {
            for _ in 0..n {
                local.add(service, None).await?;
            }
        }
        let all: Vec<_> = local.replicas().iter().map(|r| r.name.clone()).collect();
        for name in all {
            local.ready(&name).await?;
        }
        Ok(local)
    }

    /// Whether it is the naive shop.
    pub fn naive(&self) -> bool {
        matches!(self.programs, Programs::Naive(_))
    }

    /// Services that have processes of their own.
    pub fn services(&self) -> Vec<Service> {
        if self.naive() { vec![Service::Transacciones] } else { Service::ALL.to_vec() }
    }

    /// The service whose processes do the work of this one.
    pub fn host_of(&self, service: Service) -> Service {
        if self.naive() { Service::Transacciones } else { service }
    }

    /// As they are now.
    pub fn replicas(&self) -> Vec<Replica> {
        self.lock().clone()
    }

    /// Those of a service, oldest first.
    pub fn of(&self, service: Service) -> Vec<Replica> {
        let service = self.host_of(service);
        self.replicas().into_iter().filter(|r| r.service == service).collect()
    }

    /// The one of this name.
    ///
    /// # Errors
    /// Where there is none.
    pub fn named(&self, name: &str) -> Result<Replica, String> {
        let found = self.replicas().into_iter().find(|r| r.name == name);
        found.ok_or_else(|| t!("no hay ningún proceso {name}", "there is no process {name}"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &str, state: State) {
        self.lock().iter_mut().filter(|r| r.name == name).for_each(|r| r.state = state);
    }

    /// Starts one more; `dies_at` is a point of the purchase at which it dies. Its name.
    ///
    /// # Errors
    /// Where there is no free port.
    pub async fn add(&self, service: Service, dies_at: Option<&str>) -> Result<String, String> {
        let service = self.host_of(service);
        let n = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            let n = made.entry(service).or_default();
            *n += 1;
            *n
        };
        let name = if self.naive() { format!("tienda-{n}") } else { format!("{}-{n}", service.name()) };
        let door = Proxy::start().await.map_err(|e| format!("loopback: {e}"))?;
        let slot = Slot::new(self.recipe(service, &name, &door, dies_at));
        slot.start();
        let serves = match (dies_at, self.naive()) {
            // nobody else is to meet it
            (Some(_), _) => Vec::new(),
            (None, true) => Service::ALL.to_vec(),
            (None, false) => vec![service],
        };
        let backend = self.gateway.add(&serves, &name, &door.url());
        self.lock().push(Replica { service, name: name.clone(), state: State::Runs, slot, door, backend });
        Ok(name)
    }

    /// Waits until it takes requests.
    ///
    /// # Errors
    /// Where it does not, with the place of its log.
    pub async fn ready(&self, name: &str) -> Result<(), String> {
        let deadline = Instant::now() + START_TIME;
        let replica = self.named(name)?;
        while !replica.ready() {
            if Instant::now() > deadline {
                let log = self.dir.join(format!("{name}.log"));
                let (seconds, log) = (START_TIME.as_secs(), log.display());
                return Err(t!(
                    "{name} no está listo después de {seconds} s; su registro es {log}",
                    "{name} is not ready after {seconds} s; its log is {log}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Takes it out of the gateway, lets it finish, and ends it by SIGTERM.
    ///
    /// # Errors
    /// Where it did not end well.
    pub async fn remove(&self, name: &str) -> Result<(), String> {
        let replica = self.named(name)?;
        // one that is starting does not know of signals yet, and ends by this one
        let is_starting = !replica.ready();
        let is_well = |status: ExitStatus| {
            status.success() || (is_starting && status.signal() == Some(Signal::TERM.as_raw()))
        };
        self.gateway.remove(name);
        let ended = tokio::time::timeout(LEAVE_TIME, replica.slot.retire(Signal::TERM)).await;
        self.lock().retain(|r| r.name != name);
        match ended {
            Ok(Some(status)) if !is_well(status) && !self.naive() => {
                Err(t!("{name} terminó con {status} tras SIGTERM", "{name} ended with {status} on SIGTERM"))
            }
            Err(_) => Err(t!("{name} no terminó tras SIGTERM", "{name} did not end on SIGTERM")),
            Ok(_) => Ok(()),
        }
    }

    /// SIGKILL; another process starts in its place after so long, or never.
    ///
    /// # Errors
    /// Where there is none of this name, or no process in its place.
    pub async fn kill(&self, name: &str, again: Option<Duration>) -> Result<(), String> {
        let replica = self.named(name)?;
        // one that was asked to end may not have done so yet
        if replica.state == State::Dead && replica.public().is_none() {
            return Err(dead(name));
        }
        match again {
            Some(after) => replica.slot.kill(Signal::KILL, after),
            None => {
                self.set(name, State::Dead);
                replica.slot.retire(Signal::KILL).await;
            }
        }
        Ok(())
    }

    /// SIGTERM, and nobody starts it again.
    ///
    /// # Errors
    /// Where there is none of this name, or its process has ended or was told to.
    pub async fn terminate(&self, name: &str) -> Result<(), String> {
        let replica = self.named(name)?;
        if replica.state == State::Dead {
            return Err(dead(name));
        }
        self.set(name, State::Dead);
        replica.slot.retire(Signal::TERM).await;
        Ok(())
    }

    /// Starts a process in a place that has none. Its network stays as it is.
    ///
    /// # Errors
    /// Where there is no place of this name, or a process in it.
    pub fn revive(&self, name: &str) -> Result<(), String> {
        let replica = self.named(name)?;
        if replica.state != State::Dead {
            return Err(t!("{name} no está muerto", "{name} is not dead"));
        }
        replica.slot.start();
        self.set(name, State::Runs);
        Ok(())
    }

    /// SIGSTOP, or SIGCONT.
    ///
    /// # Errors
    /// Where there is none of this name, no process in its place, or the process is so already.
    pub fn freeze(&self, name: &str, frozen: bool) -> Result<(), String> {
        match (self.named(name)?, frozen) {
            (Replica { state: State::Dead, .. }, _) => return Err(dead(name)),
            (Replica { state: State::Frozen, .. }, true) => {
                return Err(t!("{name} ya está congelado", "{name} is frozen already"));
            }
            (Replica { state: State::Runs, .. }, false) => {
                return Err(t!("{name} no está congelado", "{name} is not frozen"));
            }
            (replica, _) => replica.slot.signal(if frozen { Signal::STOP } else { Signal::CONT }),
        }
        self.set(name, if frozen { State::Frozen } else { State::Runs });
        Ok(())
    }

    /// What the network between the gateway and this process does.
    ///
    /// # Errors
    /// Where there is none of this name, or its network does that already.
    pub fn network(&self, name: &str, mode: Mode) -> Result<(), String> {
        let replica = self.named(name)?;
        if replica.network() == mode {
            return Err(t!("la red de {name} ya está así", "the network of {name} is like that already"));
        }
        replica.door.set(mode);
        Ok(())
    }

    /// As many as that, of this service.
    ///
    /// # Errors
    /// Where one cannot be started or does not end.
    pub async fn scale(&self, service: Service, n: usize) -> Result<(), String> {
        while self.of(service).len() < n {
            let name = self.add(service, None).await?;
            self.ready(&name).await?;
        }
        while self.of(service).len() > n {
            let Some(last) = self.of(service).pop() else { break };
            self.remove(&last.name).await?;
        }
        Ok(())
    }

    /// A new process first, then the old one goes: as a Deployment with `maxSurge: 1` and `maxUnavailable: 0`.
    ///
    /// # Errors
    /// Where the new one does not become ready, or the old one does not end.
    pub async fn replace(&self, name: &str) -> Result<String, String> {
        let service = self.named(name)?.service;
        let new = self.add(service, None).await?;
        self.ready(&new).await?;
        self.remove(name).await?;
        Ok(new)
    }

    /// SIGTERM to each process that runs, and another one in its place: a store that lost its disk takes writes again when it
    /// is opened again.
    pub fn reopen(&self) {
        self.replicas().iter().filter(|r| r.state == State::Runs).for_each(|r| r.slot.signal(Signal::TERM));
    }

    /// Nobody is frozen, cut off or dead any more.
    pub fn calm(&self) {
        for replica in self.replicas() {
            replica.door.set(Mode::Pass);
            match replica.state {
                State::Runs => {}
                State::Frozen => replica.slot.signal(Signal::CONT),
                State::Dead => replica.slot.start(),
            }
            self.set(&replica.name, State::Runs);
        }
    }

    /// Ends every process cleanly, so that the store's arrays are complete.
    ///
    /// # Errors
    /// Which did not end well.
    pub async fn stop(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        for replica in self.replicas() {
            wrong.extend(self.remove(&replica.name).await.err());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// The base URL of a service's internal port, over the network that `transacciones` uses.
    pub fn internal(&self, service: Service) -> Option<String> {
        self.internal.get(&service).map(|p| p.url())
    }

    /// Where everything is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn dead(name: &str) -> String {
    t!("{name} está muerto", "{name} is dead")
}
