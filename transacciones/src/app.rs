//! The only wiring: configuration in, a running service out.

use crate::config::{Config, PurchaseOptions};
use crate::participants::{Http, Tokens, Usuarios};
use crate::purchase::runner::Coordinator;
use crate::recovery::{Recovery, Tally};
use crate::routes;
use crate::service::Service;
use crate::store::Store;
use crate::store::json::Modelo;
use actix_web::web::{Data, ServiceConfig};
use http_kit::client::Client;
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use market::host::{Host, Serving};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The coordinator at work: its service, and recovery running beside it.
pub struct Engine {
    /// Buys and looks.
    pub service: Service,
    behind: TaskTracker,
    recovery: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
}

impl Engine {
    /// Starts recovery; must be called on the runtime that purchases shall run on.
    ///
    /// # Errors
    /// Exit code 64 for times that do not fit together.
    pub fn start(
        store: Store,
        tokens: Arc<dyn Tokens>,
        usuarios: Arc<dyn Usuarios>,
        options: PurchaseOptions,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let behind = TaskTracker::new();
        let (deadline, orphan_age) = (options.deadline(), options.orphan_age()?);
        let coordinator = Coordinator { store, tokens, usuarios, deadline, behind: behind.clone() };
        let tally = Arc::new(Tally::default());
        let read = |pick: fn(&Tally) -> u64| {
            let tally = Arc::clone(&tally);
            move || pick(&tally)
        };
        metrics.gauge(
            "recovery_backlog",
            "Old tries that the last pass of recovery could not settle",
            read(|t| t.backlog.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "recovery_confirmed",
            "Tries that recovery confirmed",
            read(|t| t.confirmed.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "recovery_cancelled",
            "Tries that recovery cancelled",
            read(|t| t.cancelled.load(Ordering::Relaxed)),
        );
        let stop = CancellationToken::new();
        let recovery = Recovery { coordinator: coordinator.clone(), orphan_age, tally };
        let recovery = tokio::spawn(recovery.run(stop.clone()));
        Ok(Self { service: Service::new(coordinator, Handle::current()), behind, recovery, stop })
    }

    /// Waits for purchases under way, at most for `grace`, and stops recovery. What is cut off here is settled by
    /// recovery at the next start.
    pub async fn stop(self, grace: Duration) {
        self.behind.close();
        if tokio::time::timeout(grace, self.behind.wait()).await.is_err() {
            log::warn!("{} purchases are still under way; recovery will settle them", self.behind.len());
        }
        self.stop.cancel();
        if let Err(e) = self.recovery.await {
            log::error!("recovery had ended before: {e}");
        }
    }
}

/// Opens the store, then the ports. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving<Modelo>, StartError> {
    config.purchase.orphan_age()?;
    let token = &config.host.internal_token;
    let tokens = Http::tokens(Client::new("tokens", &config.tokens_url, token)?);
    let usuarios = Http::usuarios(Client::new("usuarios", &config.usuarios_url, token)?);
    let host = Host::<Modelo>::open("transacciones", &config.host, routes::openapi())?;
    let (tokens, usuarios) = (Arc::new(tokens), Arc::new(usuarios));
    let store = Store::new(host.store.clone());
    let engine = Engine::start(store, tokens, usuarios, config.purchase, &host.edge.metrics)?;
    let service = Data::new(engine.service.clone());
    let public = move |c: &mut ServiceConfig| {
        c.app_data(service.clone()).configure(routes::public);
    };
    let grace = Duration::from_secs(config.host.server.grace_seconds);
    Ok(host.serve(public, |_: &mut ServiceConfig| {})?.finish(engine.stop(grace)))
}
