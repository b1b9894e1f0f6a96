//! The internal port: its guard (`Authorization: Bearer $INTERNAL_TOKEN`, compared in constant time) and the query that
//! both participants answer.

use crate::config::InternalToken;
use crate::domain::{Intento, MAX_ENTERO};
use crate::problem::{Codigo, Problem, Text};
use crate::validate::{self, Fields, Parsed, Raw, boolean, integer};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, ResponseError, web::Data};
use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq;

/// Middleware of the `/interno` scope; `Data<InternalToken>` must be there. Answers 401 `no-autorizado`.
///
/// # Errors
/// Those of the routes behind it.
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
    let problem = Problem::new(Codigo::NoAutorizado, detail);
    Ok(req.into_response(problem.error_response()).map_into_right_body())
}

/// Which tries a participant is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tries {
    /// Neither confirmed nor cancelled for at least so long, behind a try.
    Pending {
        /// By the participant's own clock.
        age: TimeDelta,
        /// The try's time and attempt.
        after: Option<(DateTime<Utc>, Intento)>,
    },
    /// Settled ones behind an attempt.
    Settled(Option<Intento>),
}

/// Reads `?pendientes=true&antes=MS`, with `&desde=MS&despues=INTENTO` of the last try of the page before, or
/// `?pendientes=false&despues=INTENTO`.
///
/// # Errors
/// 422 that names what is wrong.
pub fn which_tries(req: &HttpRequest) -> Result<Tries, Problem> {
    let mut f = Fields::query(req);
    let pendientes = f.required("pendientes", boolean);
    let antes = f.optional("antes", millis(86_400_000));
    let (desde, despues) =
        (f.optional("desde", millis(MAX_ENTERO)), f.optional("despues", validate::intento));
    let (pendientes, antes, desde, despues) = f.finish((pendientes, antes, desde, despues))?;
    if !pendientes {
        return Ok(Tries::Settled(despues));
    }
    let time = desde.and_then(DateTime::from_timestamp_millis);
    Ok(Tries::Pending { age: TimeDelta::milliseconds(antes.unwrap_or(0)), after: time.zip(despues) })
}

fn millis(max: u64) -> impl FnOnce(&Raw) -> Parsed<i64> {
    // below 2^53, so it fits
    move |raw| integer(0..=max)(raw).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX))
}
