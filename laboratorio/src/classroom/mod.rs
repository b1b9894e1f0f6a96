//! `aula`: the market as it runs in a cluster, with controls in its page. A teacher breaks it by hand.
//!
//! | what | where |
//! | --- | --- |
//! | what can be ordered | [`order`] |
//! | who may order it, over HTTP, and the page | [`desk`] |
//! | who buys there, and the report on that | `customers` |
//! | whose market it is, and that of a cluster | [`place`], `remote` |
//! | the controls in the page | `controls.js`, which [`desk`] puts into the page of `web/` |

mod customers;
pub mod desk;
pub mod order;
pub mod place;
mod remote;

use crate::database::Database;
use crate::disk::Disk;
use crate::experiment::opening;
use crate::history::Recorder;
use crate::local::{Local, Programs, Setup, State};
use crate::measure::Meter;
use crate::people::People;
use crate::plan::Service;
use crate::proxy::Mode;
use crate::report::Report;
use crate::site::Site;
use crate::stop::Stop;
use crate::{clock, t};
use customers::Customers;
use desk::Desk;
use order::Order;
use place::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::process::Command;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinSet;

/// Seconds of an experiment that a button starts.
const SECONDS: &str = "20";

/// What to start.
#[derive(Clone)]
pub struct Options {
    /// Whose market.
    pub place: Place,
    /// This executable, which runs the experiments.
    pub exe: PathBuf,
    /// Where the page is found.
    pub port: u16,
    /// On PostgreSQL, which is started for it.
    pub postgres: bool,
    /// Whether to open a browser.
    pub browser: bool,
    /// Of everything by chance.
    pub seed: u64,
    /// A fresh directory for the data, the logs and the reports.
    pub dir: PathBuf,
}

/// The classroom.
pub struct Class {
    /// Its processes, or a cluster's. They are there once the gateway is.
    site: OnceLock<Site>,
    /// Where customers find it.
    market: OnceLock<String>,
    recorder: Arc<Recorder>,
    meter: Arc<Meter>,
    disk: SharedDisk,
    fills: bool,
    clocks: bool,
    customers: Mutex<Option<Arc<Customers>>>,
    /// Held while customers are made ready: there is one load, whoever asks for it twice.
    hiring: AsyncMutex<()>,
    /// Those who have accounts in a market that is somebody's.
    guests: Mutex<Option<Arc<People>>>,
    /// What was done, in words, with seconds.
    log: Mutex<Vec<(f64, String)>>,
    reports: Mutex<Vec<Value>>,
    running: Mutex<Option<String>>,
    options: Options,
    start: Instant,
}

/// A disk of its own for the data, where this user may mount one. Whoever serves requests keeps the class for ever, so that the
/// one who ends it must give the disk back.
type SharedDisk = Arc<AsyncMutex<Option<Disk>>>;

/// Gives the disk back, however the class ends.
struct Borrowed(SharedDisk);

impl Drop for Borrowed {
    fn drop(&mut self) {
        // nobody fills it any more, or the order to do so has ended with this class
        if let Ok(mut disk) = self.0.try_lock() {
            drop(disk.take());
        }
    }
}

/// The processes of this machine, as the controls show them.
fn processes(local: &Local) -> Vec<Value> {
    let replicas = local.replicas();
    let shown = replicas.iter().map(|r| {
        let state = match r.state {
            State::Runs => "corre",
            State::Frozen => "congelado",
            State::Cut => "sin-red",
            State::Slow => "red-lenta",
            State::Dead => "muerto",
        };
        json!({"nombre": r.name, "servicio": r.service.name(), "estado": state, "listo": r.ready()})
    });
    shown.collect()
}

/// Runs it until Ctrl-C.
///
/// # Errors
/// What could not be started.
pub async fn run(o: Options, stop: &Stop) -> Result<(), String> {
    match o.place.clone() {
        Place::Local(programs) => here(o, programs, stop).await,
        Place::Cluster { namespace, url, .. } => remote::run(o, &namespace, &url, stop).await,
    }
}

