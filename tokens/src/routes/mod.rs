//! The route table. One file for each path; `interno` is the other port.

mod error;
mod imagen;
pub mod interno;
mod lista;
mod tokens;

use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/tokens").get(lista::listar).post(tokens::crear).done())
        .service(
            Methods::at("/tokens/{id}")
                .get(tokens::ver)
                .patch(tokens::cambiar)
                .on(Method::DELETE, tokens::borrar)
                .done(),
        )
        .service(Methods::at("/tokens/{id}/imagen").get(imagen::ver).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        paths(lista::listar, tokens::ver, tokens::crear, tokens::cambiar, tokens::borrar, imagen::ver),
        // schemas of parameters are not collected by themselves, as those of bodies are
        components(schemas(lista::OrdenVisto, lista::CursorVisto))
    )]
    struct Api;
    Api::openapi()
}
