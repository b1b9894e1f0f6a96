//! The only wiring: configuration in, a service that is open for business once it runs out.

use crate::cache::Cache;
use crate::config::Config;
use crate::imagenes::Imagenes;
use crate::routes;
use crate::store::Store;
use crate::store::json::Modelo;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use market::host::{Host, Serving, share_visits};

/// Opens the store, then the ports.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving<Modelo>, StartError> {
    let imagenes = Data::new(Imagenes::open(config.imagenes.as_deref())?);
    let mut host = Host::<Modelo>::open("tokens", &config.host, routes::openapi())?;
    let redis = config.redis_url.as_ref().map(|url| share_visits(&mut host.ops, url));
    let store = Store::new(host.store.clone());
    let pages = Data::new(Cache::of(&store, redis));
    let store = Data::new(store);
    let inside = store.clone();
    let public = move |c: &mut ServiceConfig| {
        c.app_data(store.clone())
            .app_data(pages.clone())
            .app_data(imagenes.clone())
            .configure(routes::public);
    };
    let internal = move |c: &mut ServiceConfig| {
        c.app_data(inside.clone()).configure(routes::interno::routes);
    };
    host.serve(public, internal)
}
