//! The route table. One file for each path.

mod audit;
mod error;
pub mod events;
mod transacciones;

use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/transacciones").get(transacciones::list).post(transacciones::buy).done())
        .service(Methods::at("/transacciones/auditoria").get(audit::audit).done())
        .service(Methods::at("/transacciones/eventos").get(events::follow).done())
        .service(Methods::at("/transacciones/{id}").get(transacciones::show).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        transacciones::list,
        transacciones::show,
        transacciones::buy,
        audit::audit,
        events::follow
    ))]
    struct Api;
    Api::openapi()
}
