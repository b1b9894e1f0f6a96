//! Experiments with one question each: open-loop customers, one thing that is done to the market, and a verdict.
//!
//! | experiment | what is done |
//! | --- | --- |
//! | [`scale`] | processes are added and taken away |
//! | [`crash`] | one is killed every so often |
//! | [`rollout`] | every one is replaced |
//! | [`point`] | one dies at a named point of a purchase |
//! | [`mayhem`] | in a cluster: pods are deleted, scaled and rolled by chance |
//!
//! In a cluster the same is done to pods, as far as its RBAC allows, and undone in the end. With a URL alone only the load and
//! the judgement are left.

pub mod crash;
pub mod mayhem;
mod needs;
pub mod opening;
pub mod point;
pub mod rollout;
pub mod scale;

use crate::checker::{self, Verdict};
use crate::cluster::Cluster;
use crate::history::{Final, History, Line, Recorder, Token, Usuario};
use crate::http::{self, Addresses};
use crate::load::{Load, Plan};
use crate::local::{Local, Programs, Setup};
use crate::measure::{Kind, Measured, Meter};
use crate::people::{self, People};
use crate::plan::Service;
use crate::reading;
use crate::report::{Figure, Outcomes, Report, Rule, Run, Story};
use crate::screen::{self, Screen};
use crate::site::Site;
use crate::stop::Stop;
use crate::t;
use crate::words::time;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than recovery can take for what is left: its age, a pass, and a full backlog.
const SETTLING: Duration = Duration::from_secs(60);
/// In a market that others use, what is pending may be theirs.
const SETTLING_OF_OTHERS: Duration = Duration::from_secs(20);
/// For background tasks of the last purchases.
const REST: Duration = Duration::from_millis(300);

/// Which.
#[derive(Clone, Debug)]
pub enum Experiment {
    /// `escala`.
    Scale {
        /// Of which service.
        service: Service,
        /// From one to so many.
        most: usize,
    },
    /// `caida`.
    Crash {
        /// Of which service.
        service: Service,
        /// How often.
        every: Duration,
        /// How many of it there are; as many as there are already, or two of ours, if left out.
        replicas: Option<usize>,
    },
    /// `despliegue`.
    Rollout,
    /// `caos` of a market of which only the URL is known.
    Plain,
    /// `caos` of a cluster.
    Mayhem,
    /// `fallo`.
    Point {
        /// In turn.
        points: Vec<&'static str>,
    },
}

/// Where.
#[derive(Clone, Debug)]
pub enum Target {
    /// Started here.
    Local(Programs),
    /// Somebody's; with an API key where people log in.
    Url(String, Option<String>),
}

/// What all experiments can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub target: Target,
    /// Whether people log in, in a market that is started here.
    pub accounts: bool,
    /// How long.
    pub length: Duration,
    /// Of everything by chance.
    pub seed: u64,
    /// A second.
    pub reads: f64,
    /// A second.
    pub purchases: f64,
    /// Where the report goes.
    pub report: PathBuf,
    /// A fresh directory for the history, the data and the logs.
    pub dir: PathBuf,
    /// As it was typed.
    pub command: String,
    /// What is done is done in this namespace of the kubeconfig's cluster, whose gateway is at the URL.
    pub namespace: Option<String>,
}

/// What an experiment works with.
pub struct Lab<'a> {
    /// What things are done to; nothing where only the URL is known.
    pub site: Option<Site>,
    /// Of everything by chance.
    pub seed: u64,
    /// The customers.
    pub load: Arc<Load>,
    /// What they meet.
    pub meter: Arc<Meter>,
    /// The users of the experiment.
    pub usuarios: Vec<Usuario>,
    /// Tokens that no customer buys.
    pub spare: Vec<Token>,
    /// What people see.
    pub screen: &'a Screen,
    /// Whether it is to end.
    pub stop: &'a Stop,
    /// When it is to end.
    pub end: Instant,
    /// How long it was to be.
    pub length: Duration,
}