/// On this machine.
async fn here(o: Options, programs: PathBuf, stop: &Stop) -> Result<(), String> {
    opening::fresh(&o.dir)?;
    desk::samples(&o.dir)?;
    let data = o.dir.join("datos");
    std::fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
    let disk = Disk::mount(&data, if o.postgres { 512 } else { 192 }).await.ok();
    let fills = disk.is_some();
    let disk: SharedDisk = Arc::new(AsyncMutex::new(disk));
    let _borrowed = Borrowed(Arc::clone(&disk));
    let database = if o.postgres { Some(Database::start(&data, &o.dir, false).await?) } else { None };
    let faketime = clock::library();
    let class = Class::new(&o, disk, fills, faketime.is_some())?;
    let (orders, ordered) = mpsc::channel(16);
    let desk = Desk::new(orders, Arc::clone(&class), o.port)?;
    let token = desk.token.clone();
    let setup = Setup {
        programs: Programs::Market(programs),
        dir: o.dir.clone(),
        store: database.as_ref().map(Database::url),
        replicas: BTreeMap::from([(Service::Usuarios, 2), (Service::Tokens, 3), (Service::Transacciones, 2)]),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, o.port)),
        extra: Some(desk.routes()),
        clocks: faketime,
        recorder: Some(Arc::clone(&class.recorder)),
        accounts: false,
    };
    say!("{}", t!("se inician siete procesos", "seven processes start"));
    let local = Local::start(setup).await?;
    let url = local.gateway.url();
    let _ = class.market.set(url.clone());
    let _ = class.site.set(Site::Local(Arc::clone(&local)));
    class.opened(&url, &token);
    class.serve(ordered, stop).await.detach_all();
    say!("{}", t!("se cierra el mercado", "the market closes"));
    class.dismiss().await;
    if let Some(disk) = class.disk.lock().await.as_ref() {
        disk.free().await?;
    }
    local.calm();
    let ended = local.stop().await;
    if let Some(database) = database {
        database.stop().await;
    }
    let dir = o.dir.display();
    say!("{}", t!("los datos, bitácoras e informes están en {dir}", "data, logs and reports are in {dir}"));
    if let Some(disk) = class.disk.lock().await.take() {
        disk.unmount().await;
    }
    ended
}

impl Class {
    fn new(o: &Options, disk: SharedDisk, fills: bool, clocks: bool) -> Result<Arc<Self>, String> {
        let recorder = Arc::new(Recorder::create(&o.dir.join("historia.jsonl"))?);
        recorder.begin();
        Ok(Arc::new(Self {
            site: OnceLock::new(),
            market: OnceLock::new(),
            meter: Arc::new(Meter::since(recorder.start())),
            recorder,
            disk,
            fills,
            clocks,
            customers: Mutex::default(),
            hiring: AsyncMutex::default(),
            guests: Mutex::default(),
            log: Mutex::default(),
            reports: Mutex::default(),
            running: Mutex::default(),
            start: Instant::now(),
            options: o.clone(),
        }))
    }

    /// Says where the page is.
    fn opened(&self, page: &str, token: &str) {
        let url = format!("{page}/?laboratorio={token}#/sistema");
        say!(
            "{}",
            t!("el mercado está en {url}\nCtrl-C lo termina", "the market is at {url}\nCtrl-C ends it")
        );
        if self.options.browser {
            desk::open(&url);
        }
    }

