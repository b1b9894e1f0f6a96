//! The only wiring: configuration in, a service that is open for business once it runs out.

use crate::cache::Cache;
use crate::config::Config;
use crate::imagenes::Imagenes;
use crate::routes;
use crate::service::Service;
use crate::store::Modelo;
use actix_web::web::{Data, ServiceConfig};
use common::config::StartError;
use common::host::{Host, Serving};
use common::store::Opened;

/// Opens the store, then the ports.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving<Modelo>, StartError> {
    let imagenes = Data::new(Imagenes::open(config.imagenes.as_deref())?);
    let mut host = Host::<Modelo>::open_json("tokens", &config.host, routes::openapi())?;
    if let Some(url) = &config.redis_url {
        host.ops.share(url);
    }
    let Opened::Json(journal) = &host.store else {
        return Err(StartError::new(70, "tokens: a store that it does not know"));
    };
    let service = Data::new(Service::new(journal.clone()));
    let (inside, pages) = (service.clone(), Data::new(Cache::default()));
    let public = move |c: &mut ServiceConfig| {
        c.app_data(service.clone())
            .app_data(pages.clone())
            .app_data(imagenes.clone())
            .configure(routes::public);
    };
    let internal = move |c: &mut ServiceConfig| {
        c.app_data(inside.clone()).configure(routes::interno::routes);
    };
    host.serve(public, internal)
}
