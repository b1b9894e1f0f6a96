//! The only wiring: configuration in, a running market out.

use crate::config::Config;
use crate::local::{LocalTokens, LocalUsuarios};
use crate::web;
use actix_web::web::Data;
use http_kit::edge::Edge;
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use http_kit::ops::Ops;
use http_kit::server::{self, Leave, Server};
use market::host::share_visits;
use market::openapi::{PRODUCT, with_schemas};
use market::store::{Opened, Place};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use transacciones::app::Engine;

/// The sample data that an empty directory starts with, unless `SEED_DIR` names other.
const SAMPLE: &[(&str, &str)] = &[
    ("usuarios", include_str!("../../usuarios/usuarios.json")),
    ("tokens", include_str!("../../tokens/tokens.json")),
    ("transacciones", include_str!("../../transacciones/transacciones.json")),
];

/// A market that is open for business once it [`App::run`]s.
pub struct App {
    server: Server,
    engine: Engine,
    stores: Stores,
    grace: Duration,
    address: SocketAddr,
}

#[derive(Clone)]
struct Stores {
    usuarios: Opened<usuarios::store::json::Modelo>,
    tokens: Opened<tokens::store::json::Modelo>,
    transacciones: Opened<transacciones::store::json::Modelo>,
}

impl Stores {
    fn open(place: &Place<'_>) -> Result<Self, StartError> {
        // at once: loading is parsing, and each has its own files
        std::thread::scope(|scope| {
            let usuarios = scope.spawn(|| place.open(SAMPLE));
            let tokens = scope.spawn(|| place.open(SAMPLE));
            let transacciones = place.open(SAMPLE);
            Ok(Self { usuarios: opened(usuarios)?, tokens: opened(tokens)?, transacciones: transacciones? })
        })
    }

    fn measure(&self, metrics: &Metrics) {
        self.usuarios.measure(metrics);
        self.tokens.measure(metrics);
        self.transacciones.measure(metrics);
    }

    fn health(&self) -> Result<(), String> {
        self.usuarios.health().and_then(|()| self.tokens.health()).and_then(|()| self.transacciones.health())
    }

    fn describe(&self) -> String {
        [self.usuarios.describe(), self.tokens.describe(), self.transacciones.describe()].join("; ")
    }

    /// Closes all three, also where one fails; says what it came to.
    async fn close(self) -> Result<String, StartError> {
        let (usuarios, tokens, transacciones) =
            tokio::join!(self.usuarios.close(), self.tokens.close(), self.transacciones.close());
        Ok([usuarios?, tokens?, transacciones?].join("; "))
    }
}

/// What a thread opened; a panic there goes on here.
fn opened<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T, StartError>>) -> Result<T, StartError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl App {
    /// Opens the stores, then the port. Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn build(config: &Config) -> Result<Self, StartError> {
        let start = Instant::now();
        config.purchase.orphan_age()?;
        let edge = Arc::new(Edge::new(PRODUCT, &config.server.hostname, config.server.connection_age()));
        let imagenes = tokens::imagenes::Imagenes::open(config.imagenes.as_deref())?;
        let application = format!("mercado@{}", config.server.hostname);
        let stores = Stores::open(&Place::of(&config.store, &application, &edge.metrics))?;
        stores.measure(&edge.metrics);
        let usuarios = usuarios::store::Store::new(stores.usuarios.clone());
        let tokens = tokens::store::Store::new(stores.tokens.clone());
        let health = stores.clone();
        let mut ops = Ops::new(
            "mercado",
            &config.server.hostname,
            Arc::clone(&edge),
            with_schemas(openapi()),
            move || health.health(),
        )?;
        let redis = config.redis_url.as_ref().map(|url| share_visits(&mut ops, url));
        let pages = Data::new(tokens::cache::Cache::of(&tokens, redis));
        let ops = Data::new(ops);

        let listener = server::listen(&config.host, config.port, "--port (PORT)")?;
        let address = server::address(&listener)?;
        let engine = Engine::start(
            transacciones::store::Store::new(stores.transacciones.clone()),
            Arc::new(LocalTokens(tokens.clone())),
            Arc::new(LocalUsuarios(usuarios.clone())),
            config.purchase,
            &edge.metrics,
        )?;
        let (usuarios, tokens) = (Data::new(usuarios), Data::new(tokens));
        let imagenes = Data::new(imagenes);
        let transacciones = Data::new(engine.service.clone());
        let web = Data::new(web::Page::default());
        let mut server = Server::new(&config.server, edge);
        server.serve(listener, move |c| {
            c.app_data(usuarios.clone()).app_data(tokens.clone()).app_data(transacciones.clone());
            c.app_data(pages.clone()).app_data(imagenes.clone()).app_data(ops.clone()).app_data(web.clone());
            // patterns are tried in this order: first what is asked for most
            c.configure(tokens::routes::public)
                .configure(transacciones::routes::public)
                .configure(usuarios::routes::public);
            c.configure(web::routes).configure(http_kit::ops::routes);
        })?;
        log::info!(
            "mercado {} on http://{address}, store {}: {}; started in {} ms",
            env!("CARGO_PKG_VERSION"),
            config.store.store,
            stores.describe(),
            start.elapsed().as_millis()
        );
        let grace = Duration::from_secs(config.server.grace_seconds);
        Ok(Self { server, engine, stores, grace, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `leave` completes; then finishes what runs, compacts and closes the stores.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub async fn run(self, leave: impl Future<Output = Leave>) -> Result<(), StartError> {
        let served = self.server.run(leave).await;
        self.engine.stop(self.grace).await;
        let closed = self.stores.close().await?;
        log::info!("mercado has left: {closed}");
        served.map(|_| ())
    }
}

fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = usuarios::routes::openapi();
    api.merge(tokens::routes::openapi());
    api.merge(transacciones::routes::openapi());
    api
}
