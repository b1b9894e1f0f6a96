//! `/transacciones` and `/transacciones/{id}`.

use crate::domain::{Compra, Transaccion};
use crate::service::Service;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Limite};
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::paging;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use http_kit::validate::{self, Fields};
use market::domain::Clave;
use market::fields::{monto, token_id, transaccion_id, usuario_id};
use market::openapi::schema::{self, Creditos};
use market::openapi::{Compra as ErroresDeCompra, SinTransaccion};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A purchase
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transaccion)]
pub struct TransaccionVista {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Id)]
    usuario_id: u64,
    #[schema(value_type = Id)]
    token_id: u64,
    #[schema(example = "2025-09-10T17:00:00Z")]
    fecha: DateTime<Utc>,
    /// What was paid
    #[schema(value_type = Creditos)]
    precio: u64,
}

impl From<Transaccion> for TransaccionVista {
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
pub struct CompraNueva {
    #[schema(value_type = Id)]
    usuario_id: u64,
    #[schema(value_type = Id)]
    token_id: u64,
    /// The price that the buyer saw: 409 `precio-cambiado` where it is another now
    #[schema(value_type = Creditos, required = false)]
    precio: u64,
}

/// Buy a token
///
/// With an `Idempotency-Key` the same request can be sent any number of times, to any replica, also at once: there is one
/// purchase, and each answer is the same (a repeated one with `Idempotency-Replayed: true`). After a 503, or no answer at
/// all, send it again with the same key.
#[utoipa::path(post, path = "/transacciones", tag = "transacciones", request_body = CompraNueva,
    params(("Idempotency-Key" = Option<schema::Clave>, Header, description = "Makes the purchase happen once")),
    responses((status = 201, description = "Bought; `Location` leads to it", body = TransaccionVista), ErroresDeCompra))]
pub async fn comprar(
    req: HttpRequest,
    body: JsonBody,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let clave = market::fields::idempotency_key(&mut f, &req);
    let (usuario_id, token_id) = (f.required("usuarioId", usuario_id), f.required("tokenId", token_id));
    let precio = f.optional("precio", monto);
    let (clave, usuario_id, token_id, precio) = f.finish((clave, usuario_id, token_id, precio))?;
    let clave_del_cliente = clave.is_some();
    let clave = clave.unwrap_or_else(Clave::nueva);
    let comprado = service.comprar(Compra { clave, clave_del_cliente, usuario_id, token_id, precio }).await?;
    let location = format!("/transacciones/{}", comprado.transaccion.id);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    let vista = TransaccionVista::from(comprado.transaccion);
    let mut reply = Representation::json(&vista)?.header(header::LOCATION, location);
    if comprado.repetida {
        reply = reply.header(IDEMPOTENCY_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}

/// List purchases in the order of their commits
#[utoipa::path(get, path = "/transacciones", tag = "transacciones",
    params(
        ("usuarioId" = Option<Id>, Query, description = "Only this user's"),
        ("tokenId" = Option<Id>, Query, description = "Only this token's"),
        ("limite" = Option<Limite>, Query, description = "Rows of a page"),
        ("despues" = Option<Id>, Query, description = "The last id of the page before"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<TransaccionVista>), ConParametros, ConAlmacen))]
pub async fn listar(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let (de, token) = (f.optional("usuarioId", usuario_id), f.optional("tokenId", token_id));
    let (limite, despues) = (paging::limit(&mut f), f.optional("despues", transaccion_id));
    let (de, token, limite, despues) = f.finish((de, token, limite, despues))?;
    let page = service.store().lista(de, token, despues, limite).await?.map(TransaccionVista::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a purchase
#[utoipa::path(get, path = "/transacciones/{id}", tag = "transacciones",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The purchase", body = TransaccionVista), SinTransaccion, ConParametros, ConAlmacen))]
pub async fn ver(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", transaccion_id)?;
    let vista = TransaccionVista::from(service.store().transaccion(id).await?);
    Ok(Representation::json(&vista)?.respond(&req))
}
