//! `caos` in a cluster: by chance a pod is deleted, with its grace period or by force, a service is scaled or rolled. What the
//! cluster does not allow is left out, and said.

use super::{Figure, Lab, Story};
use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::cluster::rights::Deed;
use crate::plan::Service;
use crate::site::new_pods;
use crate::t;
use crate::words::counted;
use std::collections::BTreeMap;
use std::time::Instant;

/// Of a hundred pods: those that get no SIGTERM.
const FORCED: u64 = 70;
/// More need a larger node than a class has.
const MOST: u64 = 4;
/// Between two deeds.
const PAUSE: std::ops::RangeInclusive<u64> = 1_000..=5_000;

pub(super) async fn script(lab: &Lab<'_>, cluster: &Cluster) -> Result<Story, String> {
    for missing in cluster.rights.missing() {
        lab.screen.event(&t!("no se permite {missing}", "not allowed: {missing}"));
    }
    let deeds = [Deed::Delete, Deed::Scale, Deed::Roll];
    let deeds: Vec<_> = deeds.into_iter().filter(|d| cluster.rights.may(*d)).collect();
    let mut chance = Chance::new(lab.seed, 1);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let pause = chance.millis(PAUSE);
        let seconds = pause.as_secs_f64();
        lab.screen.next(t!("algo pasa en {seconds:.0} s", "something happens in {seconds:.0} s"));
        let left = lab.end.saturating_duration_since(Instant::now());
        if !lab.stop.pause(pause.min(left)).await || left <= pause {
            break;
        }
        let (Some(deed), Some(service)) = (chance.pick(&deeds).copied(), chance.pick(&Service::ALL).copied())
        else {
            break;
        };
        let from = lab.meter.now();
        let Some((kind, what)) = lab.until_stopped(done(cluster, deed, service, &mut chance)).await? else {
            break;
        };
        *counts.entry(kind).or_default() += 1;
        lab.did(from, what, deed == Deed::Delete);
    }
    let done: usize = counts.values().sum();
    let sentence =
        t!("Cosas que se le hicieron al clúster: {done}.", "Things that were done to the cluster: {done}.");
    let figures = counts.into_iter().map(|(kind, n)| Figure::new(kind, n)).collect();
    Ok(Story { figures, sentence, ..Story::default() })
}

/// Does it; its kind, and what it was.
async fn done(
    cluster: &Cluster,
    deed: Deed,
    service: Service,
    chance: &mut Chance,
) -> Result<(String, String), String> {
    let name = service.name();
    match deed {
        Deed::Scale => {
            let n = chance.between(1..=MOST);
            cluster.scale(service, usize::try_from(n).unwrap_or(1)).await?;
            let replicas = counted(n, ["réplica", "réplicas"], ["replica", "replicas"]);
            Ok((t!("cambios de réplicas", "scalings"), format!("{name}: {replicas}")))
        }
        Deed::Roll => {
            let new = new_pods(cluster.roll(service).await?);
            Ok((t!("despliegues", "rollouts"), t!("{new} de {name}", "{new} of {name}")))
        }
        Deed::Delete | Deed::Watch => {
            let force = chance.percent(FORCED);
            let all = cluster.of(service);
            let Some(pod) = chance.pick(&all) else {
                return Ok((t!("servicios sin pods", "services without pods"), name.to_owned()));
            };
            let pod = &pod.name;
            cluster.delete(pod, force).await?;
            cluster.back(service, pod, all.len()).await;
            Ok(if force {
                (
                    t!("pods borrados a la fuerza", "pods deleted by force"),
                    t!("{pod} borrado a la fuerza", "{pod} deleted by force"),
                )
            } else {
                (t!("pods borrados", "pods deleted"), t!("{pod} borrado", "{pod} deleted"))
            })
        }
    }
}
