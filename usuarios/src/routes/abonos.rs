//! `/usuarios/{id}/abonos`.

use super::movimientos::MovimientoView;
use crate::error::Error;
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::WithStore;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use http_kit::request;
use market::accounts::Caller;
use market::domain::{Clave, UsuarioId};
use market::fields::PositiveMonto;
use market::openapi::Abono;

request! {
    /// Money to add
    pub struct NewAbono as "AbonoNuevo" {
        path id: UsuarioId,
        /// Makes the abono happen once
        header clave "Idempotency-Key": Option<Clave>,
        /// Credits
        body monto: PositiveMonto,
    }
}

/// Add money to a balance
///
/// With an `Idempotency-Key` the same request can be sent any number of times: the money is added once, and each answer
/// is the first one's (with `Idempotency-Replayed: true`).
#[utoipa::path(post, operation_id = "abonar", summary = "Agregar dinero a un saldo", path = "/usuarios/{id}/abonos", tag = "usuarios", request_body = NewAbono, params(NewAbono),
    responses((status = 201, description = "Added; `Location` leads to the ledger", body = MovimientoView), Abono, WithStore))]
pub async fn credit(
    req: HttpRequest,
    asked: NewAbono,
    caller: Caller,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let NewAbono { id, clave, monto } = asked;
    let sent = clave.unwrap_or_else(Clave::fresh);
    let recorded = store.credit(id, monto.monto(), caller.owned(sent.clone())).await;
    let recorded = recorded.map_err(|e| match e {
        Error::ClaveReused(_) => Error::ClaveReused(sent.to_string()),
        other => other,
    })?;
    let location = HeaderValue::try_from(format!("/usuarios/{id}/movimientos")).map_err(Problem::internal)?;
    let mut reply =
        Representation::json(&MovimientoView::from(recorded.value))?.header(header::LOCATION, location);
    if !recorded.is_new {
        reply = reply.header(IDEMPOTENCY_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}
