//! A service for one test.

use clap::Parser;
use http_kit::exit::StartError;
use http_kit::server::Leave;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use tempfile::TempDir;
use testkit::Api;
use testkit::data::STORE_PATIENCE;
use testkit::postgres::store_option;
use tokens::app;
use tokens::config::Config;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What every service shares.
pub const TOKEN: &str = "0123456789abcdef-test";

/// The first two of the sample data, in its form.
pub const SEED: &str = r#"[
{"id":101,"nombre":"Gato Cósmico","imagen":"gato.jpg","precio":50,"vendido":false},
{"id":102,"nombre":"Paisaje Lunar","imagen":"luna.jpg","precio":70,"vendido":false}
]
"#;

/// A running service.
pub struct Market {
    dir: TempDir,
    client: Client,
    public: String,
    internal: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), StartError>>,
}

impl Market {
    /// With [`SEED`].
    pub async fn start() -> Self {
        Self::seeded(SEED).await
    }

    /// With these tokens.
    pub async fn seeded(tokens: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seed = dir.path().join("seed");
        std::fs::create_dir_all(dir.path().join("imagenes")).unwrap();
        std::fs::create_dir(&seed).unwrap();
        std::fs::write(seed.join("tokens.json"), tokens).unwrap();
        Self::reopen(dir).await
    }

    /// With so many tokens, which `tokens(n)` lists as well.
    pub async fn with(tokens: &[Value]) -> Self {
        Self::seeded(&serde_json::to_string(tokens).unwrap()).await
    }

    /// Over the files of one that was stopped.
    pub async fn reopen(dir: TempDir) -> Self {
        let app = app::build(&config(dir.path())).unwrap();
        let (public, internal) = (app.public(), app.internal().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
            Leave::Now
        }));
        Self {
            dir,
            client: Client::new(),
            public: format!("http://{public}"),
            internal: format!("http://{internal}"),
            stop,
            running,
        }
    }

    /// Stops it well and starts it again over the same files.
    pub async fn restart(self) -> Self {
        Self::reopen(self.stop().await).await
    }

    /// Stops it well.
    pub async fn stop(self) -> TempDir {
        drop(self.client);
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        self.dir
    }

    /// Its files.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A request to the public port.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.public))
    }

    /// A request to the internal port, without the token.
    pub fn outsider(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.internal))
    }

    /// A request to the internal port.
    pub fn inner(&self, method: Method, path: &str) -> RequestBuilder {
        self.outsider(method, path).bearer_auth(TOKEN)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.call(Method::GET, path).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub async fn post(&self, body: &Value) -> Response {
        self.call(Method::POST, "/tokens").json(body).send().await.unwrap()
    }

    pub async fn patch(&self, id: u64, body: &Value) -> Response {
        self.call(Method::PATCH, &format!("/tokens/{id}")).json(body).send().await.unwrap()
    }

    pub async fn delete(&self, id: u64) -> Response {
        self.call(Method::DELETE, &format!("/tokens/{id}")).send().await.unwrap()
    }

    /// `PUT /interno/reservas/{intento}`.
    pub async fn reserve(&self, intento: &str, token: u64, usuario: u64) -> Response {
        let body = json!({"tokenId": token, "usuarioId": usuario});
        self.inner(Method::PUT, &try_path(intento)).json(&body).send().await.unwrap()
    }

    /// `PUT /interno/reservas/{intento}/venta`.
    pub async fn sell(&self, intento: &str) -> Response {
        let path = format!("{}/venta", try_path(intento));
        self.inner(Method::PUT, &path).send().await.unwrap()
    }

    /// `DELETE /interno/reservas/{intento}`.
    pub async fn release(&self, intento: &str) -> Response {
        self.inner(Method::DELETE, &try_path(intento)).send().await.unwrap()
    }

    pub async fn inner_json(&self, path: &str) -> Value {
        let response = self.inner(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }
}

/// A service of its own whose data no test looks at; it leaves with the test's runtime.
pub struct Pod {
    pub api: Api,
    pub inner: Api,
    _dir: TempDir,
}

impl Pod {
    /// Over a fresh directory, with a Redis.
    pub fn counting(redis_url: &str) -> Self {
        Self::with(|config| config.redis_url = Some(redis_url.parse().unwrap()))
    }

    /// Over a database, with a Redis.
    pub fn over(database: &str, redis_url: &str) -> Self {
        Self::with(|config| {
            config.redis_url = Some(redis_url.parse().unwrap());
            config.host.store.store = database.parse().unwrap();
            config.host.store.seed_dir = None;
        })
    }

    fn with(more: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for needed in ["imagenes", "seed"] {
            std::fs::create_dir(dir.path().join(needed)).unwrap();
        }
        let mut config = config(dir.path());
        more(&mut config);
        let app = app::build(&config).unwrap();
        let (api, inner) = (Api::new(app.public()), Api::new(app.internal().unwrap()).with_token(TOKEN));
        tokio::spawn(app.run(std::future::pending::<Leave>()));
        Self { api, inner, _dir: dir }
    }
}

/// The configuration of a service over `dir/datos`.
pub fn config(dir: &Path) -> Config {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let mut config = Config::parse_from([
        "tokens",
        "--host=127.0.0.1",
        "--port=0",
        "--internal-port=0",
        "--workers=2",
        "--internal-token",
        TOKEN,
        "--hostname=pod-1",
        // where there is a seed, that is the one
        &store_option(&dir.join("datos"))[0],
        "--seed-dir",
        &path("seed"),
        "--imagenes",
        &path("imagenes"),
    ]);
    config.host.store.patience = STORE_PATIENCE;
    config
}

/// The path of an attempt; `#` would end it.
pub fn try_path(intento: &str) -> String {
    format!("/interno/reservas/{}", intento.replace('#', "%23"))
}

/// A response that must be this problem.
pub async fn problem(response: Response, status: u16, codigo: &str) -> Value {
    assert_eq!(response.status(), status, "{codigo}");
    let head = response.headers().clone();
    assert_eq!(head["content-type"], "application/problem+json");
    assert_eq!(head["x-pod"], "pod-1");
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["codigo"], codigo);
    assert_eq!(document["status"], status);
    assert_eq!(document["solicitud"], head["x-request-id"].to_str().unwrap());
    document
}

/// A 422 that must name these fields, in any order.
pub async fn invalid(response: Response, campos: &[&str]) {
    let document = problem(response, 422, "datos-invalidos").await;
    let mut named: Vec<_> =
        document["errores"].as_array().unwrap().iter().map(|e| e["campo"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, campos, "{document}");
}

/// A body as its `Content-Encoding` says.
pub async fn decoded(response: Response) -> Vec<u8> {
    let encoding = response.headers().get("content-encoding").map(|v| v.to_str().unwrap().to_owned());
    let body = response.bytes().await.unwrap();
    let mut out = Vec::new();
    match encoding.as_deref() {
        None => out.extend_from_slice(&body),
        Some("gzip") => {
            flate2::read::GzDecoder::new(&*body).read_to_end(&mut out).unwrap();
        }
        Some(other) => panic!("{other}"),
    }
    out
}

/// Statuses of a few responses, sorted.
pub fn statuses(responses: &[Response]) -> Vec<StatusCode> {
    let mut all: Vec<_> = responses.iter().map(Response::status).collect();
    all.sort_unstable();
    all
}
