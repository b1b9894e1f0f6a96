//! The only wiring: configuration in, a running service out.

use crate::config::{Config, PurchaseOptions};
use crate::purchase::runner::Coordinator;
use crate::recovery::{Recovery, Tally};
use crate::routes;
use crate::service::Service;
use crate::store::Store;
use crate::store::state::State;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use market::contract::{CargoRequest, ReservaRequest};
use market::host::{Host, Serving};
use market::participant::{Holder, Http};
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
    background: TaskTracker,
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
        tokens: Arc<dyn Holder<ReservaRequest>>,
        usuarios: Arc<dyn Holder<CargoRequest>>,
        options: PurchaseOptions,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let background = TaskTracker::new();
        let (deadline, orphan_age) = (options.deadline(), options.orphan_age()?);
        let coordinator = Coordinator { store, tokens, usuarios, deadline, background: background.clone() };
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
        Ok(Self { service: Service::new(coordinator, Handle::current()), background, recovery, stop })
    }

    /// Waits for purchases under way, at most for `grace`, and stops recovery. What is cut off here is settled by
    /// recovery at the next start.
    pub async fn stop(self, grace: Duration) {
        self.background.close();
        if tokio::time::timeout(grace, self.background.wait()).await.is_err() {
            log::warn!("{} purchases are still under way; recovery will settle them", self.background.len());
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
pub fn build(config: &Config) -> Result<Serving, StartError> {
    config.purchase.orphan_age()?;
    let options = &config.host;
    let tokens = Arc::new(Http::<ReservaRequest>::at(&config.tokens_url, &options.internal_token)?);
    let usuarios = Arc::new(Http::<CargoRequest>::at(&config.usuarios_url, &options.internal_token)?);
    let mut host = Host::new("transacciones", &options.server, &options.store);
    let opened = host.open::<State>(&[])?;
    host.keep(&opened);
    let ops = host.ops(routes::openapi())?;
    let engine = Engine::start(Store::new(opened), tokens, usuarios, config.purchase, &host.edge.metrics)?;
    let service = Data::new(engine.service.clone());
    let public = options.public(move |c: &mut ServiceConfig| {
        c.app_data(service.clone()).configure(routes::public);
    });
    let internal = options.internal(|_: &mut ServiceConfig| {});
    let grace = Duration::from_secs(options.server.grace_seconds);
    Ok(host.serve(ops, public, Some(internal))?.finish(engine.stop(grace)))
}
