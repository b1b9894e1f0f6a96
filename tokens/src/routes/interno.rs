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
use market::contract::PedidoReserva;
use market::fields::{token_id, usuario_id};
use market::tries;

/// The routes; `Data<InternalToken>` must be there.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/interno")
            .wrap(from_fn(internal::guard))
            .service(Methods::at("/reservas").get(listar).done())
            .service(
                Methods::at("/reservas/{intento}")
                    .on(Method::PUT, reservar)
                    .on(Method::DELETE, cancelar)
                    .done(),
            )
            .service(Methods::at("/reservas/{intento}/venta").on(Method::PUT, confirmar).done())
            .service(Methods::at("/resumen").get(resumen).done()),
    );
}

async fn reservar(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let intento = f.path(&req, "intento", market::fields::intento);
    let (token_id, usuario_id) = (f.required("tokenId", token_id), f.required("usuarioId", usuario_id));
    let (intento, token_id, usuario_id) = f.finish((intento, token_id, usuario_id))?;
    let hecho = store.reservar(intento, PedidoReserva { token_id, usuario_id }).await?;
    let status = if hecho.nuevo { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Representation::json(&hecho.valor)?.respond_as(&req, status))
}

async fn confirmar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.confirmar(validate::path(&req, "intento", market::fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn cancelar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.cancelar(validate::path(&req, "intento", market::fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn listar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let tries = match tries::which_tries(&req)? {
        tries::Tries::Pending { age, after } => store.pendientes(age, after).await?,
        tries::Tries::Settled(despues) => store.confirmados(despues).await?,
    };
    Ok(Representation::json(&tries)?.respond(&req))
}

async fn resumen(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    Ok(Representation::json(&store.resumen().await?)?.respond(&req))
}
