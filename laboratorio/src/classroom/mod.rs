//! `aula`: the market as it runs in a cluster, with controls in its page. A teacher breaks it by hand.
//!
//! | what | where |
//! | --- | --- |
//! | what can be ordered | [`order`] |
//! | who may order it, over HTTP, and the page | [`desk`] |
//! | the controls in the page | `controls.js`, which [`desk`] puts into the page of `web/` |

pub mod desk;
pub mod order;

use crate::checker::{self, Verdict};
use crate::database::Database;
use crate::disk::Disk;
use crate::experiment::opening;
use crate::history::{Final, History, Line, Recorder};
use crate::http::{self, Addresses};
use crate::load::{Load, Plan};
use crate::local::{Local, Programs, Setup, State};
use crate::measure::Meter;
use crate::plan::Service;
use crate::proxy::Mode;
use crate::report::{Outcomes, Report, Run, Story};
use crate::stop::Stop;
use crate::{reading, t, world};
use desk::Desk;
use order::Order;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::mpsc;

/// Purchases that the customers' tokens are enough for, at least.
const STOCK: f64 = 400.0;
/// Customers who are still at it when a report is asked for.
const LAST_CUSTOMERS: Duration = Duration::from_secs(40);
/// What is pending when a report is asked for.
const SETTLING: Duration = Duration::from_secs(20);
/// Seconds of an experiment that a button starts.
const SECONDS: &str = "20";

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The three binaries are in this directory.
    pub programs: PathBuf,
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
    /// Its processes. They are there once the gateway is.
    local: OnceLock<Arc<Local>>,
    recorder: Arc<Recorder>,
    meter: Arc<Meter>,
    disk: SharedDisk,
    fills: bool,
    clocks: bool,
    load: Mutex<Option<Customers>>,
    /// What was done, in words, with seconds.
    log: Mutex<Vec<(f64, String)>>,
    reports: Mutex<Vec<Value>>,
    running: Mutex<Option<String>>,
    options: Options,
    start: Instant,
}

/// A disk of its own for the data, where this user may mount one. Whoever serves requests keeps the class for ever, so that the
/// one who ends it must give the disk back.
type SharedDisk = Arc<tokio::sync::Mutex<Option<Disk>>>;

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

/// Those who buy, and what they buy.
struct Customers {
    load: Arc<Load>,
    opened: opening::Opened,
}