impl Lab<'_> {
    /// Notes what was done, from then to now.
    pub fn did(&self, from: u64, what: String, fault: bool) {
        self.screen.event(&what);
        self.meter.mark(from, what, fault);
    }

    /// What comes of it. A cluster takes its time: nothing where somebody wants the end meanwhile.
    pub async fn until_stopped<T>(
        &self,
        deed: impl Future<Output = Result<T, String>>,
    ) -> Result<Option<T>, String> {
        if !matches!(self.site, Some(Site::Cluster(_))) {
            return deed.await.map(Some);
        }
        tokio::select! {
            done = deed => done.map(Some),
            () = self.stop.stopped() => Ok(None),
        }
    }

    /// Waits until its end; whether nobody stopped it.
    pub async fn rest(&self) -> bool {
        self.stop.pause(self.end.saturating_duration_since(Instant::now())).await
    }

    /// A part of its length.
    pub fn part(&self, of: f64) -> Duration {
        self.length.mul_f64(of)
    }
}

impl Experiment {
    /// As it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "escala",
            Self::Crash { .. } => "caida",
            Self::Rollout => "despliegue",
            Self::Plain | Self::Mayhem => "caos",
            Self::Point { .. } => "fallo",
        }
    }

    /// Its name and its question.
    pub fn title(&self) -> [String; 2] {
        match self {
            Self::Scale { .. } => [
                t!("Escala", "Scaling"),
                t!("¿Más procesos atienden más y mejor?", "Do more processes do more, and better?"),
            ],
            Self::Crash { service, .. } => {
                let name = service.name();
                [
                    t!("Caída", "Crashes"),
                    t!(
                        "¿Qué ve un cliente cuando se mata a {name} una y otra vez?",
                        "What does a customer see when {name} is killed again and again?"
                    ),
                ]
            }
            Self::Rollout => [
                t!("Despliegue", "Rollout"),
                t!(
                    "¿Se puede reemplazar todo mientras la gente compra?",
                    "Can everything be replaced while people buy?"
                ),
            ],
            Self::Plain | Self::Mayhem => {
                [t!("Caos", "Chaos"), t!("¿Y si todo falla a la vez?", "What if everything fails at once?")]
            }
            Self::Point { .. } => [
                t!("Fallo en un punto", "A death at one point"),
                t!(
                    "¿Qué pasa si el proceso muere justo a mitad de una compra?",
                    "What if a process dies exactly there, in the middle of a purchase?"
                ),
            ],
        }
    }

    fn replicas(&self, naive: bool) -> BTreeMap<Service, usize> {
        // as the cluster's base
        let mut n =
            BTreeMap::from([(Service::Usuarios, 2), (Service::Tokens, 3), (Service::Transacciones, 2)]);
        match self {
            Self::Scale { service, .. } => _ = n.insert(*service, 1),
            Self::Crash { service, replicas, .. } => _ = n.insert(*service, replicas.unwrap_or(2)),
            Self::Rollout | Self::Plain | Self::Mayhem | Self::Point { .. } => {}
        }
        if naive {
            n.insert(Service::Transacciones, 1);
        }
        n
    }

    async fn script(&self, lab: &Lab<'_>) -> Result<Story, String> {
        let Some(site) = &lab.site else { return plain(lab).await };
        match (self, site) {
            (Self::Scale { service, most }, _) => scale::script(lab, site, *service, *most).await,
            (Self::Crash { service, every, replicas }, _) => {
                if let (Some(n), Site::Cluster(_)) = (replicas, site) {
                    lab.until_stopped(site.scale(*service, *n)).await?;
                }
                crash::script(lab, site, *service, *every).await
            }
            (Self::Rollout, _) => rollout::script(lab, site).await,
            (Self::Mayhem, Site::Cluster(cluster)) => mayhem::script(lab, cluster).await,
            (Self::Point { points }, Site::Local(local)) => point::script(lab, local, points).await,
            (Self::Plain | Self::Mayhem, _) | (Self::Point { .. }, Site::Cluster(_)) => plain(lab).await,
        }
    }

    /// What is told once the numbers are there.
    fn told(&self, story: &mut Story, m: &Measured) {
        match self {
            Self::Scale { service, .. } => scale::told(story, m, *service),
            Self::Crash { .. } => crash::told(story, m),
            Self::Rollout => rollout::told(story, m),
            Self::Plain | Self::Mayhem | Self::Point { .. } => {}
        }
    }
}

/// Load and nothing else.
async fn plain(lab: &Lab<'_>) -> Result<Story, String> {
    lab.screen.next(t!("sólo carga, hasta el final", "only load, to the end"));
    lab.rest().await;
    let sentence = t!(
        "Sólo se cargó y se juzgó: el laboratorio no inició este mercado, así que no le hizo nada.",
        "There was only load and judgement: the laboratory did not start this market, and so did nothing to it."
    );
    Ok(Story { sentence, ..Story::default() })
}

