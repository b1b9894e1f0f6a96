//! `/transacciones/auditoria`.

use crate::audit::view::AuditView;
use crate::service::Service;
use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::{WithParameters, WithServices};
use http_kit::problem::{Lang, Problem};
use http_kit::reply::Representation;
use http_kit::validate::Fields;

/// Hold the three services against each other: is the money right?
#[utoipa::path(get, operation_id = "auditar", summary = "Comparar los tres servicios: ¿cuadra el dinero?", path = "/transacciones/auditoria", tag = "transacciones", responses(
    (status = 200, description = "The verdict", body = AuditView), WithParameters, WithServices))]
pub async fn audit(req: HttpRequest, service: Data<Service>) -> Result<HttpResponse, Problem> {
    Fields::query(&req).finish((Some(()),))?;
    let lang = Lang::negotiate(req.headers().get(ACCEPT_LANGUAGE));
    let report = Representation::json(&AuditView::of(service.audit().await?.as_ref(), lang))?;
    Ok(report.header(VARY, HeaderValue::from_static("accept-encoding, accept-language")).respond(&req))
}
