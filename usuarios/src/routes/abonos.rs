//! `/usuarios/{id}/abonos`.

use super::movimientos::MovimientoView;
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::WithStore;
use http_kit::openapi::schema::Id;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use market::domain::Clave;
use market::fields::{positive_monto, usuario_id};
use market::openapi::Abono;
use market::openapi::schema::{Clave as ClaveSchema, PositiveCredits};
use serde::Deserialize;
use utoipa::ToSchema;

/// Money to add
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(as = AbonoNuevo)]
pub struct NewAbono {
    /// Credits
    #[schema(value_type = PositiveCredits)]
    monto: u64,
}

/// Add money to a balance
///
/// With an `Idempotency-Key` the same request can be sent any number of times: the money is added once, and each answer
/// is the first one's (with `Idempotency-Replayed: true`).
#[utoipa::path(post, operation_id = "abonar", path = "/usuarios/{id}/abonos", tag = "usuarios", request_body = NewAbono,
    params(
        ("id" = Id, Path),
        ("Idempotency-Key" = Option<ClaveSchema>, Header, description = "Makes the abono happen once"),
    ),
    responses((status = 201, description = "Added; `Location` leads to the ledger", body = MovimientoView), Abono, WithStore))]
pub async fn credit(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (id, clave) = (f.path(&req, "id", usuario_id), market::fields::idempotency_key(&mut f, &req));
    let monto = f.required("monto", positive_monto);
    let (id, clave, monto) = f.finish((id, clave, monto))?;
    let recorded = store.credit(id, monto, clave.unwrap_or_else(Clave::fresh)).await?;
    let location = HeaderValue::try_from(format!("/usuarios/{id}/movimientos")).map_err(Problem::internal)?;
    let mut reply =
        Representation::json(&MovimientoView::from(recorded.value))?.header(header::LOCATION, location);
    if !recorded.is_new {
        reply = reply.header(IDEMPOTENCY_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}
