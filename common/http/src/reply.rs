//! What a GET answers: a body with its ETag and, where the client takes it and it is worth it, gzip.

use crate::problem::Problem;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use flate2::read::GzDecoder;
use serde::Serialize;
use std::io::{Cursor, Read, Write};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

/// Below this a compressed body saves less than its headers and the work cost.
const MIN_COMPRESSED: usize = 1024;

/// The most bytes that are unpacked at once.
const PIECE: usize = 16 * 1024;

/// On an answer that repeats an earlier one for the same `Idempotency-Key`.
pub static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A finished answer, made once and sent to any number of clients.
#[derive(Debug)]
pub struct Representation {
    body: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    gzip: OnceLock<Option<Bytes>>,
    /// `body` is gzip, and stays so for a client that takes it.
    stored_gzip: bool,
}

impl Representation {
    /// JSON of a value.
    ///
    /// # Errors
    /// 500 where the value does not serialize, which is a bug.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(Problem::internal)?;
        Ok(Self::new(body, HeaderValue::from_static("application/json")))
    }

    /// Any bytes of a media type.
    pub fn new(body: impl Into<Bytes>, content_type: HeaderValue) -> Self {
        let body = body.into();
        // weak: one ETag stands for the body in each of its encodings (RFC 9110, 8.8.1)
        let etag = format!("W/\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(&body));
        Self {
            etag: HeaderValue::try_from(etag).unwrap_or_else(|_| HeaderValue::from_static("W/\"0\"")),
            body,
            content_type,
            headers: Vec::new(),
            gzip: OnceLock::new(),
            stored_gzip: false,
        }
    }

    /// Bytes that are gzip already, of a media type: they are unpacked for a client that does not take it.
    pub fn gzipped(body: impl Into<Bytes>, content_type: HeaderValue) -> Self {
        Self { stored_gzip: true, ..Self::new(body, content_type) }
    }

    /// With another ETag than one of the body's bytes: one that is known before they are read.
    #[must_use]
    pub fn with_etag(self, etag: HeaderValue) -> Self {
        Self { etag, ..self }
    }

    /// Adds a header to each answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// For a body whose format compresses already, as JPEG does: it is sent as it is.
    #[must_use]
    pub fn compressed_already(mut self) -> Self {
        self.gzip = OnceLock::from(None);
        self
    }

    /// The body as it is stored.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// 200 with the body in the best encoding that the client takes, or 304 where it has it already.
    pub fn respond(&self, req: &HttpRequest) -> HttpResponse {
        self.respond_as(req, StatusCode::OK)
    }

    /// The same with another status: 201 after a POST, say.
    pub fn respond_as(&self, req: &HttpRequest, status: StatusCode) -> HttpResponse {
        let safe = matches!(*req.method(), Method::GET | Method::HEAD);
        let unchanged = safe && status == StatusCode::OK && is_known(req.headers(), &self.etag);
        let (mut response, encoding) = if unchanged {
            (HttpResponse::new(StatusCode::NOT_MODIFIED), None)
        } else {
            let (body, encoding) = self.encoded(req);
            (HttpResponse::with_body(status, body), encoding)
        };
        let headers = response.headers_mut();
        if !unchanged {
            headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        }
        if safe {
            headers.insert(header::ETAG, self.etag.clone());
            // keep it, but ask each time: another buyer may have been faster
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        if self.stored_gzip || self.body.len() >= MIN_COMPRESSED {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
        }
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        response
    }

    fn encoded(&self, req: &HttpRequest) -> (BoxBody, Option<ContentEncoding>) {
        let (bytes, encoding) = match self.stored_gzip {
            true if takes_gzip(req) => (self.body.clone(), Some(ContentEncoding::Gzip)),
            true => return (BoxBody::new(Unpacked::new(self.body.clone())), None),
            false => self.best(req),
        };
        (BoxBody::new(bytes), encoding)
    }

    fn best(&self, req: &HttpRequest) -> (Bytes, Option<ContentEncoding>) {
        if self.body.len() < MIN_COMPRESSED
            || !req.headers().contains_key(header::ACCEPT_ENCODING)
            || !takes_gzip(req)
        {
            return (self.body.clone(), None);
        }
        match self.gzip.get_or_init(|| gzip(&self.body).ok().map(Bytes::from)) {
            Some(bytes) => (bytes.clone(), Some(ContentEncoding::Gzip)),
            None => (self.body.clone(), None),
        }
    }
}

/// Whether `If-None-Match` names this ETag, by weak comparison (RFC 9110, 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let ours = etag.to_str().unwrap_or_default().trim_start_matches("W/");
    headers.get_all(header::IF_NONE_MATCH).filter_map(|v| v.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == ours)
    })
}

/// Whether the client takes gzip, and likes it no less than the body as it is.
fn takes_gzip(req: &HttpRequest) -> bool {
    let supported = [ContentEncoding::Gzip, ContentEncoding::Identity].map(header::Encoding::Known);
    let accepted = req.get_header::<header::AcceptEncoding>();
    accepted.and_then(|a| a.negotiate(supported.iter()))
        == Some(header::Encoding::Known(ContentEncoding::Gzip))
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

/// A gzip body on its way to a client that does not take gzip: unpacked piece by piece, so that no request holds all of it.
struct Unpacked {
    left: u64,
    reader: GzDecoder<Cursor<Bytes>>,
}

impl Unpacked {
    fn new(packed: Bytes) -> Self {
        // the last four bytes of gzip are the length of what it holds (RFC 1952, 2.3.1)
        let length = packed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        Self { left: length.into(), reader: GzDecoder::new(Cursor::new(packed)) }
    }
}

impl MessageBody for Unpacked {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; usize::try_from(this.left).map_or(PIECE, |left| left.min(PIECE))];
        this.reader.read_exact(&mut piece)?;
        this.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(piece.into())))
    }
}
