//! Files on their way to a client: read piece by piece, so that no request holds all of one.

use crate::reply::{Representation, is_known};
use actix_web::body::SizedStream;
use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The most bytes that a request holds of a file.
const PIECE: u64 = 64 * 1024;

/// An open file that becomes an answer.
#[derive(Debug)]
pub struct FileReply {
    file: File,
    length: u64,
    etag: HeaderValue,
    content_type: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl FileReply {
    /// Opens a file; `None` where the path leads to something else. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: &Path, content_type: HeaderValue) -> io::Result<Option<Self>> {
        // a pipe would wait for its writer: look before opening
        if !path.metadata()?.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let etag = format!("W/\"{:x}-{:x}\"", metadata.len(), age.as_nanos());
        Ok(Some(Self {
            file,
            length: metadata.len(),
            etag: HeaderValue::try_from(etag).map_err(io::Error::other)?,
            content_type,
            headers: Vec::new(),
        }))
    }

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// All of it, for a small file that is worth compressing. Blocks.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(mut self) -> io::Result<Representation> {
        let mut bytes = Vec::new();
        (&mut self.file).take(self.length).read_to_end(&mut bytes)?;
        let whole = Representation::new(bytes, self.content_type).with_etag(self.etag);
        Ok(self.headers.into_iter().fold(whole, |whole, (name, value)| whole.header(name, value)))
    }

    /// 200 with the file as it is, or 304 where the client has it already. A file that shrinks meanwhile ends its
    /// connection: the client was told another length.
    pub fn respond(self, req: &HttpRequest) -> HttpResponse {
        let Self { file, length, etag, content_type, headers: more } = self;
        let unchanged = is_known(req.headers(), &etag);
        let mut response = if unchanged {
            HttpResponse::new(StatusCode::NOT_MODIFIED)
        } else if *req.method() == Method::HEAD {
            // its length is told, and nothing of it is read
            HttpResponse::Ok().body(SizedStream::new(length, stream::empty::<io::Result<Bytes>>()))
        } else {
            HttpResponse::Ok().body(SizedStream::new(length, pieces(file, length)))
        };
        let headers = response.headers_mut();
        if !unchanged {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        headers.insert(header::ETAG, etag);
        // keep it, but ask each time: a file may be another one by then
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        for (name, value) in more {
            headers.insert(name, value);
        }
        response
    }
}

fn pieces(file: File, length: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, length), |(file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let (file, piece) =
            web::block(move || read_piece(file, left.min(PIECE))).await.map_err(io::Error::other)??;
        let left = left - piece.len() as u64;
        Ok(Some((piece, (file, left))))
    })
}

fn read_piece(mut file: File, length: u64) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::new();
    (&mut file).take(length).read_to_end(&mut piece)?;
    if (piece.len() as u64) < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
    }
    Ok((file, piece.into()))
}
