//! `/transacciones/eventos`: purchases as they commit, as server-sent events.

use super::transacciones::TransaccionVista;
use crate::service::Service;
use crate::store::Store;
use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use http_kit::openapi::schema::Id;
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::ops::Ops;
use http_kit::problem::Problem;
use http_kit::validate::{Fields, Raw};
use market::domain::TransaccionId;
use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a stream may take to notice that the process leaves.
const WAKE_EVERY: Duration = Duration::from_millis(250);
/// Between comments on a quiet stream, so that proxies keep it open and a gone client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The most events sent at once.
const BATCH: usize = 500;

/// Follow purchases as they commit (server-sent events)
///
/// Each event is `id: <the purchase's id>`, `event: transaccion` and the purchase as `data`. `Last-Event-ID` resumes
/// behind an id, as browsers do by themselves; without it the stream starts with the next purchase.
#[utoipa::path(get, path = "/transacciones/eventos", tag = "transacciones",
    params(("Last-Event-ID" = Option<Id>, Header, description = "The last id that was seen")),
    responses((status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        ConParametros, ConAlmacen))]
pub async fn seguir(
    req: HttpRequest,
    service: Data<Service>,
    ops: Data<Ops>,
) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let last = match req.headers().get("last-event-id") {
        Some(id) => {
            let raw = Raw::Plain(id.to_str().unwrap_or_default().to_owned());
            match market::fields::transaccion_id(&raw) {
                Ok(id) => Some(id),
                Err(detalle) => {
                    f.wrong("Last-Event-ID", detalle);
                    None
                }
            }
        }
        None => service.store().ultima().await.map_err(crate::error::Error::from)?,
    };
    f.finish((Some(()),))?;
    let store = service.store().clone();
    let changed = store.changed();
    let follower =
        Follower { changed, store, ops, last, spoke: Instant::now(), greeted: false, behind: true };
    let events = stream::unfold(follower, |mut f| async move {
        f.next().await.map(|chunk| (Ok::<_, Infallible>(chunk), f))
    });
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
    Ok(response.streaming(events))
}

struct Follower {
    store: Store,
    changed: watch::Receiver<u64>,
    ops: Data<Ops>,
    last: Option<TransaccionId>,
    spoke: Instant,
    greeted: bool,
    /// Whether there may be more than was sent.
    behind: bool,
}

impl Follower {
    /// The next chunk; the stream ends when the process leaves, and the client comes back to another.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(b"retry: 1000\n\n"));
        }
        loop {
            // who has not seen an id yet cannot resume behind it elsewhere: what was bought here until now is still sent
            let leaving = self.ops.edge.leaving();
            let chunk = if self.behind || leaving { self.chunk().await? } else { String::new() };
            if !chunk.is_empty() {
                self.spoke = Instant::now();
                return Some(chunk.into());
            }
            if leaving {
                return None;
            }
            if self.spoke.elapsed() >= KEEP_ALIVE {
                self.spoke = Instant::now();
                return Some(Bytes::from_static(b":\n\n"));
            }
            match tokio::time::timeout(WAKE_EVERY, self.changed.changed()).await {
                Ok(Ok(())) => self.behind = true,
                // the store is closing, which ends in `leaving` above
                Ok(Err(_)) => tokio::time::sleep(WAKE_EVERY).await,
                Err(_) => {}
            }
        }
    }

    async fn chunk(&mut self) -> Option<String> {
        let found = match self.store.siguientes(self.last, BATCH).await {
            Ok(found) => found,
            Err(e) => {
                log::error!("events: {e}");
                return None;
            }
        };
        self.behind = found.len() == BATCH;
        let mut chunk = String::new();
        for t in found {
            let id = t.id;
            self.last = Some(id);
            let data = serde_json::to_string(&TransaccionVista::from(t)).ok()?;
            write!(chunk, "id: {id}\nevent: transaccion\ndata: {data}\n\n").ok()?;
        }
        Some(chunk)
    }
}
