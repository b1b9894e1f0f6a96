//! `/interno/…`, on the internal port: the calls of [`crate::contract`], for a store of either kind of hold.

use super::{HoldRequest, HoldStore, names};
use crate::clock;
use crate::contract::NAMES;
use crate::domain::{Intento, MAX_INTEGER};
use crate::fields;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::body::JsonBody;
use http_kit::internal;
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::routes::Methods;
use http_kit::text;
use http_kit::validate::{self, Fields, Parsed, Raw, boolean, integer};

/// The longest age that can be asked for: a day, in milliseconds.
const MAX_AGE: u64 = 86_400_000;

/// The routes; `Data<S>` and `Data<InternalToken>` must be there.
pub fn routes<S: HoldStore>(config: &mut ServiceConfig)
where
    Problem: From<S::Error>,
{
    let one = Methods::at(S::Request::HOLD).on(Method::PUT, hold::<S>).on(Method::DELETE, cancel::<S>);
    config.service(
        web::scope("/interno")
            .wrap(from_fn(internal::guard))
            .service(Methods::at(S::Request::HOLDS).get(list::<S>).done())
            .service(one.done())
            .service(Methods::at(S::Request::CONFIRMATION).on(Method::PUT, confirm::<S>).done())
            .service(Methods::at("/resumen").get(digest::<S>).done())
            .service(Methods::at("/nombres").get(list_names::<S>).done()),
    );
}

async fn hold<S: HoldStore>(req: HttpRequest, body: JsonBody, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    let JsonBody(mut f) = body;
    let read = (f.path(&req, "intento", fields::intento), S::Request::read(&mut f));
    let (intento, request) = f.finish(read)?;
    let held = store.hold(intento, request).await?;
    let status = if held.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Representation::json(&held.value)?.respond_as(&req, status))
}

async fn confirm<S: HoldStore>(req: HttpRequest, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    store.confirm(validate::path(&req, "intento", fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn cancel<S: HoldStore>(req: HttpRequest, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    store.cancel(validate::path(&req, "intento", fields::intento)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn list<S: HoldStore>(req: HttpRequest, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    let page = match which(&req)? {
        Which::Pending { age, after } => store.pending(age, after).await?,
        Which::Settled { after } => store.settled(after).await?,
    };
    Ok(Representation::json(&page)?.respond(&req))
}

async fn digest<S: HoldStore>(req: HttpRequest, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    Ok(Representation::json(&store.digest().await?.aged(clock::now()))?.respond(&req))
}

async fn list_names<S: HoldStore>(req: HttpRequest, store: Data<S>) -> Result<HttpResponse, Problem>
where
    Problem: From<S::Error>,
{
    let mut f = Fields::query(&req);
    let ids = f.required("ids", ids);
    let (ids,) = f.finish((ids,))?;
    Ok(Representation::json(&names(store.get_ref(), &ids).await?)?.respond(&req))
}

/// Some ids, with commas between.
fn ids(raw: &Raw) -> Parsed<Vec<u64>> {
    let Raw::Plain(text) = raw else { return Err(Text::new("debe ser texto", "must be text")) };
    let ids: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
    ids.ok().filter(|ids| ids.len() <= NAMES).ok_or_else(|| {
        text!("debe ser de 1 a {NAMES} ids con comas", "must be 1 to {NAMES} ids with commas between")
    })
}

/// Which holds a participant is asked for.
enum Which {
    Pending { age: TimeDelta, after: Option<(DateTime<Utc>, Intento)> },
    Settled { after: Option<Intento> },
}

/// Reads `?pendientes=true&antes=MS`, with `&desde=MS&despues=INTENTO` of the last hold of the page before; or
/// `?pendientes=false&despues=INTENTO`.
fn which(req: &HttpRequest) -> Result<Which, Problem> {
    let mut f = Fields::query(req);
    let pending = f.required("pendientes", boolean);
    let age = f.optional("antes", millis(MAX_AGE));
    let (since, after) = (f.optional("desde", millis(MAX_INTEGER)), f.optional("despues", fields::intento));
    let (pending, age, since, after) = f.finish((pending, age, since, after))?;
    if !pending {
        return Ok(Which::Settled { after });
    }
    let since = since.and_then(DateTime::from_timestamp_millis);
    Ok(Which::Pending { age: TimeDelta::milliseconds(age.unwrap_or(0)), after: since.zip(after) })
}

fn millis(max: u64) -> impl FnOnce(&Raw) -> Parsed<i64> {
    // below 2^53, so it fits
    move |raw| integer(0..=max)(raw).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX))
}
