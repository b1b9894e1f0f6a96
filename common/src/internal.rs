//! The guard of the internal port: `Authorization: Bearer $INTERNAL_TOKEN`, compared in constant time.

use crate::config::InternalToken;
use crate::problem::{Codigo, Problem, Text};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, web::Data};
use subtle::ConstantTimeEq;

/// Middleware of the `/interno` scope; `Data<InternalToken>` must be there.
///
/// # Errors
/// 401 `no-autorizado`.
pub async fn guard<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let expected = req.app_data::<Data<InternalToken>>().map(|t| t.as_str().as_bytes().to_vec());
    let given = req.headers().get(AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    match (expected, given) {
        (Some(expected), Some(given)) if bool::from(expected.ct_eq(given)) => next.call(req).await,
        _ => Err(Problem::new(
            Codigo::NoAutorizado,
            Text::new("Use el INTERNAL_TOKEN de los servicios.", "Use the services' INTERNAL_TOKEN."),
        )
        .into()),
    }
}