/// Runs it; whether everything was right.
///
/// # Errors
/// Why it could not be run: the verdict is neither right nor wrong.
pub async fn run(o: &Options, what: &Experiment, stop: &Stop) -> Result<Report, String> {
    let cluster = match &o.namespace {
        Some(namespace) => {
            let cluster = Cluster::connect(namespace).await?;
            cluster.rights.need(&needs::deeds(what))?;
            Some(cluster)
        }
        None => None,
    };
    opening::fresh(&o.dir)?;
    let began = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let file = o.dir.join("historia.jsonl");
    let recorder = Arc::new(Recorder::create(&file)?);
    let client = http::client(false)?;
    let naive = matches!(&o.target, Target::Local(Programs::Naive(_)));
    let first = match &o.target {
        Target::Local(_) => t!("se inicia el mercado", "the market starts"),
        Target::Url(url, _) => {
            t!("se crean usuarios y tokens en {url}", "users and tokens are made at {url}")
        }
    };
    say!("{first}");
    let wanted = opening::wanted(o.purchases * o.length.as_secs_f64(), o.seed);
    let (local, market, mut opened) = match &o.target {
        Target::Local(programs) => {
            opening::seed(&o.dir, &wanted)?;
            let setup = Setup {
                programs: programs.clone(),
                dir: o.dir.clone(),
                store: None,
                replicas: what.replicas(naive),
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                extra: None,
                clocks: None,
                recorder: Some(Arc::clone(&recorder)),
                accounts: o.accounts,
            };
            let local = Local::start(setup).await?;
            let mut market = Addresses::one(&local.gateway.url());
            if let Some(password) = &local.office {
                let people = People::of_office(&market.usuarios, password).await?;
                people.open(&wanted.usuarios, "comprador").await?;
                market.people = Some(Arc::new(people));
            }
            (Some(local), market, wanted)
        }
        Target::Url(url, api_key) => {
            let mut market = Addresses::one(url.trim_end_matches('/'));
            if let Some(key) = api_key {
                market.people = Some(Arc::new(People::by_key(&market.usuarios, key.clone()).await?));
            }
            let opened = opening::create(&client, &market, wanted).await?;
            if let Some(people) = &market.people {
                people
                    .open(&opened.usuarios, &format!("lab-{}", chrono::Utc::now().timestamp_millis()))
                    .await?;
            }
            (None, market, opened)
        }
    };
    let (usuarios, tokens) = (opened.usuarios.clone(), opened.tokens.clone());
    recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;
    let spare = opened.tokens.split_off(opened.tokens.len().saturating_sub(opening::SPARE));
    recorder.begin();
    let meter = Arc::new(Meter::since(recorder.start()));
    let plan = Plan {
        reads: o.reads,
        purchases: o.purchases,
        seed: o.seed,
        usuarios: usuarios.iter().take(usuarios.len().saturating_sub(opening::OWN)).map(|u| u.id).collect(),
        tokens: opened.tokens,
    };
    let prefix = match &o.target {
        Target::Local(_) => "compra".to_owned(),
        // keys that no earlier run had there
        Target::Url(..) => format!("lab-{}", chrono::Utc::now().timestamp_millis()),
    };
    let load = Load::new(market.clone(), Arc::clone(&recorder), Arc::clone(&meter), plan, prefix)?;
    let screen = Screen::new(o.length);
    let customers = tokio::spawn(Arc::clone(&load).run());
    let lab = Lab {
        site: local.clone().map(Site::Local).or(cluster.clone().map(Site::Cluster)),
        seed: o.seed,
        load: Arc::clone(&load),
        meter: Arc::clone(&meter),
        usuarios: usuarios.clone(),
        spare,
        screen: &screen,
        stop,
        end: Instant::now() + o.length,
        length: o.length,
    };
    let story = tokio::select! {
        story = what.script(&lab) => story,
        never = screen::watch(&screen, &meter) => match never {},
    };
    load.stop();
    let calm = match &lab.site {
        Some(site) => site.calm().await,
        None => Ok(()),
    };
    let mut story = story?;
    screen.next(t!("terminan los últimos clientes", "the last customers end"));
    customers.await.map_err(|e| format!("load: {e}"))??;
    tokio::time::sleep(REST).await;
    let (end, mut verdict) = judge(o, local.as_deref(), &client, &market, &usuarios, &tokens).await?;
    recorder.flush()?;
    screen.done();
    let text = serde_json::to_vec(&end).map_err(|e| format!("final.json: {e}"))?;
    std::fs::write(o.dir.join("final.json"), text).map_err(|e| format!("{}: {e}", o.dir.display()))?;
    let history = History::load(&file)?;
    let checked = checker::check(&history, &end);
    verdict.findings.extend(checked.findings);
    verdict.overtaken = checked.overtaken;
    let measured = meter.measured();
    what.told(&mut story, &measured);
    story.figures.extend(market.people.iter().flat_map(|people| people.figures()));
    story.rules.push(keys(&load));
    let title = what.title();
    let place = match &o.target {
        Target::Local(_) => t!("esta máquina", "this machine"),
        Target::Url(url, _) => cluster.as_ref().map_or_else(|| url.clone(), |c| c.place()),
    };
    let run = Run {
        experiment: what.name(),
        title,
        naive,
        place,
        seed: o.seed,
        command: o.command.clone(),
        began,
        interrupted: stop.heard(),
    };
    let of = Outcomes { history: &history, end: &end, verdict: &verdict, measured: &measured };
    let report = Report::new(&run, &of, story);
    report.write(&measured, &o.report)?;
    // whoever must put something back by hand has the report all the same
    calm?;
    Ok(report)
}

