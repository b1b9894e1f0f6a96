//! `/usuarios/{id}/abonos`.

use super::movimientos::MovimientoVisto;
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::ConAlmacen;
use http_kit::openapi::schema::Id;
use http_kit::problem::Problem;
use http_kit::reply::{IDEMPOTENCY_REPLAYED, Representation};
use market::domain::Clave;
use market::fields::{monto_positivo, usuario_id};
use market::openapi::Abono;
use market::openapi::schema::{Clave as ClaveSchema, CreditosPositivos};
use serde::Deserialize;
use utoipa::ToSchema;

/// Money to add
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
pub struct AbonoNuevo {
    /// Credits
    #[schema(value_type = CreditosPositivos)]
    monto: u64,
}

/// Add money to a balance
///
/// With an `Idempotency-Key` the same request can be sent any number of times: the money is added once, and each answer
/// is the first one's (with `Idempotency-Replayed: true`).
#[utoipa::path(post, path = "/usuarios/{id}/abonos", tag = "usuarios", request_body = AbonoNuevo,
    params(
        ("id" = Id, Path),
        ("Idempotency-Key" = Option<ClaveSchema>, Header, description = "Makes the abono happen once"),
    ),
    responses((status = 201, description = "Added; `Location` leads to the ledger", body = MovimientoVisto), Abono, ConAlmacen))]
pub async fn abonar(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (id, clave) = (f.path(&req, "id", usuario_id), market::fields::idempotency_key(&mut f, &req));
    let monto = f.required("monto", monto_positivo);
    let (id, clave, monto) = f.finish((id, clave, monto))?;
    let hecho = store.abonar(id, monto, clave.unwrap_or_else(Clave::nueva)).await?;
    let location = HeaderValue::try_from(format!("/usuarios/{id}/movimientos")).map_err(Problem::internal)?;
    let mut reply =
        Representation::json(&MovimientoVisto::from(hecho.valor))?.header(header::LOCATION, location);
    if !hecho.nuevo {
        reply = reply.header(IDEMPOTENCY_REPLAYED.clone(), HeaderValue::from_static("true"));
    }
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}
