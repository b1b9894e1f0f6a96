//! The query that both participants answer.

use crate::domain::{Intento, MAX_INTEGER};
use crate::fields;
use actix_web::HttpRequest;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::problem::Problem;
use http_kit::validate::{Fields, Parsed, Raw, boolean, integer};

/// Which tries a participant is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Neither confirmed nor cancelled for at least so long, behind a hold.
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
pub fn which_holds(req: &HttpRequest) -> Result<Holds, Problem> {
    let mut f = Fields::query(req);
    let pendientes = f.required("pendientes", boolean);
    let antes = f.optional("antes", millis(86_400_000));
    let (desde, after) = (f.optional("desde", millis(MAX_INTEGER)), f.optional("despues", fields::intento));
    let (pendientes, antes, desde, after) = f.finish((pendientes, antes, desde, after))?;
    if !pendientes {
        return Ok(Holds::Settled(after));
    }
    let time = desde.and_then(DateTime::from_timestamp_millis);
    Ok(Holds::Pending { age: TimeDelta::milliseconds(antes.unwrap_or(0)), after: time.zip(after) })
}

fn millis(max: u64) -> impl FnOnce(&Raw) -> Parsed<i64> {
    // below 2^53, so it fits
    move |raw| integer(0..=max)(raw).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX))
}
