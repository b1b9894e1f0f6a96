//! The only wiring: configuration in, a running market out.

use crate::config::Config;
use crate::local::{LocalTokens, LocalUsuarios};
use crate::web;
use actix_web::web::Data;
use common::config::StartError;
use common::edge::Edge;
use common::journal::Journal;
use common::ops::Ops;
use common::server::{self, Leave, Server};
use common::store;
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
    usuarios: Journal<usuarios::store::Modelo>,
    tokens: Journal<tokens::store::Modelo>,
    transacciones: Journal<transacciones::store::Modelo>,
}

impl Stores {
    fn open(options: &common::config::StoreOptions) -> Result<Self, StartError> {
        // at once: loading is parsing, and each has its own files
        std::thread::scope(|scope| {
            let usuarios = scope.spawn(|| store::open_with(options, SAMPLE));
            let tokens = scope.spawn(|| store::open_with(options, SAMPLE));
            let transacciones = store::open_with(options, SAMPLE);
            Ok(Self { usuarios: opened(usuarios)?, tokens: opened(tokens)?, transacciones: transacciones? })
        })
    }

    fn health(&self) -> Result<(), String> {
        self.usuarios
            .health()
            .and_then(|()| self.tokens.health())
            .and_then(|()| self.transacciones.health())
            .map_err(|e| e.to_string())
    }

    /// Closes all three, also where one fails; says what it came to.
    fn close(&self) -> Result<String, StartError> {
        let closed =
            [store::close(&self.usuarios), store::close(&self.tokens), store::close(&self.transacciones)];
        Ok(closed.into_iter().collect::<Result<Vec<_>, _>>()?.join("; "))
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
        let edge = Arc::new(Edge::new(&config.server.hostname, config.server.connection_age()));
        let imagenes = tokens::imagenes::Imagenes::open(config.imagenes.as_deref())?;
        let stores = Stores::open(&config.store)?;
        store::measure(&stores.usuarios, &edge.metrics);
        store::measure(&stores.tokens, &edge.metrics);
        store::measure(&stores.transacciones, &edge.metrics);
        let usuarios = usuarios::service::Service::new(stores.usuarios.clone());
        let tokens = tokens::service::Service::new(stores.tokens.clone());
        let health = stores.clone();
        let mut ops =
            Ops::new("mercado", &config.server.hostname, Arc::clone(&edge), openapi(), move || {
                health.health()
            })?;
        if let Some(url) = &config.redis_url {
            ops.share(url);
        }
        let ops = Data::new(ops);

        let listener = server::listen(&config.host, config.port, "--port (PORT)")?;
        let address = server::address(&listener)?;
        let engine = Engine::start(
            stores.transacciones.clone(),
            Arc::new(LocalTokens(tokens.clone())),
            Arc::new(LocalUsuarios(usuarios.clone())),
            config.purchase,
            &edge.metrics,
        )?;
        let (usuarios, tokens) = (Data::new(usuarios), Data::new(tokens));
        let (pages, imagenes) = (Data::new(tokens::cache::Cache::default()), Data::new(imagenes));
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
            c.configure(web::routes).configure(common::ops::routes);
        })?;
        log::info!(
            "mercado {} on http://{address}, store {}: {}; {}; {}; ready after {} ms",
            env!("CARGO_PKG_VERSION"),
            config.store.store,
            store::describe(&stores.usuarios),
            store::describe(&stores.tokens),
            store::describe(&stores.transacciones),
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
        let stores = self.stores;
        let closed = server::blocking(move || stores.close()).await?;
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
