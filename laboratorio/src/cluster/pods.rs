//! The pods of the three services: one list, and then every change as the API server tells it.

use super::connection::Connection;
use crate::plan::Service;
use futures_util::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// As `k8s/base` labels them.
const NAME: &str = "app.kubernetes.io/name";
/// Before another attempt where the server is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// A pod of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Whose.
    pub service: Service,
    /// Its name, which it says in `X-Pod`.
    pub name: String,
    /// Whether requests are sent to it.
    pub ready: bool,
    /// Whether it was told to end.
    pub leaving: bool,
}

/// By name.
pub type Pods = BTreeMap<String, Pod>;

fn selector() -> String {
    let names = Service::ALL.map(Service::name).join(",");
    format!("{NAME} in ({names})")
}

fn known(pod: &ApiPod) -> Option<Pod> {
    let of = pod.labels().get(NAME)?;
    let service = Service::ALL.into_iter().find(|s| s.name() == of)?;
    let status = pod.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_ref());
    let ready = conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    // a Job's pod, or one that was evicted, stays as a record of what happened
    let ended = status.and_then(|s| s.phase.as_deref()).is_some_and(|p| p == "Failed" || p == "Succeeded");
    let leaving = ended || pod.metadata.deletion_timestamp.is_some();
    Some(Pod { service, name: pod.name_any(), ready: ready && !leaving, leaving })
}

/// As they are now, and the version of this state.
pub(super) async fn list(to: &Connection, api: &Api<ApiPod>) -> Result<(Pods, String), String> {
    let all = to.ask(api.list(&ListParams::default().labels(&selector()))).await?;
    let version = all.metadata.resource_version.clone().unwrap_or_default();
    let pods = all.items.iter().filter_map(known).map(|p| (p.name.clone(), p)).collect();
    Ok((pods, version))
}

/// Keeps them as they are, for as long as somebody looks.
pub(super) async fn follow(
    to: std::sync::Arc<Connection>,
    api: Api<ApiPod>,
    mut version: String,
    pods: watch::Sender<Pods>,
) {
    while !pods.is_closed() {
        if !changes(&api, &mut version, &pods).await {
            // a version that is too old, or a server that went away
            tokio::time::sleep(AGAIN).await;
            if let Ok((now, at)) = list(&to, &api).await {
                version = at;
                pods.send_replace(now);
            }
        }
    }
}

/// One watch, to its end. Whether the next one can go on from there.
async fn changes(api: &Api<ApiPod>, version: &mut String, pods: &watch::Sender<Pods>) -> bool {
    let wanted = WatchParams::default().labels(&selector());
    let Ok(events) = api.watch(&wanted, version).await else { return false };
    pin_mut!(events);
    let mut any = false;
    while let Some(event) = events.next().await {
        any = true;
        match event {
            Ok(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => {
                *version = pod.resource_version().unwrap_or_default();
                if let Some(pod) = known(&pod) {
                    pods.send_modify(|all| _ = all.insert(pod.name.clone(), pod));
                }
            }
            Ok(WatchEvent::Deleted(pod)) => {
                *version = pod.resource_version().unwrap_or_default();
                pods.send_modify(|all| _ = all.remove(&pod.name_any()));
            }
            Ok(WatchEvent::Bookmark(mark)) => version.clone_from(&mark.metadata.resource_version),
            Ok(WatchEvent::Error(_)) | Err(_) => return false,
        }
    }
    // a watch that ends at once and says nothing would be asked for without a pause
    any
}
