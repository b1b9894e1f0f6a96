//! What the services' tests share: a client that keeps whole answers, waiting for a condition, and a PostgreSQL.
//!
//! ```text
//! let api = Api::new(app.public());
//! let answer = api.post("/usuarios").json(json!({"nombre": "Ana", "saldo": 5})).await;
//! assert_eq!(answer.status, 201);
//! api.get("/usuarios/99").await.assert_problem(404, "usuario-no-encontrado");
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

pub mod data;
mod nat;
pub mod participant;
mod pgbouncer;
mod port;
pub mod postgres;
pub mod raw;
mod redis;

pub use nat::Nat;
pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use redis::RedisServer;

use actix_web::web::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// What the type of an error begins with.
pub const URN: &str = "urn:mercado:error:";

/// How long a test waits for what must come. It is never waited out where all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A client of one port.
#[derive(Clone, Debug)]
pub struct Api {
    /// `http://127.0.0.1:1234`, without a slash at the end.
    pub base: String,
    /// Takes no proxy, follows no redirect, decodes nothing.
    pub client: Client,
    token: Option<String>,
}

impl Api {
    /// Of what listens there; an address that stands for all (`0.0.0.0`) is called by the loopback one.
    pub fn new(address: SocketAddr) -> Self {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self { base: format!("http://127.0.0.1:{}", address.port()), client, token: None }
    }

    /// The same with `Authorization: Bearer` on every request.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// The same token, for what listens where another client calls.
    #[must_use]
    pub fn at(self, other: &Self) -> Self {
        Self { base: other.base.clone(), ..self }
    }

    /// Waits until the service is ready where its store is a database, to which it connects in the background. On files it
    /// is ready at once, and nobody asks.
    pub async fn connected(&self) {
        if postgres::is_chosen() {
            eventually(PATIENCE, async || {
                self.get("/readyz").attempt().await.is_ok_and(|a| a.status == 200).then_some(())
            })
            .await;
        }
    }

    /// A request to a path (with its query).
    pub fn call(&self, method: Method, path: &str) -> Call {
        let request = self.client.request(method, format!("{}{path}", self.base));
        Call(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// HEAD.
    pub fn head(&self, path: &str) -> Call {
        self.call(Method::HEAD, path)
    }

    /// POST.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// PATCH.
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    /// PUT.
    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }
}

/// A request under construction; `.await` sends it.
#[must_use = "it is sent by .await"]
#[derive(Debug)]
pub struct Call(RequestBuilder);

impl Call {
    /// A JSON body with its content type.
    pub fn json(self, body: impl Serialize) -> Self {
        Self(self.0.json(&body))
    }

    /// Any body, without a content type.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.body(body))
    }

    /// One more header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Sends it where no answer may come, too.
    ///
    /// # Errors
    /// The client's.
    pub async fn attempt(self) -> Result<HttpAnswer, reqwest::Error> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(HttpAnswer { status, headers, body: response.bytes().await? })
    }
}

impl IntoFuture for Call {
    type Output = HttpAnswer;
    type IntoFuture = Pin<Box<dyn Future<Output = HttpAnswer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.attempt().await.expect("an answer") })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came over the wire.
    pub body: Bytes,
}

impl HttpAnswer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.read()
    }

    /// The body as a type that travels as JSON.
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("a header of ASCII"))
    }

    /// The error code of a problem document; empty where the answer is none.
    pub fn code(&self) -> String {
        let document = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        document["codigo"].as_str().unwrap_or_default().to_owned()
    }

    /// The names of the bad fields of a 422, sorted.
    #[track_caller]
    pub fn fields(&self) -> Vec<String> {
        let document = self.json();
        let errores = document["errores"].as_array().expect("errores");
        let mut fields: Vec<_> =
            errores.iter().map(|e| e["campo"].as_str().expect("a campo").to_owned()).collect();
        fields.sort();
        fields
    }

    /// The target of `Link: rel="next"`.
    pub fn next(&self) -> Option<String> {
        let (target, rel) = self.header("Link").strip_prefix('<')?.split_once('>')?;
        rel.contains(r#"rel="next""#).then(|| target.to_owned())
    }

    /// Checks the status, and gives the answer back.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Checks everything that makes a problem (RFC 9457, `docs/ERRORS.md`); gives its document for more.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, codigo: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, codigo), "{}", self.text());
        assert_eq!(self.header("Content-Type"), "application/problem+json");
        assert_eq!(self.header("Cache-Control"), "no-store");
        assert!(matches!(self.header("Content-Language"), "es" | "en"), "{:?}", self.headers);
        assert_ne!(self.header("X-Pod"), "");
        let retry = self.header("Retry-After");
        assert!(
            if status == 429 { !retry.is_empty() } else { retry == if status == 503 { "1" } else { "" } },
            "{retry}"
        );
        assert_eq!(self.header("Allow").is_empty(), status != 405, "{:?}", self.headers);
        assert_eq!(self.header("WWW-Authenticate"), if status == 401 { "Bearer" } else { "" });

        let document = self.json();
        assert_eq!(document["type"], format!("{URN}{codigo}"));
        assert_eq!(document["status"], status);
        assert_ne!(self.header("X-Request-Id"), "");
        assert_eq!(document["solicitud"], self.header("X-Request-Id"));
        let mut members = vec!["codigo", "detail", "solicitud", "status", "title", "type"];
        if codigo == "datos-invalidos" {
            members.insert(2, "errores");
            for error in document["errores"].as_array().expect("errores") {
                said(&error["campo"]); // empty: the body as a whole
                assert_ne!(said(&error["detalle"]), "", "{document}");
            }
        }
        let mut names: Vec<_> = document.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, members);
        assert_ne!(said(&document["title"]), "");
        assert_ne!(said(&document["detail"]), "");
        document
    }
}

#[track_caller]
fn said(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Asks again and again until there is something, and panics after `within`.
#[track_caller]
pub fn eventually<T>(within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let (asked, caller) = (Instant::now(), Location::caller());
    async move {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(asked.elapsed() < within, "{caller}: not within {within:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
