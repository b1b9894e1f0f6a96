//! The route table. One file for each path; `interno` is the other port.

mod abonos;
mod error;
pub mod interno;
mod movimientos;
mod usuarios;

use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/usuarios").get(usuarios::listar).post(usuarios::crear).done())
        .service(Methods::at("/usuarios/{id}").get(usuarios::ver).patch(usuarios::renombrar).done())
        .service(Methods::at("/usuarios/{id}/abonos").post(abonos::abonar).done())
        .service(Methods::at("/usuarios/{id}/movimientos").get(movimientos::listar).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        usuarios::listar,
        usuarios::ver,
        usuarios::crear,
        usuarios::renombrar,
        abonos::abonar,
        movimientos::listar
    ))]
    struct Api;
    Api::openapi()
}
