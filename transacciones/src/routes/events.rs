//! `/transacciones/eventos`: purchases as they commit, as server-sent events.

use super::transacciones::TransaccionView;
use crate::domain::Transaccion;
use crate::feed::{Chunk, Place};
use crate::service::Service;
use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use http_kit::openapi::{WithParameters, WithServices};
use http_kit::ops::Ops;
use http_kit::problem::Problem;
use http_kit::validate::{Fields, Raw};
use market::accounts::Caller;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// What a stream begins with: how long a browser waits before it comes back.
const GREETING: &[u8] = b"retry: 1000\n\n";
/// The same for a reader whose last purchase is none of this store's.
const GREETING_ELSEWHERE: &[u8] = b"retry: 1000\nevent: otro-almacen\ndata: {}\n\n";
const SIGN_OF_LIFE: &[u8] = b":\n\n";

/// Follow purchases as they commit (server-sent events)
///
/// Each event is `event: transaccion` with the purchase as `data`; its `id` is the purchase's id and its `fecha` in
/// milliseconds, which name one purchase of one store. `Last-Event-ID` resumes behind that purchase, as browsers do by
/// themselves. Without it, or where no purchase here has it, whatever its form, the stream starts with the next purchase; in
/// the second case it says `event: otro-almacen` first, so that a page knows to load its lists again.
#[utoipa::path(get, operation_id = "seguir", summary = "Seguir las compras según se confirman (server-sent events)", path = "/transacciones/eventos", tag = "transacciones",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last id that was seen; 0 or empty for none")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        WithParameters, WithServices))]
pub async fn follow(
    req: HttpRequest,
    caller: Caller,
    service: Data<Service>,
    ops: Data<Ops>,
) -> Result<HttpResponse, Problem> {
    Fields::query(&req).finish((Some(()),))?;
    // what is no text is no id
    let last = req.headers().get("last-event-id").map(|id| id.to_str().unwrap_or("?").trim());
    let place = last.map_or(Place::Next, place);
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would gather events into blocks
        .insert_header(("x-accel-buffering", "no"));
    if *req.method() == Method::HEAD {
        // a stream would hold the connection, and say nothing on it, for as long as the process lives
        return Ok(response.finish());
    }
    let edge = Arc::clone(&ops.edge);
    let reader = service.feed().read(place, move || edge.leaving()).await?;
    // who follows shows a token again in the end, as for every other answer
    let end = caller.lasts().map(|time| Instant::now() + time);
    let events = stream::unfold(reader, move |mut reader| async move {
        let next = match end {
            Some(end) => timeout_at(end, reader.next()).await.ok()?,
            None => reader.next().await,
        };
        let bytes = match next? {
            Chunk::Greeting { elsewhere: false } => Bytes::from_static(GREETING),
            Chunk::Greeting { elsewhere: true } => Bytes::from_static(GREETING_ELSEWHERE),
            Chunk::Purchases(bytes) => bytes,
            Chunk::SignOfLife => Bytes::from_static(SIGN_OF_LIFE),
        };
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    Ok(response.streaming(events))
}

/// Where a stream begins, by the id that its client saw last: `42-1757523600000`, or a purchase's id alone. An id of another
/// form is no error: a browser takes any answer but 200 for the end of the stream, and does not come back.
fn place(last: &str) -> Place {
    if last.is_empty() || last == "0" {
        return Place::Next;
    }
    let (id, fecha) = last.split_once('-').map_or((last, None), |(id, fecha)| (id, Some(fecha)));
    let id = market::fields::transaccion_id(&Raw::Plain(id.to_owned()));
    match (id, fecha.map(str::parse).transpose()) {
        (Ok(id), Ok(fecha)) => Place::Behind(id, fecha),
        _ => Place::Elsewhere,
    }
}

/// Writes one event.
pub fn write_event(t: &Transaccion, out: &mut String) {
    let view = TransaccionView::from(t.clone());
    // numbers and a date always serialize, and a string takes all that is written
    let data = serde_json::to_string(&view).unwrap_or_default();
    let _written =
        write!(out, "id: {}-{}\nevent: transaccion\ndata: {data}\n\n", t.id, t.fecha.timestamp_millis());
}
