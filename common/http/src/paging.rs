//! Keyset paging of lists: `limite`, `despues`, `Link: rel="next"` and `X-Total-Count`.
//!
//! `despues` is the key of the last row that the client has; a row that comes or goes meanwhile shifts nobody's page.

use crate::problem::Problem;
use crate::reply::Representation;
use crate::request::Field;
use crate::validate::{Parsed, Raw, integer, query_name};
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Rows of a page, where the client does not say.
pub const DEFAULT_LIMIT: usize = 100;
/// The most rows of a page.
pub const MAX_LIMIT: usize = 1000;

/// The total number of rows that the filters let through.
pub static X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Rows of a page; 100 if it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(usize);

impl Limit {
    /// How many rows.
    pub fn rows(self) -> usize {
        self.0
    }
}

impl Field for Limit {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        // at most 1000, so it fits
        integer(1..=MAX_LIMIT as u64)(raw).map(|n| Self(usize::try_from(n).unwrap_or(MAX_LIMIT)))
    }

    fn absent() -> Option<Self> {
        Some(Self(DEFAULT_LIMIT))
    }
}

impl PartialSchema for Limit {
    #[expect(deprecated, reason = "utoipa's derive writes one `example`, and so do all other schemas here")]
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .description(Some("Rows of a page; 100 if it is left out"))
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(DEFAULT_LIMIT.into()))
            .example(Some(DEFAULT_LIMIT.into()));
        RefOr::T(schema.build().into())
    }
}

impl ToSchema for Limit {
    fn name() -> std::borrow::Cow<'static, str> {
        "Limite".into()
    }
}

/// One page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
    /// Rows on all pages together.
    pub total: usize,
}

impl<T> Page<T> {
    /// A page from rows of which one more than `limit` was asked for, to learn whether there is a next page.
    pub fn new(mut rows: Vec<T>, limit: usize, total: usize, cursor: impl FnOnce(&T) -> String) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { rows, next, total }
    }

    /// The rows in another shape.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(f).collect(), next: self.next, total: self.total }
    }

    /// The array with its headers; the next page is this request with another `despues`.
    ///
    /// # Errors
    /// 500 where a row does not serialize, which is a bug.
    pub fn represent(&self, req: &HttpRequest) -> Result<Representation, Problem>
    where
        T: Serialize,
    {
        self.write()?.represent(req)
    }

    /// The array as it is sent.
    ///
    /// # Errors
    /// 500 where a row does not serialize, which is a bug.
    pub fn write(&self) -> Result<Written, Problem>
    where
        T: Serialize,
    {
        let body = serde_json::to_vec(&self.rows).map_err(Problem::internal)?.into();
        Ok(Written { body, head: Head { total: self.total, next: self.next.clone() } })
    }
}

/// A page whose rows are JSON already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    body: Bytes,
    head: Head,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    total: usize,
    next: Option<String>,
}

impl Written {
    /// The array with its headers, as [`Page::represent`] does it.
    ///
    /// # Errors
    /// 500 where the next page's link is no header, which is a bug.
    pub fn represent(self, req: &HttpRequest) -> Result<Representation, Problem> {
        let total = HeaderValue::from(self.head.total);
        let json = HeaderValue::from_static("application/json");
        let mut representation = Representation::new(self.body, json).header(X_TOTAL_COUNT.clone(), total);
        if let Some(next) = &self.head.next {
            let kept = req
                .query_string()
                .split('&')
                .filter(|pair| !pair.is_empty() && query_name(pair) != "despues");
            let query = kept.chain([format!("despues={next}").as_str()]).collect::<Vec<_>>().join("&");
            let link = format!("<{}?{query}>; rel=\"next\"", req.path());
            let link = HeaderValue::try_from(link).map_err(Problem::internal)?;
            representation = representation.header(header::LINK, link);
        }
        Ok(representation)
    }

    /// The page that was written, where its rows are such.
    pub fn read<T: DeserializeOwned>(&self) -> Option<Page<T>> {
        let rows = serde_json::from_slice(&self.body).ok()?;
        Some(Page { rows, next: self.head.next.clone(), total: self.head.total })
    }

    /// All of it, to keep elsewhere.
    ///
    /// # Errors
    /// Where it does not serialize, which is a bug.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(&self.head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    /// What [`Written::to_bytes`] made; `None` for anything else.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Option<Self> {
        let mut head: Bytes = bytes.into();
        let mut body = head.split_off(head.iter().position(|b| *b == b'\n')?);
        Some(Self { head: serde_json::from_slice(&head).ok()?, body: body.split_off(1) })
    }
}