/// The market at the end, and what is wrong with it before anybody compares it.
async fn judge(
    o: &Options,
    local: Option<&Local>,
    client: &reqwest::Client,
    market: &Addresses,
    usuarios: &[Usuario],
    tokens: &[Token],
) -> Result<(Final, Verdict), String> {
    let mut verdict = Verdict::default();
    let Some(local) = local else {
        // others' holds may be pending for ever
        let _ = reading::settled(client, market, SETTLING_OF_OTHERS).await;
        let end = reading::own(client, market, usuarios, tokens).await?;
        if let Some(people) = &market.people {
            people.close().await;
        }
        return Ok((end, verdict));
    };
    if let Err(e) = reading::settled(client, market, SETTLING).await {
        verdict.add("audit", e);
    }
    let mut end = match reading::public(client, market).await {
        Ok(end) => end,
        Err(e) => {
            verdict.add(
                "audit",
                t!("al final no se puede leer el mercado: {e}", "the market cannot be read at the end: {e}"),
            );
            Final::default()
        }
    };
    let numbers = match &market.people {
        Some(people) => people.numbers().await?,
        None => BTreeMap::new(),
    };
    let stopped = local.stop().await;
    if matches!(&o.target, Target::Local(Programs::Market(_))) {
        if let Err(e) = stopped {
            verdict.add("disk", e);
        }
        let mut disco = reading::disk(&local.data)?;
        people::translate(&mut disco, &numbers);
        end.disco = Some(disco);
    }
    Ok((end, verdict))
}

/// Every key ends.
fn keys(load: &Load) -> Rule {
    let endless = load.endless();
    Rule {
        regla: "claves".to_owned(),
        dice: t!("Toda clave llega a una respuesta definitiva", "Every key comes to an answer for good"),
        correcto: endless.is_empty(),
        veces: endless.len() as u64,
        hallazgos: endless.into_iter().take(20).collect(),
    }
}

/// No read fails.
fn reads(m: &Measured) -> Rule {
    let reasons: Vec<_> = m.failures.iter().filter(|((kind, _), _)| *kind == Kind::Read).collect();
    Rule {
        regla: "lecturas".to_owned(),
        dice: t!("Ninguna lectura falla", "No read fails"),
        correcto: reasons.is_empty(),
        veces: reasons.iter().map(|(_, n)| **n).sum(),
        hallazgos: reasons.into_iter().map(|((_, reason), n)| format!("{reason}: {n}")).collect(),
    }
}

/// The slowest operation of a kind.
fn slowest(m: &Measured, kind: Kind) -> Figure {
    let most = m.samples.iter().filter(|s| s.kind == kind).map(|s| s.took).max().unwrap_or(0);
    let name = match kind {
        Kind::Buy => t!("la compra más lenta", "the slowest purchase"),
        Kind::Read | Kind::Other => t!("la lectura más lenta", "the slowest read"),
    };
    Figure::new(name, time(most))
}
