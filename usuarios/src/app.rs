//! The only wiring: configuration in, a service that is open for business once it runs out.

use crate::config::Config;
use crate::routes;
use crate::store::Store;
use crate::store::json::Modelo;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use market::host::{Host, Serving};

/// Opens the store, then the ports.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving<Modelo>, StartError> {
    let host = Host::<Modelo>::open("usuarios", &config.host, routes::openapi())?;
    let store = Data::new(Store::new(host.store.clone()));
    let inside = store.clone();
    let public = move |c: &mut ServiceConfig| {
        c.app_data(store.clone()).configure(routes::public);
    };
    let internal = move |c: &mut ServiceConfig| {
        c.app_data(inside.clone()).configure(routes::interno::routes);
    };
    host.serve(public, internal)
}
