//! The only wiring: configuration in, a running service out.

use crate::cache::Cache;
use crate::config::Config;
use crate::imagenes::Imagenes;
use crate::routes;
use crate::service::Service;
use crate::store::Modelo;
use actix_web::web::Data;
use common::config::StartError;
use common::edge::Edge;
use common::journal::Journal;
use common::ops::Ops;
use common::server::{self, Leave, Server};
use common::store;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// A service that is open for business once it [`App::run`]s.
pub struct App {
    server: Server,
    journal: Journal<Modelo>,
    public: SocketAddr,
    internal: SocketAddr,
}

impl App {
    /// Opens the store, then the ports.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn build(config: &Config) -> Result<Self, StartError> {
        let start = Instant::now();
        let edge = Arc::new(Edge::new(&config.server.hostname, config.server.connection_age()));
        let imagenes = Data::new(Imagenes::open(config.imagenes.as_deref())?);
        let journal = store::open::<Modelo>(&config.store)?;
        store::measure(&journal, &edge.metrics);
        let service = Data::new(Service::new(journal.clone()));
        let cache = Data::new(Cache::default());
        let health = journal.clone();
        let ops =
            Ops::new("tokens", &config.server.hostname, Arc::clone(&edge), routes::openapi(), move || {
                health.health().map_err(|e| e.to_string())
            })?;
        let (ops, token) = (Data::new(ops), Data::new(config.internal_token.clone()));

        let public = server::listen(&config.host, config.port, "--port (PORT)")?;
        let internal = server::listen(&config.host, config.internal_port, "--internal-port (INTERNAL_PORT)")?;
        let addresses = (server::address(&public)?, server::address(&internal)?);
        let mut server = Server::new(&config.server, edge);
        server.serve(public, {
            let (service, ops) = (service.clone(), ops.clone());
            move |c| {
                c.app_data(service.clone())
                    .app_data(cache.clone())
                    .app_data(imagenes.clone())
                    .app_data(ops.clone())
                    .configure(routes::public)
                    .configure(common::ops::routes);
            }
        })?;
        server.serve(internal, move |c| {
            c.app_data(service.clone()).app_data(ops.clone()).app_data(token.clone());
            c.configure(routes::interno::routes).configure(common::ops::routes);
        })?;
        log::info!(
            "tokens {} on http://{} (internal {}), store {}: {}; ready after {} ms",
            env!("CARGO_PKG_VERSION"),
            addresses.0,
            addresses.1,
            config.store.store,
            store::describe(&journal),
            start.elapsed().as_millis()
        );
        Ok(Self { server, journal, public: addresses.0, internal: addresses.1 })
    }

    /// Where the public API listens.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where the internal API listens.
    pub fn internal(&self) -> SocketAddr {
        self.internal
    }

    /// Serves until `leave` completes; then finishes what runs, compacts and closes the store.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub async fn run(self, leave: impl Future<Output = Leave>) -> Result<(), StartError> {
        let served = self.server.run(leave).await;
        let journal = self.journal;
        let closed = server::blocking(move || store::close(&journal)).await?;
        log::info!("tokens has left: {closed}");
        served.map(|_| ())
    }
}
