//! The only wiring: a configuration comes in, and a service that is ready to run goes out.

use crate::cache::Cache;
use crate::config::Config;
use crate::pictures::Pictures;
use crate::routes;
use crate::store::Store;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use market::host::{Host, Serving, share_visits};
use market::participant;

/// Opens the store, then the ports. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving, StartError> {
    let options = &config.host;
    let accounts = options.accounts_of(&config.usuarios_url)?;
    let pictures = Data::new(Pictures::open(config.pictures.as_deref())?);
    let mut host = Host::new("tokens", &options.server, &options.store);
    let (store, kept) = Store::open(&host, &[])?;
    host.keep(kept);
    let mut ops = host.ops(routes::openapi(), &accounts)?;
    let redis = config.redis_url.as_ref().map(|url| share_visits(&mut ops, url));
    let store = store.searching(config.searches_at_once);
    store.searches().measure(&host.edge.metrics);
    let pages = Data::new(Cache::of(&store, redis));
    let store = Data::new(store);
    let inside = store.clone();
    let public = move |c: &mut ServiceConfig| {
        c.app_data(store.clone())
            .app_data(pages.clone())
            .app_data(pictures.clone())
            .configure(routes::public);
    };
    let internal = move |c: &mut ServiceConfig| {
        c.app_data(inside.clone()).configure(participant::routes::<Store>);
    };
    host.serve(ops, options.public(public), Some(options.internal(internal)?))
}
