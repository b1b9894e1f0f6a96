//! The market under attack: the three services, each its own process with its limits, on a store of files.

use super::customers::Customers;
use super::probes::{Met, Probes};
use super::{Scale, raw, warden::Warden};
use crate::{child, t};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How long something may take that must come: a start, a recovery.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Users of the seed; customers are the first of them.
pub const USUARIOS: u64 = 50;
/// A user of the seed who has nothing.
pub const POOR: u64 = 40;
/// A token of the seed that nobody buys: its picture is a large file.
pub const PICTURE: u64 = 1;
/// A token of the seed that nobody could pay.
pub const DEAR: u64 = 2;
/// The first token of the seed that customers buy.
pub const FIRST: u64 = 100;
/// Bytes of the large picture.
pub const PICTURE_BYTES: usize = 8 << 20;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// People and their balance.
    Usuarios,
    /// The catalogue.
    Tokens,
    /// The purchases.
    Transacciones,
}

/// In the order in which they start.
pub const SERVICES: [Service; 3] = [Service::Usuarios, Service::Tokens, Service::Transacciones];

impl Service {
    /// Of its binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usuarios => "usuarios",
            Self::Tokens => "tokens",
            Self::Transacciones => "transacciones",
        }
    }
}

/// Ports that a process keeps over its restarts.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// What clients ask.
    pub public: SocketAddr,
    /// What kubelets ask.
    pub internal: SocketAddr,
}

struct Place {
    service: Service,
    ports: Ports,
    running: Option<(Child, Warden)>,
}

/// The market.
pub struct Arena {
    /// How large everything is.
    pub scale: Scale,
    /// Where its data and logs are.
    pub dir: PathBuf,
    /// Who buys meanwhile.
    pub customers: Arc<Customers>,
    /// Tokens that an attack has made, each acknowledged.
    pub made: Vec<u64>,
    bin: PathBuf,
    cgroup: Option<PathBuf>,
    places: Vec<Place>,
}

