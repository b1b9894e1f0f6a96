//! The guard of the internal port: `Authorization: Bearer $INTERNAL_TOKEN`, compared in constant time.

use crate::config::InternalToken;
use crate::problem::{General, Problem, Text};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web::Data};
use subtle::ConstantTimeEq;

/// Middleware of the `/interno` scope; `Data<InternalToken>` must be there. Answers 401 `no-autorizado`.
///
/// # Errors
/// Those of the routes that it guards.
pub async fn guard<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let expected = req.app_data::<Data<InternalToken>>();
    let given = req.headers().get(AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    let known = match (expected, given) {
        (Some(expected), Some(given)) => bool::from(expected.as_str().as_bytes().ct_eq(given)),
        _ => false,
    };
    if known {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    let detail = Text::new("Use el INTERNAL_TOKEN de los servicios.", "Use the services' INTERNAL_TOKEN.");
    let problem = Problem::new(General::NotAuthorized, detail);
    Ok(req.into_response(problem.error_response()).map_into_right_body())
}
