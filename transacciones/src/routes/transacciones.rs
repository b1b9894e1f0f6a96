//! `/transacciones` and `/transacciones/{id}`.

use crate::domain::{Compra, Transaccion};
use crate::service::Service;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Limit};
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::paging;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use http_kit::validate::{self, Fields};
use market::domain::Clave;
use market::fields::{monto, token_id, transaccion_id, usuario_id};
use market::openapi::schema::{self, Credits};
use market::openapi::{Compra as PurchaseProblems, NoTransaccion};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A purchase
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transaccion)]
pub struct TransaccionView {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Id)]
    usuario_id: u64,
    #[schema(value_type = Id)]
    token_id: u64,
    #[schema(example = "2025-09-10T17:00:00Z")]
    fecha: DateTime<Utc>,
    /// What was paid
    #[schema(value_type = Credits)]
    precio: u64,
}

impl From<Transaccion> for TransaccionView {
    fn from(t: Transaccion) -> Self {
        Self {
            id: t.id.get(),
            usuario_id: t.usuario_id.get(),
            token_id: t.token_id.get(),
            fecha: t.fecha,
            precio: t.precio.get(),
        }
    }
}

/// What to buy
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CompraNueva)]
pub struct NewCompra {
    #[schema(value_type = Id)]
    usuario_id: u64,
    #[schema(value_type = Id)]
    token_id: u64,
    /// The price that the buyer saw: 409 `precio-cambiado` where it is another now
    #[schema(value_type = Credits, required = false)]
    precio: u64,
}

/// Buy a token
///
/// With an `Idempotency-Key` the same request can be sent any number of times, to any replica, also at once: there is one
/// purchase, and each answer is the same (a repeated one with `Idempotency-Replayed: true`). After a 503, or no answer at
/// all, send it again with the same key.
#[utoipa::path(post, operation_id = "comprar", path = "/transacciones", tag = "transacciones", request_body = NewCompra,
    params(("Idempotency-Key" = Option<schema::Clave>, Header, description = "Makes the purchase happen once")),
    responses((status = 201, description = "Bought; `Location` leads to it", body = TransaccionView), PurchaseProblems))]
pub async fn buy(req: HttpRequest, body: JsonBody, service: Data<Service>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let clave = market::fields::idempotency_key(&mut f, &req);
    let (usuario_id, token_id) = (f.required("usuarioId", usuario_id), f.required("tokenId", token_id));
    let precio = f.optional("precio", monto);
    let (clave, usuario_id, token_id, precio) = f.finish((clave, usuario_id, token_id, precio))?;
    let clave_from_client = clave.is_some();
    let clave = clave.unwrap_or_else(Clave::fresh);
    let bought = service.buy(Compra { clave, clave_from_client, usuario_id, token_id, precio }).await?;
    let location = format!("/transacciones/{}", bought.transaccion.id);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    let view = TransaccionView::from(bought.transaccion);
    let mut reply = Representation::json(&view)?.header(header::LOCATION, location);
    if bought.replayed {
        reply = reply.header(IDEMPOTENCY_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}

/// List purchases in the order of their commits
#[utoipa::path(get, operation_id = "listar", path = "/transacciones", tag = "transacciones",
    params(
        ("usuarioId" = Option<Id>, Query, description = "Only this user's"),
        ("tokenId" = Option<Id>, Query, description = "Only this token's"),
        ("limite" = Option<Limit>, Query, description = "Rows of a page"),
        ("despues" = Option<Id>, Query, description = "The last id of the page before"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<TransaccionView>), WithParameters, WithStore))]
pub async fn list(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let (usuario, token) = (f.optional("usuarioId", usuario_id), f.optional("tokenId", token_id));
    let (limit, after) = (paging::limit(&mut f), f.optional("despues", transaccion_id));
    let (usuario, token, limit, after) = f.finish((usuario, token, limit, after))?;
    let page = service.list(usuario, token, after, limit).await?.map(TransaccionView::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a purchase
#[utoipa::path(get, operation_id = "ver", path = "/transacciones/{id}", tag = "transacciones",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The purchase", body = TransaccionView), NoTransaccion, WithParameters, WithStore))]
pub async fn show(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", transaccion_id)?;
    let view = TransaccionView::from(service.transaccion(id).await?);
    Ok(Representation::json(&view)?.respond(&req))
}
