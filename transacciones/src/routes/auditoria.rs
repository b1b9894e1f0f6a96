//! `/transacciones/auditoria`.

use crate::audit::Auditoria;
use crate::service::Service;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::{ConParametros, ConServicios};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate::Fields;

/// Hold the three services against each other: is the money right?
#[utoipa::path(get, path = "/transacciones/auditoria", tag = "transacciones", responses(
    (status = 200, description = "The verdict", body = Auditoria), ConParametros, ConServicios))]
pub async fn auditar(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    Fields::query(&req).finish((Some(()),))?;
    Ok(Representation::json(&service.auditar().await?)?.respond(&req))
}
