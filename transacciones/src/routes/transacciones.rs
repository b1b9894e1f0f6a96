//! `/transacciones` and `/transacciones/{id}`.

use crate::domain::{Compra, Transaccion};
use crate::error::Error;
use crate::service::Service;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::paging::Limit;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use http_kit::request;
use market::accounts::{Buyer, Caller};
use market::domain::{Clave, Monto, TokenId, TransaccionId, UsuarioId};
use market::openapi::schema::{self, Credits};
use market::openapi::{Compra as PurchaseProblems, NoTransaccion};
use serde::Serialize;
use std::sync::Arc;
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
    #[schema(value_type = schema::TokenId)]
    token_id: u64,
    #[schema(example = "2025-09-10T17:00:00Z")]
    fecha: DateTime<Utc>,
    /// What was paid
    #[schema(value_type = Credits)]
    precio: u64,
    /// Host name of the pod that committed it; left out where that is not known
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false, nullable = false, example = "transacciones-6f9c7d5b8-x2x7p")]
    pod: Option<Arc<str>>,
}

impl From<Transaccion> for TransaccionView {
    fn from(t: Transaccion) -> Self {
        Self {
            id: t.id.get(),
            usuario_id: t.usuario_id.get(),
            token_id: t.token_id.get(),
            fecha: t.fecha,
            precio: t.precio.get(),
            pod: t.pod,
        }
    }
}

request! {
    /// What to buy
    pub struct NewCompra as "CompraNueva" {
        /// Makes the purchase happen once
        header clave "Idempotency-Key": Option<Clave>,
        /// Who buys. Where people log in it may be left out, and another's is 403 `prohibido`
        body usuario_id "usuarioId": Buyer,
        body token_id "tokenId": TokenId,
        /// The price that the buyer saw: 409 `precio-cambiado` where it is another now
        body precio: Option<Monto>,
    }
}

request! {
    /// Which page of whose purchases
    pub struct ListTransacciones {
        /// Only this user's
        query usuario_id "usuarioId": Option<UsuarioId>,
        /// Only this token's
        query token_id "tokenId": Option<TokenId>,
        /// Rows of a page
        query limit "limite": Limit,
        /// The last id of the page before
        query after "despues": Option<TransaccionId>,
    }
}

request! {
    /// Which purchase
    pub struct OneTransaccion {
        path id: TransaccionId,
    }
}

/// Buy a token
///
/// With an `Idempotency-Key` the same request can be sent any number of times, to any replica, also at once: there is one
/// purchase, and each answer is the same (a repeated one with `Idempotency-Replayed: true`). After a 503, or no answer at
/// all, send it again with the same key.
#[utoipa::path(post, operation_id = "comprar", summary = "Comprar un token", path = "/transacciones", tag = "transacciones", request_body = NewCompra, params(NewCompra),
    responses((status = 201, description = "Bought; `Location` leads to it", body = TransaccionView), PurchaseProblems))]
pub async fn buy(
    req: HttpRequest,
    asked: NewCompra,
    caller: Caller,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let NewCompra { clave, usuario_id, token_id, precio } = asked;
    let (usuario_id, session) = (caller.buyer(usuario_id)?, caller.session());
    let clave_from_client = clave.is_some();
    let sent = clave.unwrap_or_else(Clave::fresh);
    let clave = caller.owned(sent.clone());
    let compra = Compra { clave, clave_from_client, usuario_id, token_id, precio, session };
    let bought = service.buy(compra).await.map_err(|e| e.of_clave(sent))?;
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
#[utoipa::path(get, operation_id = "listar", summary = "Listar las compras en el orden en que se confirmaron", path = "/transacciones", tag = "transacciones", params(ListTransacciones),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<TransaccionView>), WithParameters, WithStore))]
pub async fn list(
    req: HttpRequest,
    asked: ListTransacciones,
    caller: Caller,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let ListTransacciones { usuario_id, token_id, limit, after } = asked;
    let usuario_id = caller.reader(usuario_id)?;
    let page = service.list(usuario_id, token_id, after, limit.rows()).await?;
    Ok(page.map(TransaccionView::from).represent(&req)?.respond(&req))
}

/// Read a purchase
#[utoipa::path(get, operation_id = "ver", summary = "Ver una compra", path = "/transacciones/{id}", tag = "transacciones", params(OneTransaccion),
    responses((status = 200, description = "The purchase", body = TransaccionView), NoTransaccion, WithParameters, WithStore))]
pub async fn show(
    req: HttpRequest,
    asked: OneTransaccion,
    caller: Caller,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let found = service.transaccion(asked.id).await?;
    // what is another's is not said to be there
    let found =
        if caller.may_see(found.usuario_id) { Ok(found) } else { Err(Error::TransaccionNotFound(asked.id)) };
    let view = TransaccionView::from(found?);
    Ok(Representation::json(&view)?.respond(&req))
}
