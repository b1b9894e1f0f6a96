//! The route table of the public API. One file for each path. The internal API is [`market::participant::routes`].

mod abonos;
mod error;
mod movimientos;
mod usuarios;

use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/usuarios").get(usuarios::list).post(usuarios::create).done())
        .service(Methods::at("/usuarios/{id}").get(usuarios::show).patch(usuarios::rename).done())
        .service(Methods::at("/usuarios/{id}/abonos").post(abonos::credit).done())
        .service(Methods::at("/usuarios/{id}/movimientos").get(movimientos::list).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        usuarios::list,
        usuarios::show,
        usuarios::create,
        usuarios::rename,
        abonos::credit,
        movimientos::list
    ))]
    struct Api;
    Api::openapi()
}
