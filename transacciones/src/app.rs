//! The only wiring: configuration in, a running service out.

use crate::config::{Config, PurchaseOptions};
use crate::participants::{Http, Tokens, Usuarios};
use crate::purchase::runner::Coordinator;
use crate::recovery::{Recovery, Tally};
use crate::routes;
use crate::service::Service;
use crate::store::{Modelo, Store};
use actix_web::web::Data;
use common::client::Client;
use common::config::StartError;
use common::edge::Edge;
use common::journal::Journal;
use common::metrics::Metrics;
use common::ops::Ops;
use common::server::{self, Leave, Server};
use common::store;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
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
        journal: Journal<Modelo>,
        tokens: Arc<dyn Tokens>,
        usuarios: Arc<dyn Usuarios>,
        options: PurchaseOptions,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let behind = TaskTracker::new();
        let (deadline, orphan_age) = (options.deadline(), options.orphan_age()?);
        let coordinator =
            Coordinator { store: Store::new(journal), tokens, usuarios, deadline, behind: behind.clone() };
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

/// A service that is open for business once it [`App::run`]s.
pub struct App {
    server: Server,
    engine: Engine,
    journal: Journal<Modelo>,
    grace: Duration,
    public: SocketAddr,
    internal: SocketAddr,
}

impl App {
    /// Opens the store, then the ports. Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn build(config: &Config) -> Result<Self, StartError> {
        let start = Instant::now();
        config.purchase.orphan_age()?;
        let edge = Arc::new(Edge::new(&config.server.hostname, config.server.connection_age()));
        let tokens = Http::tokens(Client::new("tokens", &config.tokens_url, &config.internal_token)?);
        let usuarios = Http::usuarios(Client::new("usuarios", &config.usuarios_url, &config.internal_token)?);
        let journal = store::open::<Modelo>(&config.store)?;
        store::measure(&journal, &edge.metrics);
        let health = journal.clone();
        let ops = Ops::new(
            "transacciones",
            &config.server.hostname,
            Arc::clone(&edge),
            routes::openapi(),
            move || health.health().map_err(|e| e.to_string()),
        )?;
        let ops = Data::new(ops);

        let public = server::listen(&config.host, config.port, "--port (PORT)")?;
        let internal = server::listen(&config.host, config.internal_port, "--internal-port (INTERNAL_PORT)")?;
        let addresses = (server::address(&public)?, server::address(&internal)?);
        let engine = Engine::start(
            journal.clone(),
            Arc::new(tokens),
            Arc::new(usuarios),
            config.purchase,
            &edge.metrics,
        )?;
        let service = Data::new(engine.service.clone());
        let mut server = Server::new(&config.server, edge);
        server.serve(public, {
            let ops = ops.clone();
            move |c| {
                c.app_data(service.clone())
                    .app_data(ops.clone())
                    .configure(routes::public)
                    .configure(common::ops::routes);
            }
        })?;
        server.serve(internal, move |c| {
            c.app_data(ops.clone()).configure(common::ops::routes);
        })?;
        log::info!(
            "transacciones {} on http://{} (internal {}), store {}: {}; ready after {} ms",
            env!("CARGO_PKG_VERSION"),
            addresses.0,
            addresses.1,
            config.store.store,
            store::describe(&journal),
            start.elapsed().as_millis()
        );
        let grace = Duration::from_secs(config.server.grace_seconds);
        Ok(Self { server, engine, journal, grace, public: addresses.0, internal: addresses.1 })
    }

    /// Where the public API listens.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where probes and metrics listen.
    pub fn internal(&self) -> SocketAddr {
        self.internal
    }

    /// Serves until `leave` completes; then finishes what runs, compacts and closes the store.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub async fn run(self, leave: impl Future<Output = Leave>) -> Result<(), StartError> {
        let served = self.server.run(leave).await;
        self.engine.stop(self.grace).await;
        let journal = self.journal;
        let closed = server::blocking(move || store::close(&journal)).await?;
        log::info!("transacciones has left: {closed}");
        served.map(|_| ())
    }
}
