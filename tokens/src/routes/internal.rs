//! `/interno/…`, on the internal port: this service as a participant in purchases ([`market::contract`]).

use crate::store::Store;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use http_kit::body::JsonBody;
use http_kit::internal;
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::routes::Methods;
use http_kit::validate;
use market::contract::ReservaRequest;
use market::fields::{token_id, usuario_id};
use market::holds;

/// The routes; `Data<InternalToken>` must be there.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/interno")
            .wrap(from_fn(internal::guard))
            .service(Methods::at("/reservas").get(list).done())
            .service(
                Methods::at("/reservas/{intento}").on(Method::PUT, hold).on(Method::DELETE, cancel).done(),
            )
            .service(Methods::at("/reservas/{intento}/venta").on(Method::PUT, confirm).done())
            .service(Methods::at("/resumen").get(digest).done()),
    );
}

async fn hold(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let intento = f.path(&req, "intento", market::fields::intento);
    let (token_id, usuario_id) = (f.required("tokenId", token_id), f.required("usuarioId", usuario_id));
    let (intento, token_id, usuario_id) = f.finish((intento, token_id, usuario_id))?;
    let recorded = store.hold(intento, ReservaRequest { token_id, usuario_id }).await?;
    let status = if recorded.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Representation::json(&recorded.value)?.respond_as(&req, status))
}

async fn confirm(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.confirm(validate::path(&req, "intento", market::fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn cancel(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.cancel(validate::path(&req, "intento", market::fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn list(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let holds = match holds::which_holds(&req)? {
        holds::Holds::Pending { age, after } => store.pending(age, after).await?,
        holds::Holds::Settled(after) => store.settled(after).await?,
    };
    Ok(Representation::json(&holds)?.respond(&req))
}

async fn digest(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    Ok(Representation::json(&store.digest().await?)?.respond(&req))
}
