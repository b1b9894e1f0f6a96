//! The three services in memory: their routes, services and stores as `mercado` wires them, and the two internal APIs.
//! Only sockets are left out.

use super::files::{DIR, path};
use ::journal::simulation::Disk;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::rt::{System, SystemRunner};
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{Bytes, Data, ServiceConfig};
use http_kit::config::InternalToken;
use http_kit::edge::Edge;
use http_kit::metrics::Metrics;
use http_kit::ops::Ops;
use http_kit::problem::General;
use journal::{Journal, Model, Options};
use market::participant::{self, Local};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use transacciones::app::Engine;
use transacciones::config::PurchaseOptions;

/// Whether an error's field is this one: a long name is cut off after 100 characters.
pub(crate) fn names(campo: &str, name: &str) -> bool {
    campo == name
        || campo.strip_suffix('…').is_some_and(|head| head.chars().count() == 100 && name.starts_with(head))
}

pub(crate) const TOKEN: &str = "0123456789abcdef";
/// After so many requests the market begins anew, so that a long run stays fast.
const REQUESTS: u32 = 2000;

type Answering = Pin<Box<dyn Future<Output = MarketAnswer>>>;

/// One port.
struct Port(Box<dyn Fn(TestRequest) -> Answering>);

impl Port {
    async fn open(edge: Arc<Edge>, routes: impl FnOnce(&mut ServiceConfig) + 'static) -> Self {
        let service = std::rc::Rc::new(init_service(http_kit::server::app(edge, routes)).await);
        Self(Box::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                let response = service.call(request.to_request()).await;
                MarketAnswer::of(response.unwrap_or_else(|e| panic!("the framework's own error: {e}"))).await
            })
        }))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct MarketAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl MarketAnswer {
    async fn of(response: ServiceResponse) -> Self {
        let (_, response) = response.into_parts();
        let (response, body) = response.into_parts();
        let (status, headers) = (response.status(), response.headers().clone());
        // the stream of events never ends
        let stream = headers.get("content-type").is_some_and(|t| t == "text/event-stream");
        let body = if stream { Bytes::new() } else { actix_web::body::to_bytes(body).await.unwrap() };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    /// An error is a problem document with a code of the table; the names of its bad fields.
    pub(crate) fn problem(&self) -> Vec<String> {
        let document = self.json();
        let codigo = document["codigo"].as_str().unwrap();
        let known = market::codes::all().find(|c| c.name == codigo).unwrap_or_else(|| panic!("{codigo}"));
        assert_eq!(
            (known.status, document["status"].as_u64()),
            (self.status, Some(self.status.as_u16().into()))
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(document["solicitud"], self.header("x-request-id"));
        assert!(self.status.is_client_error(), "{document}");
        assert_eq!(self.header("allow").is_empty(), self.status != 405);
        let errores = document["errores"].as_array().cloned().unwrap_or_default();
        assert_eq!(errores.is_empty(), known != General::InvalidData, "{document}");
        errores.iter().map(|e| e["campo"].as_str().unwrap().to_owned()).collect()
    }
}

/// A market, and a runtime to run it on.
pub(crate) struct Market {
    system: SystemRunner,
    public: Port,
    tokens: Port,
    usuarios: Port,
    left: u32,
}

thread_local! {
    // not dropped with its thread: actix's own thread-locals may be gone by then
    static MARKET: RefCell<Option<ManuallyDrop<Market>>> = const { RefCell::new(None) };
}

/// Gives `visit` this thread's market.
pub(crate) fn with<R>(visit: impl FnOnce(&mut Market) -> R) -> R {
    MARKET.with_borrow_mut(|place| {
        if place.as_ref().is_some_and(|market| market.left == 0) {
            drop(place.take().map(ManuallyDrop::into_inner));
        }
        visit(place.get_or_insert_with(|| ManuallyDrop::new(Market::open())))
    })
}

fn journal<M: Model>(arrays: &[(&str, String)]) -> Journal<M> {
    let files: BTreeMap<_, _> = arrays
        .iter()
        .map(|(name, json)| (path(&format!("{name}.json")), json.clone().into_bytes()))
        .collect();
    Disk::with(files).open_with_threads(Options::new(DIR)).unwrap_or_else(|e| panic!("{e}"))
}

/// Names with all that sorting and searching could trip over.
const NAMES: &[&str] = &[
    "Gato Cósmico",
    "gato cosmico",
    "GATO CO\u{301}SMICO",
    "ñandú",
    "Nandu",
    "İstanbul",
    "ΟΔΟΣ",
    "猫 №5",
    "a.b",
    "100%",
    "a&b=c",
    "Ω",
    "a+b",
    "...",
    "🦀",
];

fn tokens() -> String {
    let token = |n: usize| {
        let (nombre, precio) = (NAMES[n % NAMES.len()], [0, 5, 5, 50, 9_007_199_254_740_991_u64][n % 5]);
        serde_json::json!({"id": n + 1, "nombre": nombre, "imagen": "a.jpg", "precio": precio, "vendido": n.is_multiple_of(7)})
    };
    let last = serde_json::json!({"id": 9_000_000_000_000_000_u64, "nombre": "z", "imagen": "z", "precio": 1, "vendido": false});
    Value::Array((0..40).map(token).chain([last]).collect()).to_string()
}

fn usuarios() -> String {
    let saldos = [100, 0, 9_007_199_254_740_991_u64];
    let usuario =
        |n: usize| serde_json::json!({"id": n + 1, "nombre": NAMES[n % NAMES.len()], "saldo": saldos[n % 3]});
    Value::Array((0..12).map(usuario).collect()).to_string()
}

fn transacciones() -> String {
    let compra = |n: u64| serde_json::json!({"id": n, "usuarioId": n % 3 + 1, "tokenId": n % 5 + 1, "fecha": "2025-09-10T17:00:00Z"});
    Value::Array((1..20).map(compra).collect()).to_string()
}

impl Market {
    fn open() -> Self {
        let system = System::new();
        let (public, tokens, usuarios) = system.block_on(async {
            let edge = Arc::new(Edge::new(market::openapi::PRODUCT, "fuzz", Duration::from_secs(3600)));
            let usuarios = usuarios::store::Store::json(journal(&[("usuarios", usuarios())]));
            let tokens = tokens::store::Store::json(journal(&[("tokens", tokens())]));
            let options = PurchaseOptions {
                purchase_deadline_ms: 30_000,
                orphan_age_ms: 3_600_000,
                audit_pause_ms: 0,
                ..PurchaseOptions::default()
            };
            let (here, there) = (Arc::new(Local(tokens.clone())), Arc::new(Local(usuarios.clone())));
            let compras = transacciones::store::Store::json(journal(&[("transacciones", transacciones())]));
            let engine = Engine::start(compras, here, there, options, &Metrics::new()).unwrap();
            let openapi = usuarios::routes::openapi(false);
            let ops = Data::new(Ops::new("fuzz", "fuzz", Arc::clone(&edge), openapi, || Ok(())).unwrap());
            let secret = Data::new(TOKEN.parse::<InternalToken>().unwrap());
            let pictures = Data::new(tokens::pictures::Pictures::open(None).unwrap());
            let (t, u) = (Data::new(tokens), Data::new(usuarios));
            let buy = Data::new(engine.service.clone());
            let (here, there) = (u.clone(), t.clone());
            let public = Port::open(Arc::clone(&edge), move |c| {
                c.app_data(here)
                    .app_data(there)
                    .app_data(buy)
                    .app_data(ops)
                    .app_data(market::accounts::Accounts::off());
                c.app_data(Data::new(tokens::cache::Cache::default())).app_data(pictures);
                c.configure(tokens::routes::public)
                    .configure(transacciones::routes::public)
                    .configure(usuarios::routes::public)
                    .configure(http_kit::ops::routes);
            });
            let public = public.await;
            let token = secret.clone();
            let inside = Port::open(Arc::clone(&edge), move |c| {
                c.app_data(t).app_data(token).configure(participant::routes::<tokens::store::Store>);
            });
            let inside = inside.await;
            let cargos = Port::open(edge, move |c| {
                c.app_data(u).app_data(secret).configure(participant::routes::<usuarios::store::Store>);
            });
            (public, inside, cargos.await)
        });
        Self { system, public, tokens, usuarios, left: REQUESTS }
    }

    /// The answer to a request, or `None` where no HTTP parser would let it through to us.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Option<MarketAnswer> {
        let uri = target
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.path().starts_with('/') && uri.host().is_none() && !target.contains('#'))?;
        let mut request = TestRequest::with_uri(target).method(method.parse::<Method>().ok()?);
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).ok()?;
            request = request.append_header((name, HeaderValue::from_bytes(value).ok()?));
        }
        let port = match uri.path() {
            path if path.starts_with("/interno/cargos") => &self.usuarios,
            path if path.starts_with("/interno") => &self.tokens,
            _ => &self.public,
        };
        self.left = self.left.saturating_sub(1);
        let answer = self.system.block_on((port.0)(request.set_payload(body.to_vec())));
        let framework = answer.body.is_empty() && answer.status == 400;
        assert!(!framework && answer.status.as_u16() < 500, "{method} {target}: {answer:?}");
        assert_eq!(answer.header("x-pod"), "fuzz");
        Some(answer)
    }

    /// GET, which must be legal.
    pub(crate) fn get(&mut self, target: &str) -> MarketAnswer {
        self.ask("GET", target, &[("authorization", format!("Bearer {TOKEN}").as_bytes())], b"").unwrap()
    }
}
