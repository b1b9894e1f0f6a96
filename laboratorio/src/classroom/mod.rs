//! `aula`: the market as it runs in a cluster, with controls in its page. A teacher breaks it by hand.
//!
//! | what | where |
//! | --- | --- |
//! | what can be ordered | [`order`] |
//! | who may order it, over HTTP, and the page | [`desk`] |
//! | who buys there, and the report on that | `customers` |
//! | what of the machine can be broken | `machine` |
//! | whose market it is, and that of a cluster | [`place`], `remote` |
//! | the controls in the page | `controls.js`, which [`desk`] puts into the page of `web/` |

mod customers;
pub mod desk;
mod machine;
pub mod order;
pub mod place;
mod remote;

use crate::database::Database;
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
use crate::{child, clock, gateway, t, words};
use customers::Customers;
use desk::Desk;
use machine::Machine;
use order::{Order, Thing};
use place::Place;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
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
    machine: Machine,
    customers: Mutex<Option<Arc<Customers>>>,
    /// Held while customers are made ready: there is one load, whoever asks for it twice.
    hiring: AsyncMutex<()>,
    /// While a report is made: the rates at which customers come again after it.
    paused: Mutex<Option<[f64; 2]>>,
    /// Those who have accounts in a market that is somebody's.
    guests: Mutex<Option<Arc<People>>>,
    /// What was done, in words, with seconds.
    log: Mutex<Vec<(f64, String)>>,
    /// What is out of order, and the number of its mark.
    broken: Mutex<BTreeMap<Thing, usize>>,
    reports: Mutex<Vec<Value>>,
    running: Mutex<Option<String>>,
    /// Held while an experiment runs, whose market must end before the class does.
    experimenting: AsyncMutex<()>,
    /// Whether the class is to end, once it serves.
    stop: OnceLock<Stop>,
    options: Options,
    start: Instant,
    /// The same as RFC 3339.
    began: String,
}

