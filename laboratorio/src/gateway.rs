//! A small reverse proxy for the market on this machine. It balances each request over the processes that are ready, and
//! sends a request again by the rules of `k8s/base/gateway`: a read whatever happened, a write under a key where no answer
//! came, any other write never.

use crate::plan::Service;
use crate::t;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::stream;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// As `client_max_body_size`.
const MAX_BODY: usize = 8 << 10;
/// As `proxy_read_timeout` of reads.
const READ_TIME: Duration = Duration::from_secs(4);
/// As `proxy_read_timeout` of purchases: longer than a purchase's own deadline.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// As `proxy_next_upstream_timeout`: after that no other process is asked.
const ALL_TIME: Duration = Duration::from_secs(10);
/// As `proxy_next_upstream_tries`.
const MOST_SENT: usize = 4;
/// A process that is frozen or cut off takes no more requests after this long.
const PROBE_TIME: Duration = Duration::from_millis(400);
/// Between two probes of a process.
const PROBE_PAUSE: Duration = Duration::from_millis(120);
/// Headers of a connection, not of a message (RFC 9110, 7.6.1), and those that the two HTTP libraries write themselves.
const OF_CONNECTIONS: [&str; 7] =
    ["connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "host"];

/// A process that requests can be sent to.
pub struct Backend {
    /// What it says in `X-Pod`.
    pub name: String,
    /// Where it listens.
    pub url: String,
    ready: AtomicBool,
}

impl Backend {
    /// Whether its last probe was answered.
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// Adds routes of its own before those of the market, as the classroom does.
pub type Extra = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// The gateway. It ends with its last clone.
#[derive(Clone)]
pub struct Gateway {
    /// Where clients connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _running: Arc<Running>,
}

struct Shared {
    services: RwLock<BTreeMap<Service, Vec<Arc<Backend>>>>,
    turn: AtomicUsize,
    client: reqwest::Client,
}

struct Running(actix_web::dev::ServerHandle);

impl Drop for Running {
    fn drop(&mut self) {
        // the order is sent by the call; nobody waits for the end
        drop(self.0.stop(false));
    }
}

/// Looks whether it could listen there, before anything is started for it.
///
/// # Errors
/// Where the port is taken.
pub fn is_free(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address).map(|_| ()).map_err(|e| not_listening(address, &e))
}

impl Gateway {
    /// Listens; without backends it answers 503.
    ///
    /// # Errors
    /// Where the port is taken.
    pub async fn start(address: SocketAddr, extra: Option<Extra>) -> Result<Self, String> {
        let wrong = |e: &dyn std::fmt::Display| format!("{address}: {e}");
        let listener = TcpListener::bind(address).map_err(|e| not_listening(address, &e))?;
        let address = listener.local_addr().map_err(|e| wrong(&e))?;
        let client =
            reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(64).build();
        let shared = Arc::new(Shared {
            services: RwLock::default(),
            turn: AtomicUsize::new(0),
            client: client.map_err(|e| wrong(&e))?,
        });
        let (started, handle) = tokio::sync::oneshot::channel();
        let data = Data::from(Arc::clone(&shared));
        // actix brings runtimes of its own
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let app = App::new().app_data(data.clone()).app_data(web::PayloadConfig::new(MAX_BODY));
                    let extra = extra.clone();
                    app.configure(move |config| {
                        if let Some(extra) = &extra {
                            extra(config);
                        }
                    })
                    .default_service(web::to(pass))
                };
                let server =
                    HttpServer::new(app).workers(2).disable_signals().shutdown_timeout(1).listen(listener);
                let server = match server {
                    Ok(server) => server.run(),
                    Err(e) => {
                        let _ = started.send(Err(e.to_string()));
                        return;
                    }
                };
                let _ = started.send(Ok(server.handle()));
                let _ = server.await;
            });
        });
        let server = handle.await.map_err(|e| wrong(&e))?.map_err(|e| wrong(&e))?;
        Ok(Self { address, shared, _running: Arc::new(Running(server)) })
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests for these services may go to this process, once its probe is answered.
    pub fn add(&self, services: &[Service], name: &str, url: &str) -> Arc<Backend> {
        let backend =
            Arc::new(Backend { name: name.to_owned(), url: url.to_owned(), ready: AtomicBool::new(false) });
        {
            let mut all = self.shared.services.write().unwrap_or_else(PoisonError::into_inner);
            for service in services {
                all.entry(*service).or_default().push(Arc::clone(&backend));
            }
        }
        let weak = Arc::downgrade(&backend);
        let client = self.shared.client.clone();
        tokio::spawn(async move {
            while let Some(backend) = weak.upgrade() {
                let probe = client.get(format!("{}/readyz", backend.url)).timeout(PROBE_TIME).send().await;
                backend.ready.store(probe.is_ok_and(|a| a.status().is_success()), Ordering::Relaxed);
                drop(backend);
                tokio::time::sleep(PROBE_PAUSE).await;
            }
        });
        backend
    }

    /// No further request goes to this process.
    pub fn remove(&self, name: &str) {
        let mut all = self.shared.services.write().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().for_each(|some| some.retain(|b| b.name != name));
    }
}

