//! How many pods a service has. Whatever is changed here is written down first, and put back by [`Cluster::restore`].
//!
//! An autoscaler takes back what somebody else does to its Deployment, within seconds. So where a service has one, it is held at
//! the wanted number (`minReplicas` and `maxReplicas`), and its own bounds come back in the end.

use super::rights::Deed;
use super::{Cluster, active};
use crate::plan::Service;
use crate::t;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::sync::PoisonError;

/// What a service had before.
#[derive(Clone, Debug)]
pub(super) struct Before {
    replicas: i32,
    scaler: Option<Scaler>,
}

#[derive(Clone, Debug)]
struct Scaler {
    name: String,
    /// Nothing where it is left to the API server, which takes 1.
    least: Option<i32>,
    most: i32,
}

impl Cluster {
    /// So many pods of a service, and waits until they are ready.
    ///
    /// # Errors
    /// Where it is not allowed, or they do not become ready.
    pub async fn scale(&self, service: Service, n: usize) -> Result<(), String> {
        self.rights.need(&[Deed::Scale])?;
        let before = self.remember(service).await?;
        let wanted = i32::try_from(n).unwrap_or(i32::MAX);
        if let Some(scaler) = &before.scaler {
            self.bound(&scaler.name, Some(wanted), wanted).await?;
        }
        self.set(service, wanted).await?;
        self.settled(service, |pods| {
            let mut all = active(pods, service);
            let ready = all.by_ref().filter(|p| p.ready).count();
            ready == n && active(pods, service).count() == n
        })
        .await
    }

    /// Everything is scaled as it was before. Whatever can be put back is, also where something else cannot.
    ///
    /// # Errors
    /// What is not as it was, and how to put it back by hand.
    pub async fn restore(&self) -> Result<(), String> {
        let all = std::mem::take(&mut *self.before.lock().unwrap_or_else(PoisonError::into_inner));
        let mut wrong = Vec::new();
        for (service, before) in all {
            let (name, n, namespace) = (service.name(), before.replicas, &self.namespace);
            // an autoscaler that is still held would take the replicas back
            let free = match &before.scaler {
                Some(scaler) => self.bound(&scaler.name, scaler.least, scaler.most).await,
                None => Ok(()),
            };
            match self.set(service, n).await.and(free) {
                Ok(()) => say!("{}", t!("{name}: otra vez {n} réplicas", "{name}: {n} replicas again")),
                Err(e) => wrong.push(t!(
                    "{name} no volvió a {n} réplicas ({e}): kubectl -n {namespace} scale deployment/{name} --replicas={n}",
                    "{name} is not back at {n} replicas ({e}): kubectl -n {namespace} scale deployment/{name} --replicas={n}"
                )),
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// What there is before the first change.
    async fn remember(&self, service: Service) -> Result<Before, String> {
        let known = self.before.lock().unwrap_or_else(PoisonError::into_inner).get(&service).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let deployments = self.deployments();
        let scale = self.to.look(deployments.get_scale(service.name())).await?;
        let scale = scale.ok_or_else(|| self.no_deployment(service))?;
        let replicas = scale.spec.and_then(|s| s.replicas).unwrap_or(1);
        let scalers = self.to.ask(self.scalers().list(&ListParams::default())).await?;
        let scaler = scalers.items.into_iter().find_map(|h| {
            let name = h.name_any();
            let spec = h.spec;
            let to = &spec.scale_target_ref;
            (to.kind == "Deployment" && to.name == service.name()).then_some(Scaler {
                name,
                least: spec.min_replicas,
                most: spec.max_replicas,
            })
        });
        let before = Before { replicas, scaler };
        self.before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(service)
            .or_insert_with(|| before.clone());
        Ok(before)
    }

    async fn set(&self, service: Service, n: i32) -> Result<(), String> {
        let patch = json!({"spec": {"replicas": n}});
        let deployments = self.deployments();
        let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = deployments.patch_scale(service.name(), &how, &patch);
        self.to.look(patched).await?.map(drop).ok_or_else(|| self.no_deployment(service))
    }

    async fn bound(&self, scaler: &str, least: Option<i32>, most: i32) -> Result<(), String> {
        // null takes a field away, and the API server then says 1
        let patch = json!({"spec": {"minReplicas": least, "maxReplicas": most}});
        self.to
            .ask(self.scalers().patch(scaler, &PatchParams::default(), &Patch::Merge(&patch)))
            .await
            .map(drop)
    }

    fn scalers(&self) -> Api<HorizontalPodAutoscaler> {
        Api::namespaced(self.to.client.clone(), &self.namespace)
    }
}
