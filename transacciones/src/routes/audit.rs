//! `/transacciones/auditoria`.

use crate::audit::report::AuditReport;
use crate::service::Service;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::{WithParameters, WithServices};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate::Fields;

/// Hold the three services against each other: is the money right?
#[utoipa::path(get, operation_id = "auditar", path = "/transacciones/auditoria", tag = "transacciones", responses(
    (status = 200, description = "The verdict", body = AuditReport), WithParameters, WithServices))]
pub async fn audit(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    Fields::query(&req).finish((Some(()),))?;
    Ok(Representation::json(service.audit().await?.as_ref())?.respond(&req))
}
