//! The one middleware: what every request and every response of every service has in common.
//!
//! In: the request's id and trace. Out: `X-Pod`, `X-Request-Id`, problems written in the reader's language, metrics,
//! the access log, and a polite `Connection: close` once a connection is old or the process is leaving.

use crate::context::{Context, X_REQUEST_ID};
use crate::metrics::Metrics;
use crate::openapi::Product;
use crate::problem::{General, Lang, MEDIA_TYPE, Problem};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Which pod answered: the host name.
pub static X_POD: HeaderName = HeaderName::from_static("x-pod");

/// One connection, open for as long as this lives; the server puts it beside each.
#[derive(Debug)]
pub struct Connection {
    born: Instant,
    _open: Counted,
}

/// One more while it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// What the middleware knows of its process.
#[derive(Debug)]
pub struct Edge {
    product: Product,
    pod: HeaderValue,
    connection_age: Duration,
    leaving: AtomicBool,
    connections: Arc<AtomicUsize>,
    /// Requests that a handler is working on.
    active: Arc<AtomicUsize>,
    /// Requests that have come so far.
    seen: AtomicU64,
    /// Counters of this process.
    pub metrics: Metrics,
}

impl Edge {
    /// `pod` is the host name; a connection older than `connection_age` is closed after its next response.
    pub fn new(product: Product, pod: &str, connection_age: Duration) -> Self {
        let pod = HeaderValue::from_str(pod).unwrap_or_else(|_| HeaderValue::from_static("?"));
        let (connections, metrics) = (Arc::<AtomicUsize>::default(), Metrics::new());
        let open = Arc::clone(&connections);
        metrics.gauge("http_connections", "Connections that are open now", move || {
            open.load(Ordering::Relaxed) as u64
        });
        Self {
            product,
            pod,
            connection_age,
            leaving: AtomicBool::new(false),
            connections,
            active: Arc::default(),
            seen: AtomicU64::new(0),
            metrics,
        }
    }

    /// What is served here.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// A connection was taken just now.
    pub fn connected(&self) -> Connection {
        Connection { born: Instant::now(), _open: Counted::new(&self.connections) }
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Requests that have come so far, where none of them is at work now.
    pub fn idle(&self) -> Option<u64> {
        (self.active.load(Ordering::Acquire) == 0).then(|| self.seen.load(Ordering::Acquire))
    }

    /// From now on `/readyz` fails and each response closes its connection.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether [`Edge::leave`] was called.
    pub fn leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// One request through.
    ///
    /// # Errors
    /// The framework's own; an error of a handler is its response.
    pub async fn handle<B: MessageBody + 'static>(
        &self,
        req: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let start = Instant::now();
        // a guard: the client may hang up, and this future is dropped then
        let _active = Counted::new(&self.active);
        self.seen.fetch_add(1, Ordering::Relaxed);
        let context = Context::from_headers(req.headers());
        let request_id = context.request_id.clone();
        // handlers' errors are responses by here; what is left are the framework's own
        let mut res = context.clone().scope(next.call(req)).await?.map_into_boxed_body();
        let problem = res.response_mut().extensions_mut().remove::<Problem>();
        if let Some(problem) = problem {
            res = write_problem(res, &problem, self.product.urn, &context);
        }
        let old =
            res.request().conn_data::<Connection>().is_some_and(|c| start - c.born > self.connection_age);
        if old || self.leaving() {
            res.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        let headers = res.headers_mut();
        headers.insert(X_POD.clone(), self.pod.clone());
        headers.insert(X_REQUEST_ID.clone(), request_id);
        self.metrics.observe(res.request(), res.status(), start.elapsed());
        if log::log_enabled!(target: "access", log::Level::Debug) {
            context.scope(async { access_log(&res, start) }).await;
        }
        Ok(res)
    }
}

fn write_problem(
    res: ServiceResponse<BoxBody>,
    problem: &Problem,
    urn: &str,
    context: &Context,
) -> ServiceResponse<BoxBody> {
    let lang = Lang::negotiate(res.request().headers().get(header::ACCEPT_LANGUAGE));
    let document = problem.document(urn, lang, context.id());
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let language = HeaderValue::from_static(if lang == Lang::En { "en" } else { "es" });
    let mut res = res.map_body(|_, _| BoxBody::new(body));
    res.headers_mut().insert(header::CONTENT_LANGUAGE, language);
    debug_assert_eq!(
        res.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
        Some(MEDIA_TYPE.as_bytes())
    );
    res
}

fn access_log(res: &ServiceResponse<BoxBody>, start: Instant) {
    let req = res.request();
    log::debug!(
        target: "access",
        "{} {} {} {} us",
        req.method(),
        req.path(),
        res.status().as_u16(),
        start.elapsed().as_micros()
    );
}

/// The answer to a path that no route takes.
///
/// # Errors
/// Always 404 `ruta-no-encontrada`.
pub async fn not_found(req: HttpRequest) -> Result<&'static str, Problem> {
    Err(no_route(&req))
}

/// 404 `ruta-no-encontrada`.
pub fn no_route(req: &HttpRequest) -> Problem {
    let path = req.path();
    Problem::new(
        General::RutaNoEncontrada,
        crate::text!("No hay nada en {path}; vea /docs.", "There is nothing at {path}; see /docs."),
    )
}
