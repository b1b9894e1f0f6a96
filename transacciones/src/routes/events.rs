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
use http_kit::problem::{Problem, Text};
use http_kit::text;
use http_kit::validate::{Fields, Raw};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

/// What a stream begins with: how long a browser waits before it comes back.
const GREETING: &[u8] = b"retry: 1000\n\n";
/// The same for a reader whose last purchase is none of this store's.
const GREETING_ELSEWHERE: &[u8] = b"retry: 1000\nevent: otro-almacen\ndata: {}\n\n";
const SIGN_OF_LIFE: &[u8] = b":\n\n";

/// Follow purchases as they commit (server-sent events)
///
/// Each event is `event: transaccion` with the purchase as `data`; its `id` is the purchase's id and its `fecha` in
/// milliseconds, which name one purchase of one store. `Last-Event-ID` resumes behind that purchase, as browsers do by
/// themselves. Without it, or where no purchase here has it, the stream starts with the next purchase; in the second case it
/// says `event: otro-almacen` first, so that a page knows to load its lists again.
#[utoipa::path(get, operation_id = "seguir", summary = "Seguir las compras según se confirman (server-sent events)", path = "/transacciones/eventos", tag = "transacciones",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last id that was seen; 0 or empty for none")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        WithParameters, WithServices))]
pub async fn follow(
    req: HttpRequest,
    service: Data<Service>,
    ops: Data<Ops>,
) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let place = req.headers().get("last-event-id").map_or(Ok(Place::Next), |id| {
        // what is no text is no id
        place(id.to_str().unwrap_or("?").trim())
    });
    let place = place.inspect_err(|detalle| f.wrong("Last-Event-ID", detalle.clone())).ok();
    let (place,) = f.finish((place,))?;
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
    let events = stream::unfold(reader, |mut reader| async move {
        let bytes = match reader.next().await? {
            Chunk::Greeting { elsewhere: false } => Bytes::from_static(GREETING),
            Chunk::Greeting { elsewhere: true } => Bytes::from_static(GREETING_ELSEWHERE),
            Chunk::Purchases(bytes) => bytes,
            Chunk::SignOfLife => Bytes::from_static(SIGN_OF_LIFE),
        };
        Some((Ok::<_, Infallible>(bytes), reader))
    });
    Ok(response.streaming(events))
}

/// Where a stream begins, by the id that its client saw last: `42-1757523600000`, or a purchase's id alone.
fn place(last: &str) -> Result<Place, Text> {
    if last.is_empty() || last == "0" {
        return Ok(Place::Next);
    }
    let (id, fecha) = last.split_once('-').map_or((last, None), |(id, fecha)| (id, Some(fecha)));
    let id = market::fields::transaccion_id(&Raw::Plain(id.to_owned()))?;
    let fecha = fecha.map(str::parse).transpose().map_err(|_| {
        text!(
            "debe ser el id de un evento, o el de una transacción",
            "must be an event's id, or a transaction's"
        )
    })?;
    Ok(Place::Behind(id, fecha))
}

/// Writes one event.
pub fn write_event(t: &Transaccion, out: &mut String) {
    let view = TransaccionView::from(t.clone());
    // numbers and a date always serialize, and a string takes all that is written
    let data = serde_json::to_string(&view).unwrap_or_default();
    let _written =
        write!(out, "id: {}-{}\nevent: transaccion\ndata: {data}\n\n", t.id, t.fecha.timestamp_millis());
}
