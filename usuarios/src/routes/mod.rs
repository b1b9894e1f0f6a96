//! The route table of the public API. One file for each path. The internal API is [`market::participant::routes`].

mod abonos;
mod account;
mod error;
mod movimientos;
mod sessions;
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
        .service(Methods::at("/usuarios/{id}/movimientos").get(movimientos::list).done())
        .service(Methods::at("/cuenta").get(account::who).done());
}

/// What there is besides where people log in; `Data<Directory>` must be there.
pub fn accounts(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/sesiones").post(sessions::log_in).delete(sessions::log_out).done())
        .service(Methods::at("/sesiones/renovacion").post(sessions::renew).done())
        .service(Methods::at("/cuenta/contrasena").put(account::change_password).done())
        .service(Methods::at("/cuenta/claves-api").get(account::list_keys).post(account::make_key).done())
        .service(Methods::at("/cuenta/claves-api/{id}").delete(account::revoke_key).done())
        .service(Methods::at("/cuentas").get(account::list).post(account::open).done())
        .service(Methods::at("/cuentas/{nombre}").delete(account::revoke).done())
        .configure(public_keys);
}

/// The keys that verify tokens, for the other services too: on both ports.
pub fn public_keys(config: &mut ServiceConfig) {
    config.service(Methods::at("/.well-known/jwks.json").get(sessions::key_set).done());
}

/// The public API's description, with or without what is there only where people log in.
pub fn openapi(with_accounts: bool) -> utoipa::openapi::OpenApi {
    let mut api = usuarios_openapi();
    if with_accounts {
        api.merge(accounts_openapi());
    }
    api
}

fn accounts_openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        paths(
            sessions::log_in,
            sessions::renew,
            sessions::log_out,
            sessions::key_set,
            account::change_password,
            account::list_keys,
            account::make_key,
            account::revoke_key,
            account::list,
            account::open,
            account::revoke
        ),
        // a schema of parameters is not collected by itself
        components(schemas(account::AccountNameSchema))
    )]
    struct Api;
    Api::openapi()
}

fn usuarios_openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(
        usuarios::list,
        usuarios::show,
        usuarios::create,
        usuarios::rename,
        abonos::credit,
        movimientos::list,
        account::who
    ))]
    struct Api;
    Api::openapi()
}
