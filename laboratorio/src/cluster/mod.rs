//! A market in a cluster, through the user's kubeconfig: its pods as they come and go, and what can be done to them. Nothing is
//! done that [`rights`] does not allow, and what changes how many pods there are is undone in the end.
//!
//! | what | where |
//! | --- | --- |
//! | the API server, and why it does not do what it is asked | `connection` |
//! | what the user may do | [`rights`] |
//! | the pods, watched | [`pods`] |
//! | how many there are, and the autoscaler | [`replicas`] |

pub(crate) mod connection;
pub mod pods;
pub mod replicas;
pub mod rights;

use crate::plan::Service;
use crate::t;
use connection::Connection;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod as ApiPod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use pods::{Pod, Pods};
use replicas::Before;
use rights::{Deed, Rights};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What `kubectl rollout restart` writes.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// Pods that are not ready by then do not become ready: an image is pulled, a store opened, a volume attached.
const READY: Duration = Duration::from_secs(180);
/// A pod that was deleted has its place taken by then, or stays away.
const BACK: Duration = Duration::from_secs(60);

/// A market in a namespace.
pub struct Cluster {
    /// Where.
    pub namespace: String,
    /// What may be done to it.
    pub rights: Rights,
    to: Arc<Connection>,
    api: Api<ApiPod>,
    pods: watch::Receiver<Pods>,
    before: Mutex<BTreeMap<Service, Before>>,
    watcher: JoinHandle<()>,
}

impl Cluster {
    /// Asks what may be done, and looks for the market's pods. Nothing is changed.
    ///
    /// # Errors
    /// One line: no kubeconfig, no API server, no such namespace, no market in it, no right to see its pods.
    pub async fn connect(namespace: &str) -> Result<Arc<Self>, String> {
        let to = Arc::new(Connection::open(namespace).await?);
        let rights = Rights::ask(&to).await?;
        rights.need(&[Deed::Watch])?;
        let api: Api<ApiPod> = Api::namespaced(to.client.clone(), namespace);
        let (now, version) = pods::list(&to, &api).await?;
        if now.is_empty() {
            return Err(nobody(&to).await);
        }
        let (sender, pods) = watch::channel(now);
        let watcher = tokio::spawn(pods::follow(Arc::clone(&to), api.clone(), version, sender));
        let namespace = namespace.to_owned();
        Ok(Arc::new(Self { namespace, rights, to, api, pods, before: Mutex::default(), watcher }))
    }

    /// For people.
    pub fn place(&self) -> String {
        let (namespace, server) = (&self.namespace, &self.to.server);
        t!("namespace {namespace} de {server}", "namespace {namespace} of {server}")
    }

    /// All of its pods, as they are now.
    pub fn pods(&self) -> Vec<Pod> {
        self.pods.borrow().values().cloned().collect()
    }

    /// Those of a service that nobody has told to end.
    pub fn of(&self, service: Service) -> Vec<Pod> {
        active(&self.pods.borrow(), service).cloned().collect()
    }

    /// Deletes a pod: it gets SIGTERM and its grace period, or by force neither. Its Deployment makes another one.
    ///
    /// # Errors
    /// Where it may not be deleted, or is not there.
    pub async fn delete(&self, name: &str, force: bool) -> Result<(), String> {
        self.rights.need(&[Deed::Delete])?;
        let gone = || t!("no hay ningún pod {name}", "there is no pod {name}");
        if !self.pods.borrow().contains_key(name) {
            // a pod of somebody else is none of ours
            return Err(gone());
        }
        let how = if force { DeleteParams::default().grace_period(0) } else { DeleteParams::default() };
        self.to.look(self.api.delete(name, &how)).await?.map(drop).ok_or_else(gone)
    }

    /// Waits until so many pods of a service are ready, `gone` not counted; whether they were in time.
    pub async fn back(&self, service: Service, gone: &str, ready: usize) -> bool {
        let back = |pods: &Pods| {
            let alive = active(pods, service).filter(|p| p.ready && p.name != gone).count();
            alive >= ready
        };
        self.until(BACK, back).await
    }

    /// Replaces every pod of a service, as `kubectl rollout restart` does, and waits until it is done. How many were replaced.
    ///
    /// # Errors
    /// Where it is not allowed, or the new ones do not become ready.
    pub async fn roll(&self, service: Service) -> Result<usize, String> {
        self.rights.need(&[Deed::Roll])?;
        let old: BTreeSet<_> = self.of(service).into_iter().map(|p| p.name).collect();
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: now}}}}});
        let deployments = self.deployments();
        let (how, patch) = (PatchParams::default(), Patch::Strategic(&patch));
        let patched = deployments.patch(service.name(), &how, &patch);
        self.to.look(patched).await?.ok_or_else(|| self.no_deployment(service))?;
        self.settled(service, |pods| {
            let all: Vec<_> = active(pods, service).collect();
            all.len() >= old.len() && all.iter().all(|p| p.ready && !old.contains(&p.name))
        })
        .await?;
        Ok(old.len())
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.to.client.clone(), &self.namespace)
    }

    fn no_deployment(&self, service: Service) -> String {
        let (name, namespace) = (service.name(), &self.namespace);
        t!(
            "no hay ningún Deployment {name} en el namespace {namespace}",
            "there is no Deployment {name} in the namespace {namespace}"
        )
    }

    /// Waits for pods of a service.
    async fn settled(&self, service: Service, done: impl Fn(&Pods) -> bool) -> Result<(), String> {
        if self.until(READY, done).await {
            return Ok(());
        }
        let (name, seconds, namespace) = (service.name(), READY.as_secs(), &self.namespace);
        Err(t!(
            "los pods de {name} no están listos después de {seconds} s: kubectl -n {namespace} describe pods",
            "the pods of {name} are not ready after {seconds} s: kubectl -n {namespace} describe pods"
        ))
    }

    async fn until(&self, time: Duration, done: impl Fn(&Pods) -> bool) -> bool {
        let mut pods = self.pods.clone();
        matches!(tokio::time::timeout(time, pods.wait_for(done)).await, Ok(Ok(_)))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

fn active(pods: &Pods, service: Service) -> impl Iterator<Item = &Pod> {
    pods.values().filter(move |p| p.service == service && !p.leaving)
}

/// Why a namespace has no pod of the market. A list of pods is empty where there is no such namespace, too.
async fn nobody(to: &Connection) -> String {
    let namespaces: Api<Namespace> = Api::all(to.client.clone());
    let (namespace, server) = (&to.namespace, &to.server);
    // who may not look is told of both
    match to.look(namespaces.get(namespace)).await {
        Ok(None) => {
            t!(
                "no hay ningún namespace {namespace} en {server}",
                "there is no namespace {namespace} at {server}"
            )
        }
        Ok(Some(_)) | Err(_) => t!(
            "en el namespace {namespace} de {server} no hay pods de usuarios, tokens ni transacciones",
            "in the namespace {namespace} of {server} there are no pods of usuarios, tokens or transacciones"
        ),
    }
}
