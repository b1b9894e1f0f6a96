//! The classroom of a cluster: the same page and controls, on this machine and before the cluster's gateway.

use super::order::{self, Order};
use super::{Class, Options, desk::Desk, machine::Machine};
use crate::cluster::Cluster;
use crate::cluster::rights::Deed;
use crate::experiment::opening;
use crate::gateway::{self, Gateway};
use crate::plan::Service;
use crate::site::{Site, new_pods};
use crate::stop::Stop;
use crate::words::counted;
use crate::{http, t};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A gateway that is there answers in this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it until Ctrl-C, and then undoes what was done.
pub(super) async fn run(o: Options, namespace: &str, url: &str, stop: &Stop) -> Result<(), String> {
    let cluster = Cluster::connect(namespace).await?;
    let client = http::client(false)?;
    if http::look(&client, &format!("{url}/tokens?limite=1"), PATIENCE).await.status != Some(200) {
        return Err(t!("en {url} no contesta ningún mercado", "no market answers at {url}"));
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, o.port));
    gateway::is_free(address)?;
    opening::fresh(&o.dir)?;
    let class = Class::new(&o, Machine::default())?;
    let (orders, ordered) = mpsc::channel(16);
    let desk = Desk::new(orders, Arc::clone(&class), o.port)?;
    let token = desk.token.clone();
    let gateway = Gateway::start(address, Some(desk.routes())).await?;
    let _before = gateway.add(&Service::ALL, "gateway", url);
    let _ = class.market.set(url.to_owned());
    // a key that is not good is said now, and not when customers are to come
    class.market().await?;
    let _ = class.site.set(Site::Cluster(Arc::clone(&cluster)));
    let place = cluster.place();
    say!("{}", t!("los controles actúan en el {place}", "the controls act on the {place}"));
    for missing in cluster.rights.missing() {
        say!("{}", t!("no se ofrece {missing}", "not offered: {missing}"));
    }
    class.opened(&gateway.url(), &token);
    // an order that still waits for pods must not scale after the end
    class.serve(ordered, stop).await.shutdown().await;
    class.dismiss().await;
    let restored = cluster.restore().await;
    let dir = o.dir.display();
    say!("{}", t!("los informes están en {dir}", "reports are in {dir}"));
    restored
}

/// The pods, as the controls show processes.
pub(super) fn pods(cluster: &Cluster) -> Vec<Value> {
    let shown = cluster.pods().into_iter().map(|pod| {
        let state = if pod.leaving { "se-va" } else { "corre" };
        json!({"nombre": pod.name, "servicio": pod.service.name(), "estado": state, "listo": pod.ready})
    });
    shown.collect()
}

/// The orders that this cluster takes from this user.
pub(super) fn offers(cluster: &Cluster) -> Vec<&'static str> {
    let of = |deed, orders: &[&'static str]| {
        if cluster.rights.may(deed) { orders.to_vec() } else { Vec::new() }
    };
    let mut all = vec!["carga", "informe"];
    all.extend(of(Deed::Delete, &["matar", "terminar"]));
    all.extend(of(Deed::Scale, &["replicas"]));
    all.extend(of(Deed::Roll, &["reemplazar"]));
    all
}

/// Does it; what was done, in words.
pub(super) async fn obey(cluster: &Cluster, order: Order) -> Result<String, String> {
    match order {
        Order::Kill { proceso } => {
            cluster.delete(&proceso, true).await?;
            Ok(t!("{proceso} borrado a la fuerza", "{proceso} deleted by force"))
        }
        Order::Terminate { proceso } => {
            cluster.delete(&proceso, false).await?;
            Ok(t!("{proceso} borrado", "{proceso} deleted"))
        }
        Order::Replicas { servicio, n } => {
            let n = order::replicas(n)?;
            cluster.scale(servicio, n).await?;
            let (name, pods) = (servicio.name(), counted(n, ["pod", "pods"], ["pod", "pods"]));
            Ok(t!("{pods} de {name}", "{pods} of {name}"))
        }
        Order::Roll { servicio } => {
            let (new, name) = (new_pods(cluster.roll(servicio).await?), servicio.name());
            Ok(t!("{new} de {name}", "{new} of {name}"))
        }
        other => {
            let what = other.said();
            Err(t!(
                "solo en esta máquina, no en un clúster: {what}",
                "on this machine only, not in a cluster: {what}"
            ))
        }
    }
}