fn not_listening(address: SocketAddr, e: &std::io::Error) -> String {
    if e.kind() == ErrorKind::AddrInUse {
        return t!(
            "no se puede escuchar en {address}, donde ya escucha algo: deténgalo, o elija otro puerto con --port",
            "cannot listen on {address}, where something listens already: stop it, or choose another port with --port"
        );
    }
    t!(
        "no se puede escuchar en {address}: {e}; elija otro puerto con --port",
        "cannot listen on {address}: {e}; choose another port with --port"
    )
}

impl Shared {
    /// The processes of a service, ready ones first, beginning with the next in turn.
    fn backends(&self, service: Service) -> Vec<Arc<Backend>> {
        let all = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let Some(some) = all.get(&service).filter(|some| !some.is_empty()) else { return Vec::new() };
        let ready = some.iter().filter(|b| b.ready()).count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut chosen: Vec<_> = some.iter().filter(|b| b.ready()).cloned().collect();
        if ready > 0 {
            chosen.rotate_left(turn % ready);
        }
        chosen.extend(some.iter().filter(|b| !b.ready()).cloned());
        chosen
    }
}

/// When a request may be sent to another process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Where one failed or said 503: reading changes nothing.
    Always,
    /// Where one failed: under a key it happens once.
    NoAnswer,
    /// Never: it could happen twice.
    Never,
}

fn service(path: &str) -> Option<Service> {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        // it has the accounts, too
        "usuarios" | "cuenta" | "cuentas" | "sesiones" | ".well-known" => Some(Service::Usuarios),
        "transacciones" => Some(Service::Transacciones),
        // as the cluster's gateway: the pods that people scale say who they are
        "tokens" | "" | "hits" | "livez" | "readyz" | "openapi.json" | "docs" => Some(Service::Tokens),
        _ => None,
    }
}

fn again(req: &HttpRequest) -> Again {
    let path = req.path();
    let keyed = req.headers().contains_key("idempotency-key")
        && (path == "/transacciones" || (path.starts_with("/usuarios/") && path.ends_with("/abonos")));
    match req.method().as_str() {
        "GET" | "HEAD" => Again::Always,
        "POST" if keyed => Again::NoAnswer,
        _ => Again::Never,
    }
}

