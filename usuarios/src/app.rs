//! The only wiring: a configuration comes in, and a service that is ready to run goes out.

use crate::config::Config;
use crate::routes;
use crate::store::Store;
use crate::store::state::State;
use actix_web::web::{Data, ServiceConfig};
use http_kit::exit::StartError;
use market::host::{Host, Serving};
use market::participant;

/// Opens the store, then the ports. Must be called on a Tokio runtime.
///
/// # Errors
/// One line for the operator and an exit code.
pub fn build(config: &Config) -> Result<Serving, StartError> {
    let options = &config.host;
    let mut host = Host::new("usuarios", &options.server, &options.store);
    let opened = host.open::<State>(&[])?;
    host.keep(&opened);
    let ops = host.ops(routes::openapi())?;
    let store = Data::new(Store::new(opened));
    let inside = store.clone();
    let public = move |c: &mut ServiceConfig| {
        c.app_data(store.clone()).configure(routes::public);
    };
    let internal = move |c: &mut ServiceConfig| {
        c.app_data(inside.clone()).configure(participant::routes::<Store>);
    };
    host.serve(ops, options.public(public), Some(options.internal(internal)))
}
