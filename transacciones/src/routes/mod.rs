//! The route table. One file for each path.

mod auditoria;
mod error;
mod eventos;
mod transacciones;

use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/transacciones").get(transacciones::listar).post(transacciones::comprar).done())
        .service(Methods::at("/transacciones/auditoria").get(auditoria::auditar).done())
        .service(Methods::at("/transacciones/eventos").get(eventos::seguir).done())
        .service(Methods::at("/transacciones/{id}").get(transacciones::ver).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        transacciones::listar,
        transacciones::ver,
        transacciones::comprar,
        auditoria::auditar,
        eventos::seguir
    ))]
    struct Api;
    Api::openapi()
}