/// Runs it until Ctrl-C.
///
/// # Errors
/// What could not be started.
pub async fn run(o: Options, stop: &Stop) -> Result<(), String> {
    opening::fresh(&o.dir)?;
    let recorder = Arc::new(Recorder::create(&o.dir.join("historia.jsonl"))?);
    desk::samples(&o.dir)?;
    let data = o.dir.join("datos");
    std::fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
    let disk = Disk::mount(&data, if o.postgres { 512 } else { 192 }).await.ok();
    let fills = disk.is_some();
    let disk: SharedDisk = Arc::new(tokio::sync::Mutex::new(disk));
    let _borrowed = Borrowed(Arc::clone(&disk));
    let database = if o.postgres { Some(Database::start(&data, &o.dir, false).await?) } else { None };
    let faketime = world::faketime();
    recorder.begin();
    let class = Arc::new(Class {
        local: OnceLock::new(),
        meter: Arc::new(Meter::since(recorder.start())),
        recorder: Arc::clone(&recorder),
        disk,
        fills,
        clocks: faketime.is_some(),
        load: Mutex::default(),
        log: Mutex::default(),
        reports: Mutex::default(),
        running: Mutex::default(),
        start: Instant::now(),
        options: o.clone(),
    });
    let (orders, mut ordered) = mpsc::channel::<desk::Ordered>(16);
    let desk = Desk::new(orders, Arc::clone(&class), o.port)?;
    let token = desk.token.clone();
    let setup = Setup {
        programs: Programs::Market(o.programs.clone()),
        dir: o.dir.clone(),
        store: database.as_ref().map(Database::url),
        replicas: BTreeMap::from([(Service::Usuarios, 2), (Service::Tokens, 3), (Service::Transacciones, 2)]),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, o.port)),
        extra: Some(desk.routes()),
        clocks: faketime,
        recorder: Some(Arc::clone(&recorder)),
        accounts: false,
    };
    say!("{}", t!("se inician siete procesos", "seven processes start"));
    let local = Local::start(setup).await?;
    let url = format!("{}/?laboratorio={token}#/sistema", local.gateway.url());
    let _ = class.local.set(Arc::clone(&local));
    say!("{}", t!("el mercado está en {url}\nCtrl-C lo termina", "the market is at {url}\nCtrl-C ends it"));
    if o.browser {
        desk::open(&url);
    }
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            Some((order, reply)) = ordered.recv() => {
                let class = Arc::clone(&class);
                tokio::spawn(async move {
                    let _ = reply.send(class.obey(order).await);
                });
            }
        }
    }
    say!("{}", t!("se cierra el mercado", "the market closes"));
    if let Some(customers) = class.customers() {
        customers.stop();
    }
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
    fn local(&self) -> Result<&Arc<Local>, String> {
        self.local.get().ok_or_else(|| t!("el mercado aún no está listo", "the market is not ready yet"))
    }

    fn customers(&self) -> Option<Arc<Load>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|c| Arc::clone(&c.load))
    }

    /// Everything that the controls show.
    pub fn state(&self) -> Value {
        let replicas = self.local.get().map(|l| l.replicas()).unwrap_or_default();
        let processes: Vec<_> = replicas
            .iter()
            .map(|r| {
                let state = match r.state {
                    State::Runs => "corre",
                    State::Frozen => "congelado",
                    State::Cut => "sin-red",
                    State::Slow => "red-lenta",
                    State::Dead => "muerto",
                };
                json!({"nombre": r.name, "servicio": r.service.name(), "estado": state, "listo": r.ready()})
            })
            .collect();
        let [reads, purchases] = self.customers().map_or([0.0; 2], |load| load.rates());
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> =
            log.iter().rev().take(12).map(|(at, what)| json!({"en": at, "que": what})).collect();
        json!({
            "procesos": processes,
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
        let local = self.local()?;
        let (what, fault) = (order.said(), order.fault());
        match order {
            Order::Kill { proceso } => local.kill(&proceso, None).await?,
            Order::Terminate { proceso } => local.terminate(&proceso).await?,
            Order::Freeze { proceso } => local.freeze(&proceso, true)?,
            Order::Resume { proceso } => local.freeze(&proceso, false)?,
            Order::Start { proceso } => local.revive(&proceso)?,
            Order::Cut { proceso } => local.network(&proceso, Mode::Cut)?,
            Order::Slow { proceso } => local.network(&proceso, Mode::Slow(order::SLOW))?,
            Order::Heal { proceso } => local.network(&proceso, Mode::Pass)?,
            Order::Replicas { servicio, n } => local.scale(servicio, n.clamp(1, order::MOST)).await?,
            Order::Load { lecturas, compras } => self.set_load(local, lecturas, compras).await?,
            Order::Disk { lleno } => {
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
            Order::Clock { servicio, segundos } => {
                if !self.clocks {
                    return Err(t!("falta el paquete faketime", "the package faketime is not installed"));
                }
                let clock = local.dir().join(format!("reloj-{}", servicio.name()));
                std::fs::write(clock, format!("{segundos:+}s")).map_err(|e| format!("reloj: {e}"))?;
            }
            Order::Experiment { nombre, ingenuo } => return self.experiment(nombre.name(), ingenuo).await,
            Order::Report => return self.report().await,
        }
        self.did(from, what, fault);
        Ok(())
    }

    /// Customers of the classroom's own, who come from now on as often as that.
    async fn set_load(&self, local: &Local, reads: f64, purchases: f64) -> Result<(), String> {
        let rates = [reads.clamp(0.0, order::MOST_RATE), purchases.clamp(0.0, order::MOST_RATE)];
        if let Some(load) = self.customers() {
            load.set_rates(rates);
            return Ok(());
        }
        let market = Addresses::one(&local.gateway.url());
        let wanted = opening::wanted(STOCK, self.options.seed);
        let opened = opening::create(&http::client(false)?, &market, wanted).await?;
        let (usuarios, tokens) = (opened.usuarios.clone(), opened.tokens.clone());
        self.recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;
        let plan = Plan {
            reads: rates[0],
            purchases: rates[1],
            seed: self.options.seed,
            usuarios: usuarios
                .iter()
                .take(usuarios.len().saturating_sub(opening::OWN))
                .map(|u| u.id)
                .collect(),
            tokens,
        };
        let prefix = format!("aula-{}", self.options.seed);
        let load = Load::new(market, Arc::clone(&self.recorder), Arc::clone(&self.meter), plan, prefix)?;
        tokio::spawn(Arc::clone(&load).run());
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = Some(Customers { load, opened });
        Ok(())
    }

    /// Holds the market against every answer of its own customers so far. They wait meanwhile.
    async fn report(&self) -> Result<(), String> {
        let market = Addresses::one(&self.local()?.gateway.url());
        let client = http::client(false)?;
        let load = self.customers();
        let rates = load.as_ref().map(|load| load.rates());
        if let Some(load) = &load {
            load.set_rates([0.0; 2]);
            let deadline = Instant::now() + LAST_CUSTOMERS;
            while load.busy() > 0 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let done = self.judge(&client, &market).await;
        if let (Some(load), Some(rates)) = (&load, rates) {
            load.set_rates(rates);
        }
        done
    }

    async fn judge(&self, client: &reqwest::Client, market: &Addresses) -> Result<(), String> {
        let mut verdict = Verdict::default();
        if let Err(e) = reading::settled(client, market, SETTLING).await {
            verdict.add("audit", e);
        }
        let (usuarios, tokens) = {
            let load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
            load.as_ref().map(|c| (c.opened.usuarios.clone(), c.opened.tokens.clone())).unwrap_or_default()
        };
        let end = match reading::own(client, market, &usuarios, &tokens).await {
            Ok(end) => end,
            Err(e) => {
                verdict
                    .add("audit", t!("no se puede leer el mercado: {e}", "the market cannot be read: {e}"));
                Final::default()
            }
        };
        self.recorder.flush()?;
        let history = History::load(&self.options.dir.join("historia.jsonl"))?;
        let checked = checker::check(&history, &end);
        verdict.findings.extend(checked.findings);
        let measured = self.meter.measured();
        let run = Run {
            experiment: "aula",
            title: [t!("Clase", "Class"), t!("¿Qué pasó en esta clase?", "What happened in this class?")],
            naive: false,
            place: t!("esta máquina", "this machine"),
            seed: self.options.seed,
            command: "cargo run --release -p laboratorio -- aula".to_owned(),
            began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            interrupted: false,
        };
        let of = Outcomes { history: &history, end: &end, verdict: &verdict, measured: &measured };
        let report = Report::new(&run, &of, Story::default());
        let name = format!("aula-{}.html", self.start.elapsed().as_secs());
        report.write(&measured, &self.reports().join(&name))?;
        self.reported(&name, report.correcto, &report.veredicto);
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
