//! The market that something is done to: processes that were started here, or pods of a cluster. A market of which only the
//! URL is known is none: nothing is done to it.

use crate::cluster::Cluster;
use crate::local::Local;
use crate::plan::Service;
use crate::t;
use crate::words::counted;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As a kubelet restarts a container for the first time: at once, and it takes a moment.
const DOWN: Duration = Duration::from_millis(300);
/// A process that is not back by then stays away.
const BACK: Duration = Duration::from_secs(20);

/// So many, in words.
pub fn new_pods(n: usize) -> String {
    counted(n, ["pod nuevo", "pods nuevos"], ["new pod", "new pods"])
}

/// Whose processes.
#[derive(Clone)]
pub enum Site {
    /// Ours.
    Local(Arc<Local>),
    /// A cluster's.
    Cluster(Arc<Cluster>),
}

/// What a rollout replaces at a time.
#[derive(Clone, Debug)]
pub enum Part {
    /// A process.
    Process(String),
    /// All pods of a Deployment.
    Deployment(Service),
}

impl Part {
    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Self::Process(name) => name,
            Self::Deployment(service) => service.name(),
        }
    }
}

impl Site {
    /// The service whose processes do the work of this one.
    pub fn name_of(&self, service: Service) -> &'static str {
        match self {
            Self::Local(local) => local.host_of(service).name(),
            Self::Cluster(_) => service.name(),
        }
    }

    /// How many processes a service has.
    pub fn count(&self, service: Service) -> usize {
        match self {
            Self::Local(local) => local.of(service).len(),
            Self::Cluster(cluster) => cluster.of(service).len(),
        }
    }

    /// So many processes of a service, all of them ready.
    ///
    /// # Errors
    /// Where one does not start or end.
    pub async fn scale(&self, service: Service, n: usize) -> Result<(), String> {
        match self {
            Self::Local(local) => local.scale(service, n).await,
            Self::Cluster(cluster) => cluster.scale(service, n).await,
        }
    }

    /// Kills a process of a service, another one each time, and waits until there is one in its place. What was done, in words;
    /// nothing where the service has none.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub async fn kill(&self, service: Service, turn: usize) -> Result<Option<String>, String> {
        match self {
            Self::Local(local) => {
                let all = local.of(service);
                let Some(victim) = all.get(turn % all.len().max(1)) else { return Ok(None) };
                let starts = victim.starts();
                local.kill(&victim.name, Some(DOWN)).await?;
                let deadline = Instant::now() + BACK;
                while (victim.starts() == starts || !victim.ready()) && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let victim = &victim.name;
                Ok(Some(t!("kill -9 a {victim}", "kill -9 of {victim}")))
            }
            Self::Cluster(cluster) => {
                let all = cluster.of(service);
                let Some(victim) = all.get(turn % all.len().max(1)) else { return Ok(None) };
                let victim = &victim.name;
                cluster.delete(victim, true).await?;
                cluster.back(service, victim, all.len()).await;
                Ok(Some(t!("{victim} borrado a la fuerza", "{victim} deleted by force")))
            }
        }
    }

    /// What a rollout replaces, in turn.
    pub fn parts(&self) -> Vec<Part> {
        match self {
            Self::Local(local) => {
                let all = local.services().into_iter().flat_map(|s| local.of(s));
                all.map(|r| Part::Process(r.name)).collect()
            }
            Self::Cluster(_) => Service::ALL.map(Part::Deployment).to_vec(),
        }
    }

    /// Replaces it; how many processes were, and in words.
    ///
    /// # Errors
    /// Where the new one does not become ready, or the old one does not end.
    pub async fn renew(&self, part: &Part) -> Result<(usize, String), String> {
        let name = part.name();
        match (self, part) {
            (Self::Cluster(cluster), Part::Deployment(service)) => {
                let n = cluster.roll(*service).await?;
                let new = new_pods(n);
                Ok((n, t!("{new} de {name}", "{new} of {name}")))
            }
            (Self::Local(local), _) => {
                let new = local.replace(name).await?;
                Ok((1, t!("{new} en lugar de {name}", "{new} instead of {name}")))
            }
            (Self::Cluster(_), Part::Process(_)) => {
                Err(t!("{name} no es un Deployment", "{name} is no Deployment"))
            }
        }
    }

    /// Undoes what was done to it.
    ///
    /// # Errors
    /// What is not as it was.
    pub async fn calm(&self) -> Result<(), String> {
        match self {
            Self::Local(local) => {
                local.calm();
                Ok(())
            }
            Self::Cluster(cluster) => cluster.restore().await,
        }
    }
}