    /// Obeys until somebody wants the end; orders that are still being obeyed.
    async fn serve(self: &Arc<Self>, mut ordered: mpsc::Receiver<desk::Ordered>, stop: &Stop) -> JoinSet<()> {
        let mut orders = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.stopped() => return orders,
                Some((order, reply)) = ordered.recv() => {
                    while orders.try_join_next().is_some() {}
                    let class = Arc::clone(self);
                    orders.spawn(async move {
                        let _ = reply.send(class.obey(order).await);
                    });
                }
            }
        }
    }

    fn site(&self) -> Result<&Site, String> {
        self.site.get().ok_or_else(|| t!("el mercado aún no está listo", "the market is not ready yet"))
    }

    /// Everything that the controls show.
    pub fn state(&self) -> Value {
        let (processes, offers, missing) = match self.site.get() {
            None => Default::default(),
            Some(Site::Local(local)) => (processes(local), order::ALL.to_vec(), Vec::new()),
            Some(Site::Cluster(cluster)) => {
                (remote::pods(cluster), remote::offers(cluster), cluster.rights.missing())
            }
        };
        let [reads, purchases] = self.customers().map_or([0.0; 2], |customers| customers.load.rates());
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> =
            log.iter().rev().take(12).map(|(at, what)| json!({"en": at, "que": what})).collect();
        json!({
            "procesos": processes,
            "ofrece": offers,
            "faltan": missing,
            "carga": {"lecturas": reads, "compras": purchases},
            "disco": self.fills,
            "reloj": self.clocks,
            "hecho": log,
            "corriendo": *self.running.lock().unwrap_or_else(PoisonError::into_inner),
            "informes": *self.reports.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Where reports are.
    pub fn reports(&self) -> PathBuf {
        self.options.dir.join("informes")
    }

    fn did(&self, from: u64, what: String, fault: bool) {
        say!("{:6.1} s  {what}", self.start.elapsed().as_secs_f64());
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.start.elapsed().as_secs_f64(), what.clone()));
        self.meter.mark(from, what, fault);
    }

    async fn obey(self: Arc<Self>, order: Order) -> Result<(), String> {
        let from = self.meter.now();
        let (mut what, fault) = (order.said(), order.fault());
        match (self.site()?, order) {
            (_, Order::Load { lecturas, compras }) => self.set_load(lecturas, compras).await?,
            (_, Order::Report) => return self.report().await,
            (Site::Cluster(cluster), order) => what = remote::obey(cluster, order).await?,
            (Site::Local(local), Order::Kill { proceso }) => local.kill(&proceso, None).await?,
            (Site::Local(local), Order::Terminate { proceso }) => local.terminate(&proceso).await?,
            (Site::Local(local), Order::Freeze { proceso }) => local.freeze(&proceso, true)?,
            (Site::Local(local), Order::Resume { proceso }) => local.freeze(&proceso, false)?,
            (Site::Local(local), Order::Start { proceso }) => local.revive(&proceso)?,
            (Site::Local(local), Order::Cut { proceso }) => local.network(&proceso, Mode::Cut)?,
            (Site::Local(local), Order::Slow { proceso }) => {
                local.network(&proceso, Mode::Slow(order::SLOW))?;
            }
            (Site::Local(local), Order::Heal { proceso }) => local.network(&proceso, Mode::Pass)?,
            (Site::Local(local), Order::Replicas { servicio, n }) => {
                local.scale(servicio, n.clamp(1, order::MOST)).await?;
            }
            (Site::Local(local), Order::Roll { servicio }) => {
                for process in local.of(servicio) {
                    local.replace(&process.name).await?;
                }
            }
            (Site::Local(local), Order::Disk { lleno }) => {
                let disk = self.disk.lock().await;
                let disk = disk.as_ref().ok_or_else(|| {
                    t!(
                        "llenar el disco requiere un usuario que pueda montar",
                        "filling the disk needs a user who may mount"
                    )
                })?;
                if lleno {
                    disk.fill().await?;
                } else {
                    disk.free().await?;
                    local.reopen();
                }
            }
            (Site::Local(local), Order::Clock { servicio, segundos }) => {
                if !self.clocks {
                    return Err(t!("falta el paquete faketime", "the package faketime is not installed"));
                }
                clock::set(local.dir(), servicio, segundos.into())?;
                tokio::time::sleep(clock::JUMP).await;
            }
            (Site::Local(_), Order::Experiment { nombre, ingenuo }) => {
                return self.experiment(nombre.name(), ingenuo).await;
            }
        }
        self.did(from, what, fault);
        Ok(())
    }

    fn reported(&self, file: &str, right: bool, says: &str) {
        let report = json!({"archivo": file, "correcto": right, "veredicto": says});
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }

    /// An experiment of its own, on a market of its own, beside this one.
    async fn experiment(&self, name: &str, naive: bool) -> Result<(), String> {
        let called = if naive { format!("{name} --ingenuo") } else { name.to_owned() };
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(other) = running.as_ref() {
                return Err(t!("ya corre {other}", "{other} is running already"));
            }
            *running = Some(called.clone());
        }
        let file = format!("{}-{}.html", called.replace(' ', ""), self.start.elapsed().as_secs());
        let path = self.reports().join(&file);
        let mut command = Command::new(&self.options.exe);
        command
            .args([name, "--segundos", SECONDS, "--idioma", crate::words::lang().code(), "--informe"])
            .arg(&path);
        command.args(naive.then_some("--ingenuo")).stdin(std::process::Stdio::null()).kill_on_drop(true);
        let output = command.output().await;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let output = output.map_err(|e| format!("{called}: {e}"))?;
        if !path.exists() {
            return Err(format!("{called}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let report = Report::load(&path.with_extension("json"))?;
        self.reported(&file, report.correcto, &report.veredicto);
        Ok(())
    }
}
