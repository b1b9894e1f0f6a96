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
//! [`run()`] is the frame of all: it opens a market or finds one, lets customers in, and judges in the end.
//!
//! In a cluster the same is done to pods, as far as its RBAC allows, and undone in the end. With a URL alone only the load and
//! the judgement are left.

pub mod crash;
pub mod mayhem;
mod needs;
pub mod opening;
pub mod point;
pub mod rollout;
mod run;
pub mod scale;

pub use run::run;

use crate::load::Load;
use crate::local::Programs;
use crate::measure::{Kind, Measured, Meter};
use crate::plan::Service;
use crate::report::{Figure, Rule, Story};
use crate::screen::Screen;
use crate::shown::{Token, Usuario};
use crate::site::Site;
use crate::stop::Stop;
use crate::t;
use crate::words::measured;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    lab.screen.next(t!("solo carga, hasta el final", "only load, to the end"));
    lab.rest().await;
    let sentence = t!(
        "Solo se cargó y se juzgó: el laboratorio no inició este mercado, así que no le hizo nada.",
        "There was only load and judgement: the laboratory did not start this market, and so did nothing to it."
    );
    Ok(Story { sentence, ..Story::default() })
}

/// No read fails.
fn reads(m: &Measured) -> Rule {
    let reasons: Vec<_> = m.failures.iter().filter(|((kind, _), _)| *kind == Kind::Read).collect();
    Rule {
        regla: "lecturas".to_owned(),
        dice: t!("Ninguna lectura falla", "No read fails"),
        correcto: reasons.is_empty(),
        unchecked: none(m, Kind::Read).then(|| t!("no hubo lecturas", "there were no reads")),
        veces: reasons.iter().map(|(_, n)| **n).sum(),
        hallazgos: reasons.into_iter().map(|((_, reason), n)| format!("{reason}: {n}")).collect(),
    }
}

/// Whether no operation of this kind was measured.
fn none(m: &Measured, kind: Kind) -> bool {
    !m.samples.iter().any(|s| s.kind == kind)
}

/// The slowest operation of a kind.
fn slowest(m: &Measured, kind: Kind) -> Figure {
    let most = m.samples.iter().filter(|s| s.kind == kind).map(|s| s.took).max().unwrap_or(0);
    let name = match kind {
        Kind::Buy => t!("la compra más lenta", "the slowest purchase"),
        Kind::Read | Kind::Other => t!("la lectura más lenta", "the slowest read"),
    };
    Figure::new(name, measured(most))
}
