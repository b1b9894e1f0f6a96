//! The route table of the public API. One file for each path. The internal API is [`market::participant::routes`].

mod error;
mod list;
mod picture;
mod tokens;

use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use http_kit::routes::Methods;
use utoipa::OpenApi;

/// The public API.
pub fn public(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/tokens").get(list::list).post(tokens::create).done())
        .service(
            Methods::at("/tokens/{id}")
                .get(tokens::show)
                .patch(tokens::change)
                .on(Method::DELETE, tokens::delete)
                .done(),
        )
        .service(Methods::at("/tokens/{id}/imagen").get(picture::show).done());
}

/// The public API's description.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        paths(list::list, tokens::show, tokens::create, tokens::change, tokens::delete, picture::show),
        // schemas of parameters are not collected by themselves, as those of bodies are
        components(schemas(list::SortingSchema, list::CursorView))
    )]
    struct Api;
    Api::openapi()
}