impl Arena {
    /// Starts it on an empty store with a seed that is large enough for so many kinds.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(
        bin: &Path,
        dir: &Path,
        scale: Scale,
        cgroup: Option<&Path>,
        kinds: usize,
    ) -> Result<Self, String> {
        let tokens = seed(dir, scale, kinds).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut places = Vec::new();
        for service in SERVICES {
            let ports = Ports { public: free_port()?, internal: free_port()? };
            places.push(Place { service, ports, running: None });
        }
        let place = |service: Service| places.iter().find(|p| p.service == service).map(|p| p.ports.public);
        let buy = place(Service::Transacciones).ok_or("no place")?;
        let customers = Arc::new(Customers::new(buy, FIRST..FIRST + tokens));
        let cgroup = cgroup.map(Path::to_owned);
        let mut arena = Self {
            scale,
            dir: dir.to_owned(),
            customers,
            made: Vec::new(),
            bin: bin.to_owned(),
            cgroup,
            places,
        };
        arena.revive().await?;
        Ok(arena)
    }

    /// Where a service's clients find it.
    pub fn public(&self, service: Service) -> SocketAddr {
        self.ports(service).public
    }

    /// The ports of a service.
    pub fn ports(&self, service: Service) -> Ports {
        let fallback =
            Ports { public: (Ipv4Addr::LOCALHOST, 1).into(), internal: (Ipv4Addr::LOCALHOST, 1).into() };
        self.places.iter().find(|p| p.service == service).map_or(fallback, |p| p.ports)
    }

    /// Its process.
    pub fn pid(&self, service: Service) -> Option<u32> {
        self.places.iter().find(|p| p.service == service)?.running.as_ref()?.0.id()
    }

    /// Where a binary of the market is.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Of the tokens that an attack has made, some that are not there: of all that were acknowledged a few hundred are
    /// asked for.
    ///
    /// # Errors
    /// Where the market cannot be read.
    pub async fn missing_tokens(&self) -> Result<Vec<u64>, String> {
        let step = (self.made.len() / 300).max(1);
        let mut missing = Vec::new();
        for id in self.made.iter().step_by(step).chain(self.made.last()) {
            let path = format!("/tokens/{id}");
            let reply =
                raw::get(self.public(Service::Tokens), &path).await.map_err(|e| format!("{path}: {e}"))?;
            if reply.status != 200 {
                missing.push(*id);
            }
        }
        Ok(missing)
    }

    /// A service's log.
    pub fn log(&self, service: Service) -> PathBuf {
        self.dir.join(format!("{}.log", service.name()))
    }

    /// Starts what does not run, and waits until everything is ready.
    ///
    /// # Errors
    /// What did not become ready.
    pub async fn revive(&mut self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            for i in 0..self.places.len() {
                let service = self.places[i].service;
                if self.places[i].running.is_none() {
                    let child = self.spawn(service).map_err(|e| format!("{}: {e}", service.name()))?;
                    let pid = child.id().ok_or("no process")?;
                    let warden = Warden::watch(pid, service.name(), self.cgroup.as_deref())?;
                    self.places[i].running = Some((child, warden));
                }
            }
            if self.is_ready().await {
                return Ok(());
            }
            self.bury();
            if start.elapsed() > PATIENCE {
                let log = |p: &Place| last_line(&self.log(p.service));
                let said: Vec<_> = self.places.iter().map(log).collect();
                return Err(t!(
                    "no está listo en {} s: {}",
                    "not ready within {} s: {}",
                    PATIENCE.as_secs(),
                    said.join(" | ")
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether all are ready now.
    pub async fn is_ready(&self) -> bool {
        for place in &self.places {
            let asked =
                tokio::time::timeout(Duration::from_secs(5), raw::get(place.ports.internal, "/readyz"));
            if !matches!(asked.await, Ok(Ok(reply)) if reply.status == 200) {
                return false;
            }
        }
        true
    }

    /// Waits until all are ready, without starting any; whether they were in time.
    pub async fn becomes_ready(&self, patience: Duration) -> bool {
        let start = Instant::now();
        while !self.is_ready().await {
            if start.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        true
    }

    /// Takes note of processes that have ended: why each did.
    pub fn bury(&mut self) -> Vec<String> {
        let mut dead = Vec::new();
        for place in &mut self.places {
            let Some((child, warden)) = &mut place.running else { continue };
            if let Ok(Some(status)) = child.try_wait() {
                dead.push(epitaph(place.service, status, warden.killed()));
                place.running = None;
            }
        }
        dead
    }

    /// `kill -9` of all, and a start on what they left.
    ///
    /// # Errors
    /// What did not start again.
    pub async fn restart(&mut self) -> Result<(), String> {
        for place in &mut self.places {
            if let Some((mut child, _)) = place.running.take() {
                child.kill().await.map_err(|e| format!("kill {}: {e}", place.service.name()))?;
            }
        }
        self.revive().await
    }

    /// The most MiB that each service has had since the last time that this was asked.
    pub fn peaks(&self) -> Vec<(Service, u64)> {
        let peak = |p: &Place| Some((p.service, p.running.as_ref()?.1.peak_mib()));
        self.places.iter().filter_map(peak).collect()
    }

    /// Asks all services but those as a kubelet does.
    pub fn probe(&self, but: &[Service]) -> Vec<Probes> {
        let asked = self.places.iter().filter(|p| !but.contains(&p.service));
        asked.map(|p| Probes::ask(p.ports.internal)).collect()
    }

    /// Ends a round of probes: the most that one process left unanswered in a row, and all.
    pub fn met(probes: Vec<Probes>) -> (usize, Met) {
        let each: Vec<_> = probes.into_iter().map(Probes::end).collect();
        (each.iter().map(Met::longest_silence).max().unwrap_or_default(), Met::join(each))
    }

    /// Ends every process by SIGTERM.
    ///
    /// # Errors
    /// Which did not end well.
    pub async fn stop(&mut self) -> Result<(), String> {
        for place in &mut self.places {
            let Some((mut child, _warden)) = place.running.take() else { continue };
            let name = place.service.name();
            if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
            match ended {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => return Err(format!("{name}, SIGTERM: {status}")),
                Ok(Err(e)) => return Err(format!("{name}, SIGTERM: {e}")),
                Err(_) => return Err(format!("{name}, SIGTERM: > {} s", PATIENCE.as_secs())),
            }
        }
        Ok(())
    }

    fn spawn(&self, service: Service) -> std::io::Result<Child> {
        let ports = self.ports(service);
        let log = File::options().create(true).append(true).open(self.log(service))?;
        let internal = |s| format!("http://{}", self.ports(s).internal);
        let mut command = child::command(self.program(service.name()));
        command
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", ports.public.port().to_string())
            .env("INTERNAL_PORT", ports.internal.port().to_string())
            .env("INTERNAL_TOKEN", "laboratorio-0123456789")
            .env("STORE", format!("json:{}", self.dir.join("datos").display()))
            .env("SEED_DIR", self.dir.join("semilla"))
            .env("HOSTNAME", service.name())
            .env("DRAIN_SECONDS", "0")
            // a line for each purchase would hide what bad input makes
            .env("RUST_LOG", "warn")
            .env("CLIENT_SECONDS", self.scale.client_seconds.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        match service {
            Service::Transacciones => {
                command.env("USUARIOS_URL", internal(Service::Usuarios));
                command.env("TOKENS_URL", internal(Service::Tokens));
                // soon, so that what an attack leaves pending is settled while the next kind runs
                command.env("ORPHAN_AGE_MS", "4000");
            }
            Service::Tokens => {
                command.env("IMAGENES_DIR", self.dir.join("imagenes"));
                command.env("STORE_MEMORY_MIB", super::warden::budget_mib(self.scale).to_string());
            }
            Service::Usuarios => {}
        }
        command.spawn()
    }
}

/// Why a process ended that should not.
fn epitaph(service: Service, status: ExitStatus, by_warden: bool) -> String {
    let name = service.name();
    if by_warden {
        t!("{} pasó de {} MiB y murió", "{} passed {} MiB and was killed", name, super::warden::LIMIT_MIB)
    } else {
        t!("{} murió: {}", "{} died: {}", name, status)
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().unwrap_or_default().to_owned()
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr, String> {
    let said = |e: std::io::Error| format!("a free port: {e}");
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(said)?.local_addr().map_err(said)
}

/// Writes the seed; how many tokens customers may buy.
fn seed(dir: &Path, scale: Scale, kinds: usize) -> std::io::Result<u64> {
    let (seeds, pictures) = (dir.join("semilla"), dir.join("imagenes"));
    // the data's directory is the store's to make, closed to others
    for made in [&seeds, &pictures] {
        std::fs::create_dir_all(made)?;
    }
    std::fs::write(pictures.join("grande.png"), vec![0x5a; PICTURE_BYTES])?;
    let seconds = (scale.before + scale.time).as_secs() + 5;
    // as many as customers can buy; a market whose customers have nothing left to buy measures nothing
    let tokens = (super::customers::MOST_A_SECOND * seconds * (kinds as u64 + 1)).min(150_000);
    let usuario = |id| json!({"id": id, "nombre": format!("Cliente {id}"), "saldo": if id == POOR { 0 } else { 1_u64 << 40 }});
    let usuarios: Vec<Value> = (1..=USUARIOS).map(usuario).collect();
    let token = |id: u64, imagen: &str, precio: u64| json!({"id": id, "nombre": format!("Ficha {id}"), "imagen": imagen, "precio": precio, "vendido": false});
    let mut all = vec![token(PICTURE, "grande.png", 1), token(DEAR, "nada.svg", 1 << 50)];
    all.extend((FIRST..FIRST + tokens).map(|id| token(id, "nada.svg", 1)));
    std::fs::write(seeds.join("usuarios.json"), serde_json::to_vec(&usuarios)?)?;
    std::fs::write(seeds.join("tokens.json"), serde_json::to_vec(&all)?)?;
    std::fs::write(seeds.join("transacciones.json"), "[]")?;
    Ok(tokens)
}
