//! The query that both participants answer.

use crate::domain::{Intento, MAX_ENTERO};
use crate::fields;
use actix_web::HttpRequest;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::problem::Problem;
use http_kit::validate::{Fields, Parsed, Raw, boolean, integer};

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
    let (desde, despues) = (f.optional("desde", millis(MAX_ENTERO)), f.optional("despues", fields::intento));
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
