//! The only wiring: configuration in, a running service out.

use crate::audit::auditor::Auditor;
use crate::breaker::Guarded;
use crate::complaint::Complaint;
use crate::config::{Config, PurchaseOptions};
use crate::feed::Feed;
use crate::forgetting::Forgetting;
use crate::purchase::runner::Coordinator;
use crate::recovery::{Recovery, Tally};
use crate::routes;
use crate::service::Service;
use crate::store::Store;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use market::contract::{CargoRequest, ReservaRequest};
use market::host::{Host, Serving};
use market::participant::{Holder, Http};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The coordinator at work: its service, and recovery beside the service.
pub struct Engine {
    /// Buys and looks.
    pub service: Service,
    background: TaskTracker,
    recovery: tokio::task::JoinHandle<()>,
    forgetting: tokio::task::JoinHandle<()>,
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
        let (tokens, usuarios) = (Guarded::new("tokens", tokens), Guarded::new("usuarios", usuarios));
        tokens.measure("tokens_unanswering", metrics);
        usuarios.measure("usuarios_unanswering", metrics);
        let coordinator = Coordinator {
            store: store.clone(),
            tokens: Arc::new(tokens),
            usuarios: Arc::new(usuarios),
            deadline,
            background: background.clone(),
            trouble: Arc::new(Complaint::new(log::Level::Error)),
        };
        let tally = Arc::new(Tally::default());
        let read = |pick: fn(&Tally) -> u64| {
            let tally = Arc::clone(&tally);
            move || pick(&tally)
        };
        metrics.gauge(
            "recovery_backlog",
            "Old holds that the last pass of recovery could not settle",
            read(|t| t.backlog.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "recovery_confirmed",
            "Holds that recovery confirmed",
            read(|t| t.confirmed.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "recovery_cancelled",
            "Holds that recovery cancelled",
            read(|t| t.cancelled.load(Ordering::Relaxed)),
        );
        let stop = CancellationToken::new();
        let recovery = Recovery { coordinator: coordinator.clone(), orphan_age, tally };
        let recovery = tokio::spawn(recovery.run(stop.clone()));
        let forgotten = Arc::new(AtomicU64::new(0));
        let forgetting = Forgetting {
            store: store.clone(),
            keep: options.refused_keys,
            forgotten: Arc::clone(&forgotten),
        };
        let forgetting = tokio::spawn(forgetting.run(stop.clone()));
        metrics.counter(
            "refused_keys_forgotten",
            "Keys of refused purchases that may be used anew",
            move || forgotten.load(Ordering::Relaxed),
        );
        let runtime = Handle::current();
        let streams = usize::try_from(options.event_streams).unwrap_or(usize::MAX);
        let feed = Feed::new(store, routes::events::write_event, streams, runtime.clone());
        let auditor = Auditor::new(Duration::from_millis(options.audit_pause_ms), runtime.clone());
        let service = Service::new(coordinator, auditor.clone(), feed, options.purchases_at_once, runtime);
        measure(&service, auditor, u64::from(options.purchases_at_once), metrics);
        Ok(Self { service, background, recovery, forgetting, stop })
    }

    /// Waits for purchases under way, at most for `grace`, and stops recovery. The next start's recovery settles what is cut
    /// off here.
    pub async fn stop(self, grace: Duration) {
        self.background.close();
        if tokio::time::timeout(grace, self.background.wait()).await.is_err() {
            log::warn!("{} purchases are still under way; recovery will settle them", self.background.len());
        }
        self.stop.cancel();
        for task in [self.recovery, self.forgetting] {
            if let Err(e) = task.await {
                log::error!("a background task had ended before: {e}");
            }
        }
    }
}

/// Shows how near the limits are.
fn measure(service: &Service, auditor: Auditor, at_once: u64, metrics: &Metrics) {
    let read = |pick: fn(&Service) -> u64| {
        let service = service.clone();
        move || pick(&service)
    };
    let left = read(Service::slots_left);
    metrics.gauge("purchases_under_way", "Purchases under way, with their background tasks", move || {
        at_once.saturating_sub(left())
    });
    metrics.counter(
        "purchases_turned_away",
        "Purchases that were not begun, since too many were under way",
        read(Service::turned_away),
    );
    metrics.gauge("event_streams", "Clients that follow the events", read(|s| s.feed().readers()));
    metrics.counter(
        "event_streams_turned_away",
        "Clients that may not follow the events, since too many do",
        read(|s| s.feed().turned_away()),
    );
    metrics.counter(
        "event_streams_cut_off",
        "Clients that read the events too slowly",
        read(|s| s.feed().cut_off()),
    );
    let of_lists = auditor.clone();
    metrics.counter("audits", "Audits that were begun", move || auditor.begun());
    metrics.counter("audits_of_lists", "Lists that an audit read, since digests differed", move || {
        of_lists.of_lists()
    });
}

/// Opens the store, then the ports. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving, StartError> {
    config.purchase.orphan_age()?;
    #[cfg(feature = "fault-points")]
    crate::purchase::point::arm(config.fallo_en);
    let options = &config.host;
    let accounts = options.accounts_of(&config.usuarios_url)?;
    let tokens = Arc::new(Http::<ReservaRequest>::at(&config.tokens_url, options.internal_token()?)?);
    let usuarios = Arc::new(Http::<CargoRequest>::at(&config.usuarios_url, options.internal_token()?)?);
    let mut host = Host::new("transacciones", &options.server, &options.store);
    let (store, kept) = Store::open(&host, &[])?;
    host.keep(kept);
    let ops = host.ops(routes::openapi(), &accounts)?;
    let store = store.signed(&options.server.hostname);
    let engine = Engine::start(store, tokens, usuarios, config.purchase, &host.edge.metrics)?;
    let service = Data::new(engine.service.clone());
    let public = options.public(move |c: &mut ServiceConfig| {
        c.app_data(service.clone()).configure(routes::public);
    });
    let internal = options.internal(|_: &mut ServiceConfig| {})?;
    let grace = Duration::from_secs(options.server.grace_seconds);
    Ok(host.serve(ops, public, Some(internal))?.finish(engine.stop(grace)))
}
