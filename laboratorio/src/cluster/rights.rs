//! What a user may do in a namespace. The cluster is asked before anything is done: what its RBAC does not allow is not offered,
//! and the missing rule is named. `k8s/components/laboratorio` has a Role with exactly these rules.

use super::Connection;
use crate::t;
use futures_util::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use std::collections::BTreeMap;

/// Something that the laboratory does in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Seeing pods come, become ready and go.
    Watch,
    /// Deleting a pod, with its grace period or without.
    Delete,
    /// Changing how many pods a Deployment has, and holding its autoscaler there.
    Scale,
    /// Replacing every pod of a Deployment.
    Roll,
}

/// A verb, an API group, a resource.
type Rule = (&'static str, &'static str, &'static str);

impl Deed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Watch, Self::Delete, Self::Scale, Self::Roll];

    const fn rules(self) -> &'static [Rule] {
        match self {
            Self::Watch => &[("list", "", "pods"), ("watch", "", "pods")],
            Self::Delete => &[("delete", "", "pods")],
            Self::Scale => &[
                ("get", "apps", "deployments/scale"),
                ("patch", "apps", "deployments/scale"),
                ("list", "autoscaling", "horizontalpodautoscalers"),
                ("patch", "autoscaling", "horizontalpodautoscalers"),
            ],
            Self::Roll => &[("patch", "apps", "deployments")],
        }
    }

    fn said(self) -> String {
        match self {
            Self::Watch => t!("ver los pods", "watching pods"),
            Self::Delete => t!("borrar pods", "deleting pods"),
            Self::Scale => t!("escalar", "scaling"),
            Self::Roll => t!("reemplazar los pods", "rolling"),
        }
    }
}

/// What the cluster has said.
#[derive(Debug)]
pub struct Rights {
    namespace: String,
    missing: BTreeMap<Deed, Vec<String>>,
}

impl Rights {
    /// Asks about every rule.
    ///
    /// # Errors
    /// Where the API server does not answer, or does not accept the user.
    pub(super) async fn ask(to: &Connection) -> Result<Self, String> {
        let all = Deed::ALL.into_iter().flat_map(|d| d.rules().iter().map(move |rule| (d, *rule)));
        let asked = all.map(async |(deed, rule)| Ok::<_, String>((deed, rule, allowed(to, rule).await?)));
        let mut missing: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (deed, (verb, group, resource), allowed) in try_join_all(asked).await? {
            if !allowed {
                let of = if group.is_empty() { String::new() } else { format!(" ({group})") };
                missing.entry(deed).or_default().push(format!("{verb} {resource}{of}"));
            }
        }
        Ok(Self { namespace: to.namespace.clone(), missing })
    }

    /// Whether it is allowed.
    pub fn may(&self, deed: Deed) -> bool {
        !self.missing.contains_key(&deed)
    }

    /// All of them, or an error that names the rules that are missing.
    ///
    /// # Errors
    /// One line.
    pub fn need(&self, deeds: &[Deed]) -> Result<(), String> {
        let rules: Vec<_> =
            deeds.iter().filter_map(|d| self.missing.get(d)).flatten().map(String::as_str).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let (rules, namespace) = (rules.join(", "), &self.namespace);
        Err(t!(
            "en el namespace {namespace} no se le permite: {rules}; el Role que hace falta está en k8s/components/laboratorio",
            "in the namespace {namespace} you are not allowed: {rules}; the Role that is needed is in k8s/components/laboratorio"
        ))
    }

    /// What is not offered, in words, each with its missing rules.
    pub fn missing(&self) -> Vec<String> {
        self.missing.iter().map(|(deed, rules)| format!("{}: {}", deed.said(), rules.join(", "))).collect()
    }
}

async fn allowed(to: &Connection, (verb, group, resource): Rule) -> Result<bool, String> {
    let (resource, part) = resource.split_once('/').map_or((resource, None), |(r, part)| (r, Some(part)));
    let attributes = ResourceAttributes {
        namespace: Some(to.namespace.clone()),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: part.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(to.client.clone());
    let answer = to.ask(reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|s| s.allowed))
}
