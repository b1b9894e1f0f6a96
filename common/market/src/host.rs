//! What the three service binaries have in common: one store, a public and an internal port, one life.

use crate::openapi::{PRODUCT, with_schemas};
use crate::store::StoreOptions;
use crate::store::{Opened, Place};
use actix_web::web::{Data, ServiceConfig};
use clap::Args;
use http_kit::config::{InternalToken, ServerOptions};
use http_kit::edge::Edge;
use http_kit::exit::StartError;
use http_kit::ops::Ops;
use http_kit::server::{self, Leave, Server};
use journal::Model;
use pg::Tables;
use pg::redis::{Redis, RedisUrl};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// The options of a service of its own.
#[derive(Args, Clone, Debug)]
pub struct HostOptions {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub host: String,
    /// Port of the public API
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Port of the internal API, never routed from outside
    #[arg(long, env = "INTERNAL_PORT", default_value_t = 9000)]
    pub internal_port: u16,
    /// The secret that the three services share: 16 characters or more
    #[arg(long, env = "INTERNAL_TOKEN", hide_env_values = true)]
    pub internal_token: InternalToken,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub store: StoreOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub server: ServerOptions,
}

/// A service whose store is open and whose ports are not yet.
pub struct Host<'a, M: Model> {
    name: &'static str,
    options: &'a HostOptions,
    start: Instant,
    /// Counts, and knows whether the process is leaving.
    pub edge: Arc<Edge>,
    /// The store.
    pub store: Opened<M>,
    /// What every service answers.
    pub ops: Ops,
}

impl<'a, M: Model> Host<'a, M> {
    /// Opens the store. Blocking; must be called on the process's Tokio runtime.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn open(
        name: &'static str,
        options: &'a HostOptions,
        openapi: utoipa::openapi::OpenApi,
    ) -> Result<Self, StartError>
    where
        M: Tables,
    {
        let start = Instant::now();
        let hostname = &options.server.hostname;
        let edge = Arc::new(Edge::new(PRODUCT, hostname, options.server.connection_age()));
        let place = Place::of(&options.store, &format!("{name}@{hostname}"), &edge.metrics);
        let store = place.open::<M>(&[])?;
        store.measure(&edge.metrics);
        let health = store.clone();
        let ready = move || health.health();
        let ops = Ops::new(name, hostname, Arc::clone(&edge), with_schemas(openapi), ready)?;
        Ok(Self { name, options, start, edge, store, ops })
    }

    /// Opens the ports, each with its routes and those of [`http_kit::ops`].
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn serve(
        self,
        public: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
        internal: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
    ) -> Result<Serving<M>, StartError> {
        let options = self.options;
        let outside = server::listen(&options.host, options.port, "--port (PORT)")?;
        let inside = server::listen(&options.host, options.internal_port, "--internal-port (INTERNAL_PORT)")?;
        let addresses = (server::address(&outside)?, server::address(&inside)?);
        let mut server = Server::new(&options.server, self.edge);
        let ops = Data::new(self.ops);
        server.serve(outside, {
            let ops = ops.clone();
            move |c| {
                c.app_data(ops.clone()).configure(&public).configure(http_kit::ops::routes);
            }
        })?;
        server.serve(inside, {
            let (ops, token) = (ops.clone(), Data::new(options.internal_token.clone()));
            move |c| {
                c.app_data(ops.clone())
                    .app_data(token.clone())
                    .configure(&internal)
                    .configure(http_kit::ops::routes);
            }
        })?;
        log::info!(
            "{} {} on http://{} (internal {}), store {}: {}; started in {} ms",
            self.name,
            env!("CARGO_PKG_VERSION"),
            addresses.0,
            addresses.1,
            options.store.store,
            self.store.describe(),
            self.start.elapsed().as_millis()
        );
        Ok(Serving {
            name: self.name,
            server,
            behind: Box::pin(async {}),
            store: self.store,
            public: addresses.0,
            internal: addresses.1,
        })
    }
}

/// A service that is open for business once it [`Serving::run`]s.
pub struct Serving<M: Model> {
    name: &'static str,
    server: Server,
    behind: Pin<Box<dyn Future<Output = ()> + Send>>,
    store: Opened<M>,
    public: SocketAddr,
    internal: SocketAddr,
}

impl<M: Model> Serving<M> {
    /// Adds what is to be finished between the last answer and the store's end.
    #[must_use]
    pub fn finish(self, behind: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { behind: Box::pin(behind), ..self }
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
        self.behind.await;
        let closed = self.store.close().await?;
        log::info!("{} has left: {closed}", self.name);
        served.map(|_| ())
    }
}

/// Counts a service's visits in Redis from now on, together with its other pods. Must be called on the process's Tokio runtime.
pub fn share_visits(ops: &mut Ops, url: &RedisUrl) -> Redis {
    let key = format!("{}:hits", ops.servicio);
    let add = move |n: u64| {
        let mut command = redis::cmd("INCRBY");
        command.arg(&key).arg(n);
        command
    };
    let redis = Redis::open(url, add(0));
    redis.measure(&ops.edge.metrics);
    let shared = redis.clone();
    ops.share(Box::new(move || {
        let (redis, one_more) = (shared.clone(), add(1));
        Box::pin(async move { redis.ask(&one_more).await })
    }));
    redis
}