async fn pass(req: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let Some(service) = service(req.path()) else { return problem(404, "ruta-no-encontrada") };
    let again = again(&req);
    let (time, most) = if again == Again::Always { (READ_TIME, MOST_SENT) } else { (WRITE_TIME, 2) };
    let most = if again == Again::Never { 1 } else { most };
    let endless = req.path() == "/transacciones/eventos";
    let deadline = Instant::now() + ALL_TIME;
    let backends = shared.backends(service);
    let mut last = None;
    for backend in backends.iter().cycle().take(most.max(1).min(backends.len().max(1) * 2)) {
        match send(&shared.client, backend, &req, &body, (!endless).then_some(time)).await {
            Ok(answer) if answer.status().as_u16() == 503 && again == Again::Always => last = Some(answer),
            Ok(answer) => match reply(answer, endless).await {
                Some(reply) => return reply,
                // it died in the middle of its answer
                None => backend.ready.store(false, Ordering::Relaxed),
            },
            // the next probe says when it is back
            Err(()) => backend.ready.store(false, Ordering::Relaxed),
        }
        if Instant::now() > deadline {
            break;
        }
    }
    let last = match last {
        Some(answer) => reply(answer, endless).await,
        None => None,
    };
    last.unwrap_or_else(|| problem(503, "servicio-no-disponible"))
}

async fn send(
    client: &reqwest::Client,
    to: &Backend,
    req: &HttpRequest,
    body: &Bytes,
    time: Option<Duration>,
) -> Result<reqwest::Response, ()> {
    let method = reqwest::Method::from_bytes(req.method().as_str().as_bytes()).map_err(|_| ())?;
    let path = req.uri().path_and_query().map_or("/", |p| p.as_str());
    let mut request = client.request(method, format!("{}{path}", to.url)).body(body.clone());
    for (name, value) in req.headers() {
        if !OF_CONNECTIONS.contains(&name.as_str()) {
            request = request.header(name.as_str(), value.as_bytes());
        }
    }
    if let Some(time) = time {
        request = request.timeout(time);
    }
    request.send().await.map_err(|_| ())
}

/// The whole answer, or a stream of it; nothing where it does not come to its end.
async fn reply(answer: reqwest::Response, endless: bool) -> Option<HttpResponse> {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut reply = HttpResponse::build(status);
    for (name, value) in answer.headers() {
        if OF_CONNECTIONS.contains(&name.as_str()) {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            reply.append_header((name, value));
        }
    }
    if endless {
        return Some(reply.streaming(Box::pin(stream::unfold(answer, async |mut answer| {
            match answer.chunk().await {
                Ok(Some(piece)) => Some((Ok::<_, actix_web::Error>(piece), answer)),
                Ok(None) | Err(_) => None,
            }
        }))));
    }
    answer.bytes().await.ok().map(|body| reply.body(body))
}

fn problem(status: u16, code: &str) -> HttpResponse {
    let code = json!({"status": status, "codigo": code, "title": code}).to_string();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut reply = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply.insert_header(("retry-after", "1"));
    }
    reply.insert_header(("x-pod", "gateway")).content_type("application/problem+json").body(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn only_what_may_happen_twice_is_sent_twice() {
        let key = ("idempotency-key", "k");
        for (method, path, keyed, expected) in [
            ("GET", "/tokens", false, Again::Always),
            ("HEAD", "/usuarios/1", false, Again::Always),
            ("POST", "/transacciones", true, Again::NoAnswer),
            ("POST", "/usuarios/1/abonos", true, Again::NoAnswer),
            ("POST", "/transacciones", false, Again::Never),
            ("POST", "/tokens", true, Again::Never),
            ("PATCH", "/usuarios/1", true, Again::Never),
        ] {
            let request = TestRequest::with_uri(path).method(method.parse().unwrap());
            let request = if keyed { request.insert_header(key) } else { request };
            assert!(again(&request.to_http_request()) == expected, "{method} {path} {keyed}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said_with_what_to_do() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let why = Gateway::start(taken, None).await.err().unwrap();
        assert!(why.contains(&taken.to_string()) && why.contains("--port"), "{why}");
    }

    #[test]
    fn internal_paths_lead_nowhere() {
        for path in ["/interno/reservas", "/metrics", "/interno"] {
            assert_eq!(service(path), None);
        }
        assert_eq!(service("/usuarios/1"), Some(Service::Usuarios));
        assert_eq!(service("/cuenta"), Some(Service::Usuarios));
        assert_eq!(service("/"), Some(Service::Tokens));
    }
}