/// The processes of this machine, as the controls show them: what they do, and what is wrong with their networks.
fn processes(local: &Local) -> Vec<Value> {
    let replicas = local.replicas();
    let shown = replicas.iter().map(|r| {
        let state = match r.state {
            State::Runs => "corre",
            State::Frozen => "congelado",
            State::Dead => "muerto",
        };
        let network = match r.network() {
            Mode::Pass => None,
            Mode::Cut | Mode::Hold => Some("sin-red"),
            Mode::Slow(_) => Some("red-lenta"),
        };
        let service = r.service.name();
        json!({"nombre": r.name, "servicio": service, "estado": state, "red": network, "listo": r.ready()})
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
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, o.port));
    gateway::is_free(address)?;
    opening::fresh(&o.dir)?;
    desk::samples(&o.dir)?;
    let data = o.dir.join("datos");
    std::fs::create_dir_all(&data).map_err(|e| words::failed(&data, &e))?;
    let faketime = clock::library();
    let mib = if o.postgres { 512 } else { 192 };
    let (machine, _borrowed) = Machine::new(&data, mib, faketime.is_some()).await;
    let database = if o.postgres { Some(Database::start(&data, &o.dir, false).await?) } else { None };
    let class = Class::new(&o, machine)?;
    let (orders, ordered) = mpsc::channel(16);
    let desk = Desk::new(orders, Arc::clone(&class), o.port)?;
    let token = desk.token.clone();
    let setup = Setup {
        programs: Programs::Market(programs),
        dir: o.dir.clone(),
        store: database.as_ref().map(Database::url),
        replicas: BTreeMap::from([(Service::Usuarios, 2), (Service::Tokens, 3), (Service::Transacciones, 2)]),
        address,
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
    class.machine.free().await?;
    local.calm();
    let ended = local.stop().await;
    if let Some(database) = database {
        database.stop().await;
    }
    let dir = o.dir.display();
    say!("{}", t!("los datos, registros e informes están en {dir}", "data, logs and reports are in {dir}"));
    class.machine.unmount().await;
    ended
}

impl Class {
    fn new(o: &Options, machine: Machine) -> Result<Arc<Self>, String> {
        let recorder = Arc::new(Recorder::create(&o.dir.join("historia.jsonl"))?);
        recorder.begin();
        Ok(Arc::new(Self {
            site: OnceLock::new(),
            market: OnceLock::new(),
            meter: Arc::new(Meter::since(recorder.start())),
            recorder,
            machine,
            customers: Mutex::default(),
            hiring: AsyncMutex::default(),
            paused: Mutex::default(),
            guests: Mutex::default(),
            log: Mutex::default(),
            broken: Mutex::default(),
            reports: Mutex::default(),
            running: Mutex::default(),
            experimenting: AsyncMutex::default(),
            stop: OnceLock::new(),
            start: Instant::now(),
            began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
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
        let _ = self.stop.set(stop.clone());
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
        let paused = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let [reads, purchases] = paused.unwrap_or_else(|| self.rates());
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> =
            log.iter().rev().take(12).map(|(at, what)| json!({"en": at, "que": what})).collect();
        json!({
            "procesos": processes,
            "ofrece": offers,
            "faltan": missing,
            "carga": {"lecturas": reads, "compras": purchases},
            "informando": paused.is_some(),
            "maquina": self.machine.state(),
            "hecho": log,
            "corriendo": *self.running.lock().unwrap_or_else(PoisonError::into_inner),
            "informes": *self.reports.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Where reports are.
    pub fn reports(&self) -> PathBuf {
        self.options.dir.join("informes")
    }

    /// Notes what was done to a thing. What was wrong with that thing before is over now, and so is what was wrong with a process
    /// that is gone.
    fn did(&self, from: u64, what: String, thing: Option<Thing>, fault: bool) {
        say!("{:6.1} s  {what}", self.start.elapsed().as_secs_f64());
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.start.elapsed().as_secs_f64(), what.clone()));
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |process: &str| match self.site.get() {
            Some(Site::Local(local)) => !process.is_empty() && local.named(process).is_err(),
            Some(Site::Cluster(_)) | None => false,
        };
        broken.retain(|other, mark| {
            let over = thing.as_ref() == Some(other) || gone(&other.1);
            if over {
                self.meter.lasts(*mark);
            }
            !over
        });
        let mark = self.meter.mark(from, what, fault);
        if let Some(thing) = thing.filter(|_| fault) {
            broken.insert(thing, mark);
        }
    }

    /// What is out of order was so until now.
    fn broken_still(&self) {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.values().for_each(|mark| self.meter.lasts(*mark));
    }

    async fn obey(self: Arc<Self>, order: Order) -> Result<(), String> {
        let from = self.meter.now();
        let (mut what, fault) = (order.said(), order.fault());
        let site = self.site()?;
        // a cluster mends by itself, and does not say when
        let thing = order.thing().filter(|_| matches!(site, Site::Local(_)));
        match (site, order) {
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
                let wanted = order::replicas(n)?;
                if local.of(servicio).len() == wanted {
                    let (name, n) = (servicio.name(), order::processes(n));
                    return Err(t!("{name} ya tiene {n}", "{name} has {n} already"));
                }
                local.scale(servicio, wanted).await?;
            }
            (Site::Local(local), Order::Roll { servicio }) => {
                for process in local.of(servicio) {
                    local.replace(&process.name).await?;
                }
            }
            (Site::Local(local), Order::Disk { lleno }) => self.machine.fill(local, lleno).await?,
            (Site::Local(local), Order::Clock { servicio, segundos }) => {
                self.machine.turn(local, servicio, segundos).await?;
            }
            (Site::Local(_), Order::Experiment { nombre, ingenuo }) => {
                return self.experiment(nombre.name(), ingenuo).await;
            }
        }
        self.did(from, what, thing, fault);
        Ok(())
    }

    fn reported(&self, file: &str, right: Option<bool>, says: &str) {
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
        let _experimenting = self.experimenting.lock().await;
        let mut command = child::another(&self.options.exe);
        command.args([name, "--segundos", SECONDS, "--idioma", words::lang().code(), "--informe"]).arg(&path);
        command.args(naive.then_some("--ingenuo"));
        let ended = child::laboratory(command, self.stop.get()).await;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let said = ended.map_err(|e| format!("{called}: {e}"))?;
        if !path.exists() {
            return Err(format!("{called}: {}", said.trim()));
        }
        let report = Report::load(&path.with_extension("json"))?;
        self.reported(&file, report.right(), &report.veredicto);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lasts_until_it_is_mended() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = Options {
            place: Place::Local(PathBuf::new()),
            exe: PathBuf::new(),
            port: 0,
            postgres: false,
            browser: false,
            seed: 7,
            dir: dir.path().to_owned(),
        };
        let class = Class::new(&options, Machine::default()).unwrap();
        let order = |text: &str| serde_json::from_str::<Order>(text).unwrap();
        let mut times = Vec::new();
        for what in ["congelar", "cortar", "reanudar"] {
            let order = order(&format!(r#"{{"orden": "{what}", "proceso": "tokens-1"}}"#));
            times.push(class.meter.now());
            class.did(class.meter.now(), order.said(), order.thing(), order.fault());
            // what comes next is later
            while class.meter.now() == times[times.len() - 1] {
                std::thread::yield_now();
            }
        }
        let [frozen, cut, _] = class.meter.measured().marks.try_into().unwrap();
        assert!(frozen.fault && frozen.to >= times[2], "until it went on: {frozen:?}");
        assert!(cut.fault && cut.to < times[2], "its network is not mended by that: {cut:?}");
        class.broken_still();
        assert!(class.meter.measured().marks[1].to > times[2], "and so it lasts until it is looked at");
    }
}
