//! The only wiring: configuration in, a running market out.

use crate::config::Config;
use crate::web;
use actix_web::web::Data;
use http_kit::exit::StartError;
use market::backend::Backend;
use market::host::{Host, Port, Serving, share_visits};
use market::participant::Local;
use market::store::Sample;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use transacciones::app::Engine;
use usuarios::app::People;

/// The sample data that an empty directory starts with, unless `SEED_DIR` names other.
pub const SAMPLE: Sample = &[
    ("usuarios", include_str!("../../usuarios/usuarios.json")),
    ("tokens", include_str!("../../tokens/tokens.json")),
    ("transacciones", include_str!("../../transacciones/transacciones.json")),
];

/// A service's store, and what the host keeps of it.
type Opened<S> = (S, Arc<dyn Backend>);
type Stores =
    (Opened<usuarios::store::Store>, Opened<tokens::store::Store>, Opened<transacciones::store::Store>);

/// Opens all three at once: loading is parsing, and each has files of its own.
fn open(host: &Host<'_>) -> Result<Stores, StartError> {
    std::thread::scope(|scope| {
        let usuarios = scope.spawn(|| usuarios::store::Store::open(host, SAMPLE));
        let tokens = scope.spawn(|| tokens::store::Store::open(host, SAMPLE));
        let transacciones = transacciones::store::Store::open(host, SAMPLE);
        Ok((joined(usuarios)?, joined(tokens)?, transacciones?))
    })
}

/// What a thread opened; a panic there goes on here.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, StartError>>) -> Result<T, StartError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Opens the stores, then the port. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving, StartError> {
    config.purchase.orphan_age()?;
    config.accounts.mode(&config.host)?;
    let pictures = Data::new(tokens::pictures::Pictures::open(config.pictures.as_deref())?);
    let mut host = Host::new("mercado", &config.server, &config.store);
    let ((usuarios, kept_usuarios), (tokens, kept_tokens), (transacciones, kept_transacciones)) =
        open(&host)?;
    [kept_usuarios, kept_tokens, kept_transacciones].into_iter().for_each(|kept| host.keep(kept));
    let people = People::start(usuarios, &config.host, &config.accounts, &config.logins, &host.edge.metrics)?;
    host.require(people.readiness());
    let mut ops = host.ops(openapi(people.accounts.is_on()), &people.accounts)?;
    let redis = config.redis_url.as_ref().map(|url| share_visits(&mut ops, url));

    let tokens = tokens.searching(config.searches_at_once);
    tokens.searches().measure(&host.edge.metrics);
    let engine = Engine::start(
        transacciones.signed(&config.server.hostname),
        Arc::new(Local(tokens.clone())),
        Arc::new(Local(people.charges.clone())),
        config.purchase,
        &host.edge.metrics,
    )?;
    let pages = Data::new(tokens::cache::Cache::of(&tokens, redis));
    let (usuarios, tokens) = (people.public(), Data::new(tokens));
    let transacciones = Data::new(engine.service.clone());
    let web = Data::new(web::Page::default());
    let port = Port::new(&config.host, config.port, "--port (PORT)", move |c| {
        c.app_data(tokens.clone()).app_data(transacciones.clone());
        c.app_data(pages.clone()).app_data(pictures.clone()).app_data(web.clone());
        // patterns are tried in this order: first what is asked for most
        c.configure(tokens::routes::public)
            .configure(transacciones::routes::public)
            .configure(&usuarios)
            .configure(web::routes);
    });
    let grace = Duration::from_secs(config.server.grace_seconds);
    Ok(host.serve(ops, port, None)?.finish(engine.stop(grace)))
}

fn openapi(with_accounts: bool) -> utoipa::openapi::OpenApi {
    let mut api = usuarios::routes::openapi(with_accounts);
    api.merge(tokens::routes::openapi());
    api.merge(transacciones::routes::openapi());
    api
}
