//! A host: a process with open stores, listening on ports. A service of its own is a host of one store and two ports;
//! `mercado` is a host of three stores and one port.

use crate::accounts::verifier::Verifier;
use crate::accounts::{AccountOptions, Accounts, Mode, fetch};
use crate::backend::Backend;
use crate::domain::MAX_INTEGER;
use crate::openapi::{PRODUCT, with_schemas};
use crate::store::{Place, Sample, ServiceStore, StoreOptions};
use actix_web::web::{Data, ServiceConfig};
use clap::Args;
use futures_util::future::{BoxFuture, join_all};
use http_kit::config::{InternalToken, ServerOptions, ServiceUrl};
use http_kit::edge::Edge;
use http_kit::exit::{EX_USAGE, StartError};
use http_kit::ops::Ops;
use http_kit::server::{self, Leave, Server};
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
    // an `Option` for commands that do not serve (`subcommand_negates_reqs`): they need none
    #[arg(long, env = "INTERNAL_TOKEN", hide_env_values = true, required = true)]
    internal_token: Option<InternalToken>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub accounts: AccountOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub store: StoreOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub server: ServerOptions,
}

impl HostOptions {
    /// Whether people log in, for a service that gets the keys which verify their tokens from `usuarios`. Must be called on the
    /// process's Tokio runtime.
    ///
    /// # Errors
    /// Exit code 64 where it is not said whether people log in, and must be.
    pub fn accounts_of(&self, usuarios: &ServiceUrl) -> Result<Accounts, StartError> {
        if self.accounts.mode(&self.host)? == Mode::Off {
            return Ok(Accounts::off());
        }
        let verifier = Verifier::default();
        fetch::keep(verifier.clone(), usuarios, self.internal_token()?)?;
        Ok(Accounts::on(verifier, self.accounts.is_behind_gateway(), None))
    }

    /// The port of the public API.
    pub fn public(&self, routes: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Port<'_> {
        Port::new(&self.host, self.port, "--port (PORT)", routes)
    }

    /// The secret that the three services share.
    ///
    /// # Errors
    /// Exit code 64 where there is none.
    pub fn internal_token(&self) -> Result<&InternalToken, StartError> {
        let needed = || StartError::new(EX_USAGE, "--internal-token (INTERNAL_TOKEN) is needed to serve");
        self.internal_token.as_ref().ok_or_else(needed)
    }

    /// The port of the internal API; its routes find the secret.
    ///
    /// # Errors
    /// Exit code 64 where there is no secret.
    pub fn internal(
        &self,
        routes: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
    ) -> Result<Port<'_>, StartError> {
        let token = Data::new(self.internal_token()?.clone());
        Ok(Port::new(&self.host, self.internal_port, "--internal-port (INTERNAL_PORT)", move |c| {
            c.app_data(token.clone()).configure(&routes);
        }))
    }
}

/// Why a process is not ready, where it is not.
type Condition = Box<dyn Fn() -> Result<(), String> + Send + Sync>;
type Routes = Box<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// A port, and what it serves beside the routes of [`http_kit::ops`].
pub struct Port<'a> {
    host: &'a str,
    port: u16,
    option: &'static str,
    routes: Routes,
}

impl<'a> Port<'a> {
    /// A port of an address. `option` names what set it, for the operator who has to set another.
    pub fn new(
        host: &'a str,
        port: u16,
        option: &'static str,
        routes: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
    ) -> Self {
        Self { host, port, option, routes: Box::new(routes) }
    }
}

/// A process that is starting: its stores open, its ports not yet.
pub struct Host<'a> {
    name: &'static str,
    options: &'a ServerOptions,
    store: &'a StoreOptions,
    place: Place<'a>,
    stores: Vec<Arc<dyn Backend>>,
    start: Instant,
    conditions: Vec<Condition>,
    /// Whether people log in: said together with the description.
    accounts: Option<Accounts>,
    /// Counts, and knows whether the process is leaving.
    pub edge: Arc<Edge>,
}

impl<'a> Host<'a> {
    /// Nothing is open yet. Must be called on the process's Tokio runtime.
    pub fn new(name: &'static str, options: &'a ServerOptions, store: &'a StoreOptions) -> Self {
        let start = Instant::now();
        let hostname = &options.hostname;
        let edge = Arc::new(Edge::new(PRODUCT, hostname, options.connection_age()));
        let place = Place::of(store, &format!("{name}@{hostname}"), &edge.metrics);
        Self {
            name,
            options,
            store,
            place,
            stores: Vec::new(),
            start,
            conditions: Vec::new(),
            accounts: None,
            edge,
        }
    }

