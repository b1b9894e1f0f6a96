//! The one middleware: what every request and every response of every service has in common.
//!
//! In: the request's id and trace, and whether the request is for this server. Out: `X-Pod`, `X-Request-Id`, what a browser
//! may do with the answer, problems written in the reader's language, metrics, the access log, and a polite
//! `Connection: close` once a connection is old or the process is leaving.

use crate::access::origin;
use crate::connection::{Connection, Sliced};
use crate::context::{Context, X_REQUEST_ID};
use crate::gate::Tally;
use crate::metrics::Metrics;
use crate::openapi::Product;
use crate::problem::{General, Lang, MEDIA_TYPE, Problem, Text, shown};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, ResponseError};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Which pod answered: the host name.
pub static X_POD: HeaderName = HeaderName::from_static("x-pod");

/// What a page that this server serves may do, where its handler does not say: nothing, in no frame.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What is answered also where there are too many connections.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

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
    tally: Arc<Tally>,
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
        let (tally, metrics) = (Arc::<Tally>::default(), Metrics::new());
        let read = |pick: fn(&Tally) -> u64| {
            let tally = Arc::clone(&tally);
            move || pick(&tally)
        };
        metrics.gauge(
            "http_connections",
            "Connections that are open now",
            read(|t| t.open.load(Ordering::Relaxed) as u64),
        );
        metrics.counter(
            "http_connections_refused",
            "Connections that were closed at once, since there were too many",
            read(|t| t.refused.load(Ordering::Relaxed)),
        );
        metrics.counter(
            "http_connections_cut",
            "Connections that were ended, since their client was too slow or another one needed the place",
            read(|t| t.cut.load(Ordering::Relaxed)),
        );
        Self {
            product,
            pod,
            connection_age,
            leaving: AtomicBool::new(false),
            tally,
            active: Arc::default(),
            seen: AtomicU64::new(0),
            metrics,
        }
    }

    /// What is served here.
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// What the gates of this process count.
    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.tally.open.load(Ordering::Acquire)
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
        let connection = req.conn_data::<Arc<Connection>>().cloned();
        if connection.as_ref().is_some_and(|connection| connection.has_ended()) {
            // The client was told that this is not answered, and sends it again. The stream ends the connection, and this future.
            return std::future::pending().await;
        }
        // a guard: the client may hang up, and this future is dropped then
        let _active = Counted::new(&self.active);
        self.seen.fetch_add(1, Ordering::Relaxed);
        let length = body_length(req.headers());
        if let Some(connection) = &connection {
            connection.begin(length);
        }
        let context = Context::from_headers(req.headers());
        let request_id = context.request_id.clone();
        let refused = connection.as_ref().and_then(|connection| refusal(req.request(), connection));
        let mut res = match refused {
            Some(problem) => req.into_response(problem.error_response()),
            // a handler's error is a response already; an `Err` is the framework's own
            None => match context.clone().scope(next.call(req)).await {
                Ok(res) => res.map_into_boxed_body(),
                Err(e) => {
                    connection.inspect(|connection| connection.answers());
                    return Err(e);
                }
            },
        };
        let problem = res.response_mut().extensions_mut().remove::<Problem>();
        if let Some(problem) = problem {
            res = write_problem(res, &problem, self.product.urn, &context);
        }
        let last = |c: &Arc<Connection>| c.reserved() || start - c.born() > self.connection_age;
        // what comes after a body that does not say its length cannot be told from it
        if length.is_none() || self.leaving() || connection.as_ref().is_some_and(last) {
            res.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            connection.iter().for_each(|connection| connection.ends());
        }
        let headers = res.headers_mut();
        headers.insert(X_POD.clone(), self.pod.clone());
        headers.insert(X_REQUEST_ID.clone(), request_id);
        protect(headers);
        self.metrics.observe(res.request(), res.status(), start.elapsed());
        if log::log_enabled!(target: "access", log::Level::Debug) {
            context.scope(async { access_log(&res, start) }).await;
        }
        if let Some(connection) = connection {
            let method = res.request().method().clone();
            res = res.map_body(|head, body| BoxBody::new(Sliced::new(&method, head, body, connection)));
        }
        Ok(res)
    }
}

/// The length of a request's body; `None` where it does not say.
fn body_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Some(0) };
    length.to_str().ok()?.parse().ok()
}

/// Why a request is not for this server, or cannot be answered on its connection.
fn refusal(req: &HttpRequest, connection: &Connection) -> Option<Problem> {
    if connection.reserved() && !PROBES.contains(&req.path()) {
        let detail = Text::new("Repita la petición dentro de poco.", "Repeat the request in a moment.");
        return Some(Problem::new(General::TooManyConnections, detail));
    }
    if !connection.loopback() {
        return None;
    }
    // another site's page can give its own name this machine's address (DNS rebinding), and then read and write here
    let named = req.headers().get_all(header::HOST).map(|v: &HeaderValue| v.to_str().unwrap_or("?"));
    if req.uri().authority().map(|a| a.as_str()).into_iter().chain(named).any(|host| !is_this_machine(host)) {
        let detail = Text::new(
            "En esta dirección solo se atiende a localhost, 127.0.0.1 y [::1].",
            "On this address only localhost, 127.0.0.1 and [::1] are served.",
        );
        return Some(Problem::new(General::Misdirected, detail));
    }
    let origin = origin(req.headers()).filter(|_| !req.method().is_safe())?;
    let own = origin.split_once("://").is_some_and(|(_, host)| is_this_machine(host));
    let detail = Text::new(
        "La petición viene de la página de otro sitio.",
        "The request comes from another site's page.",
    );
    (!own).then(|| Problem::new(General::ForeignOrigin, detail))
}

/// Whether `host` or `host:port` is a name or an address of this machine that no name server gives.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// What keeps a browser from doing more with an answer than it is for.
fn protect(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
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
    let path = shown(req.path());
    Problem::new(
        General::RouteNotFound,
        crate::text!("No hay nada en {path}; vea /docs.", "There is nothing at {path}; see /docs."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_own_names_are_its_own() {
        for own in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8080", "127.0.0.9:1"]
        {
            assert!(is_this_machine(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "localhost:80:80",
            "10.0.0.1",
            "[::2]:1",
            "127.0.0.1.evil.example",
            "?",
            "localhost.",
            "null",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