    /// Opens a store; [`Host::keep`] then puts it into this host's care. Blocking. To be called by the crate of the service, in a
    /// function that is not generic: a store is compiled anew for each crate that opens it.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn open<M: Tables>(&self, sample: Sample) -> Result<ServiceStore<M>, StartError> {
        self.place.open(sample)
    }

    /// From now on this process is as ready as the store is, shows the store's numbers, and closes it at its end.
    pub fn keep(&mut self, store: Arc<dyn Backend>) {
        store.measure(&self.edge.metrics);
        self.stores.push(store);
    }

    /// The process is not ready while this is not, either. To be said before [`Host::ops`].
    pub fn require(&mut self, condition: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.conditions.push(Box::new(condition));
    }

    /// What every port answers: for the stores that are kept, with this description of the API. From now on the public port
    /// lets in whom `accounts` lets in.
    ///
    /// # Errors
    /// Exit code 70 where the description does not serialize, which is a bug.
    pub fn ops(
        &mut self,
        mut openapi: utoipa::openapi::OpenApi,
        accounts: &Accounts,
    ) -> Result<Ops, StartError> {
        accounts.describe(&mut openapi);
        self.accounts = Some(accounts.clone());
        let stores = self.stores.clone();
        let conditions = std::mem::take(&mut self.conditions);
        let ready = move || {
            stores.iter().try_for_each(|store| store.health())?;
            conditions.iter().try_for_each(|condition| condition())
        };
        Ops::new(self.name, &self.options.hostname, Arc::clone(&self.edge), with_schemas(openapi), ready)
    }

    /// Opens the ports, each with its routes and those of [`http_kit::ops`].
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn serve(
        self,
        ops: Ops,
        public: Port<'_>,
        internal: Option<Port<'_>>,
    ) -> Result<Serving, StartError> {
        let Some(accounts) = self.accounts else {
            return Err(StartError::new(70, "a bug: nobody said who may use the public port"));
        };
        let listen = |port: &Port<'_>| server::listen(port.host, port.port, port.option);
        let outside = listen(&public)?;
        let inside = internal.as_ref().map(listen).transpose()?;
        let public_address = server::address(&outside)?;
        let internal_address = inside.as_ref().map(server::address).transpose()?;
        let mut server = Server::new(self.options, self.edge);
        let ops = Data::new(ops);
        // the internal port has a guard of its own (http_kit::internal)
        let ports = [(Some(outside), Some(public), accounts), (inside, internal, Accounts::off())];
        for (listener, port, accounts) in ports {
            let Some((listener, port)) = listener.zip(port) else { continue };
            let ops = ops.clone();
            server.serve(listener, move |c| {
                c.app_data(accounts.access()).app_data(accounts.clone()).app_data(ops.clone());
                c.configure(&port.routes).configure(http_kit::ops::routes);
            })?;
        }
        let describe: Vec<_> = self.stores.iter().map(|store| store.describe()).collect();
        log::info!(
            "{} {} on http://{public_address}{}, store {}: {}; started in {} ms",
            self.name,
            env!("CARGO_PKG_VERSION"),
            internal_address.map(|address| format!(" (internal {address})")).unwrap_or_default(),
            self.store.store,
            describe.join("; "),
            self.start.elapsed().as_millis()
        );
        Ok(Serving {
            name: self.name,
            server,
            background: Box::pin(async {}),
            stores: self.stores,
            public: public_address,
            internal: internal_address,
        })
    }
}

/// A process that is open for business once it [`Serving::run`]s.
pub struct Serving {
    name: &'static str,
    server: Server,
    background: Pin<Box<dyn Future<Output = ()> + Send>>,
    stores: Vec<Arc<dyn Backend>>,
    public: SocketAddr,
    internal: Option<SocketAddr>,
}

impl Serving {
    /// Adds background work that must end after the last answer and before the stores are closed.
    #[must_use]
    pub fn finish(self, background: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { background: Box::pin(background), ..self }
    }

    /// Where the public API listens.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where the internal API listens, if there is one.
    pub fn internal(&self) -> Option<SocketAddr> {
        self.internal
    }

    /// Serves until `leave` completes; then finishes what runs, compacts and closes the stores: all of them, also where one
    /// fails.
    ///
    /// # Errors
    /// One line for the operator and an exit code.
    pub fn run(
        self,
        leave: impl Future<Output = Leave> + Send + 'static,
    ) -> BoxFuture<'static, Result<(), StartError>> {
        Box::pin(self.run_until(Box::pin(leave)))
    }

    async fn run_until(self, leave: BoxFuture<'static, Leave>) -> Result<(), StartError> {
        let served = self.server.run(leave).await;
        self.background.await;
        let closed = join_all(self.stores.iter().map(|store| store.close())).await;
        let closed = closed.into_iter().collect::<Result<Vec<_>, _>>()?;
        log::info!("{} has left: {}", self.name, closed.join("; "));
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
        // somebody else may have put another number there
        Box::pin(async move { redis.ask(&one_more).await.filter(|visits| *visits <= MAX_INTEGER) })
    }));
    redis
}
