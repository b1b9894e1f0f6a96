//! The routes that every service has: who am I, probes, metrics, visits, and the API's description.

use crate::edge::{Edge, no_route};
use crate::metrics;
use crate::problem::{General, Problem, Text};
use crate::reply::Representation;
use crate::routes::Methods;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use utoipa::{OpenApi, ToSchema};

/// Counts one more visit together with other pods, and says how many there were; `None` while it cannot.
pub type SharedCount = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<u64>> + Send>> + Send + Sync>;

/// What these routes need to know.
pub struct Ops {
    /// The service's name.
    pub servicio: &'static str,
    /// The host name.
    pub hostname: String,
    /// Whether this process is leaving, and its numbers.
    pub edge: Arc<Edge>,
    /// Whether the store takes writes; the error is for the log, not for the client.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The API's description, as it is served.
    pub openapi: Representation,
    /// The files of `/docs/` that somebody has asked for.
    docs: RwLock<BTreeMap<String, Arc<Representation>>>,
    hits: AtomicU64,
    shared: Option<SharedCount>,
}

impl Ops {
    /// Finishes the description (what every operation can answer) and puts all together.
    ///
    /// # Errors
    /// Exit code 70 where the description does not serialize, which is a bug.
    pub fn new(
        servicio: &'static str,
        hostname: &str,
        edge: Arc<Edge>,
        mut openapi: utoipa::openapi::OpenApi,
        ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<Self, crate::exit::StartError> {
        openapi.merge(description());
        let openapi = crate::openapi::finish(openapi, edge.product(), servicio);
        Ok(Self {
            servicio,
            hostname: hostname.to_owned(),
            edge,
            ready: Box::new(ready),
            openapi: Representation::json(&openapi)
                .map_err(|e| crate::exit::StartError::new(70, format!("openapi.json: {e}")))?,
            docs: RwLock::default(),
            hits: AtomicU64::new(0),
            shared: None,
        })
    }

    /// Counts visits with `count` from now on, and alone only while that cannot.
    pub fn share(&mut self, count: SharedCount) {
        self.shared = Some(count);
    }
}

/// Adds the routes; `Data<Ops>` must be there.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/").get(index).done())
        .service(Methods::at("/hits").get(hits).done())
        .service(Methods::at("/livez").get(livez).done())
        .service(Methods::at("/readyz").get(readyz).done())
        .service(Methods::at("/metrics").get(show_metrics).done())
        .service(Methods::at("/openapi.json").get(openapi_json).done())
        .service(Methods::at("/docs").get(docs).done())
        .service(Methods::at("/docs/{archivo:.*}").get(swagger_ui).done());
}

/// What these routes add to the description.
fn description() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(index, hits, livez, readyz, show_metrics, openapi_json))]
    struct Api;
    Api::openapi()
}

/// Which service and which pod answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inicio)]
pub struct Identity {
    /// The product's name.
    pub mensaje: &'static str,
    /// The service's name.
    pub servicio: &'static str,
    /// The pod's host name, as in `X-Pod`.
    #[schema(example = "pod-6f9c7d5b8-x2x7p")]
    pub hostname: String,
    /// The program's version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
}

/// Who answers here
#[utoipa::path(get, operation_id = "inicio", summary = "Ver quién responde aquí", path = "/", tag = "operación", responses((status = 200, description = "This pod", body = Identity)))]
pub async fn index(req: HttpRequest, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    let index = Identity {
        mensaje: ops.edge.product().name,
        servicio: ops.servicio,
        hostname: ops.hostname.clone(),
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(Representation::json(&index)?.respond(&req))
}

/// Visits so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hits {
    /// How many, this one included.
    #[schema(example = 42)]
    pub hits: u64,
    /// The pod that counted.
    #[schema(example = "pod-6f9c7d5b8-x2x7p")]
    pub hostname: String,
    /// Whether all pods count together; `false`: this process counts alone, from its start.
    #[schema(example = false)]
    pub compartido: bool,
}

/// Count a visit and say how many there were
#[utoipa::path(get, summary = "Contar una visita y decir cuántas van", path = "/hits", tag = "operación", responses((status = 200, description = "Visits", body = Hits)))]
pub async fn hits(req: HttpRequest, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    let alone = ops.hits.fetch_add(1, Ordering::Relaxed) + 1;
    let together = match &ops.shared {
        Some(count) => count().await,
        None => None,
    };
    let hits = Hits {
        hits: together.unwrap_or(alone),
        hostname: ops.hostname.clone(),
        compartido: together.is_some(),
    };
    Ok(Representation::json(&hits)?.respond(&req))
}

/// A probe's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Estado)]
pub struct ProbeAnswer {
    /// Always `ok`; a failing probe answers 503.
    #[schema(example = "ok")]
    pub estado: &'static str,
}

/// Whether the process answers at all (looks at nothing else)
#[utoipa::path(get, summary = "Saber si el proceso responde (no mira nada más)", path = "/livez", tag = "operación", responses((status = 200, description = "Alive", body = ProbeAnswer)))]
pub async fn livez(req: HttpRequest) -> Result<HttpResponse, Problem> {
    Ok(Representation::json(&ProbeAnswer { estado: "ok" })?.respond(&req))
}

/// Whether requests should be sent here: the store takes writes and the process is not leaving
#[utoipa::path(get, summary = "Saber si acepta peticiones: el almacén acepta cambios y el proceso no está por irse", path = "/readyz", tag = "operación", responses(
    (status = 200, description = "Ready", body = ProbeAnswer),
    crate::openapi::NotReady,
))]
pub async fn readyz(req: HttpRequest, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    if ops.edge.leaving() {
        let detail = Text::new("El proceso está terminando.", "The process is leaving.");
        return Err(Problem::new(General::NotReady, detail));
    }
    if let Err(cause) = (ops.ready)() {
        log::warn!("not ready: {cause}");
        let detail = Text::new("El almacén no acepta escrituras.", "The store takes no writes.");
        return Err(Problem::new(General::NotReady, detail));
    }
    Ok(Representation::json(&ProbeAnswer { estado: "ok" })?.respond(&req))
}

/// Counters for Prometheus
#[utoipa::path(get, operation_id = "metricas", summary = "Ver los contadores para Prometheus", path = "/metrics", tag = "operación", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
))]
pub async fn show_metrics(req: HttpRequest, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    let text = ops.edge.metrics.text().map_err(Problem::internal)?;
    Ok(Representation::new(text, HeaderValue::from_static(metrics::MEDIA_TYPE)).respond(&req))
}

/// This description
#[utoipa::path(get, summary = "Ver esta descripción", path = "/openapi.json", tag = "operación", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object),
))]
pub async fn openapi_json(req: HttpRequest, ops: Data<Ops>) -> HttpResponse {
    ops.openapi.respond(&req)
}

async fn docs() -> HttpResponse {
    HttpResponse::MovedPermanently().insert_header((header::LOCATION, "/docs/")).finish()
}

/// What Swagger UI needs: its own files, styles that it writes itself, the API on the same host, and no frame.
const SWAGGER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Swagger UI, from the binary: it asks no other host for anything.
async fn swagger_ui(req: HttpRequest, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    let name = req.match_info().query("archivo");
    let known = ops.docs.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let file = match known {
        Some(file) => file,
        None => {
            let file = Arc::new(swagger_file(name)?.ok_or_else(|| no_route(&req))?);
            let mut docs = ops.docs.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(docs.entry(name.to_owned()).or_insert(file))
        }
    };
    Ok(file.respond(&req))
}

fn swagger_file(name: &str) -> Result<Option<Representation>, Problem> {
    let policy = HeaderValue::from_static(SWAGGER_POLICY);
    if name == "swagger-initializer.js" {
        let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
        let file = Representation::new(include_str!("swagger-initializer.js"), kind);
        return Ok(Some(file.header(header::CONTENT_SECURITY_POLICY, policy)));
    }
    let config = Arc::new(utoipa_swagger_ui::Config::default());
    let file = utoipa_swagger_ui::serve(name, config).map_err(Problem::internal)?;
    let Some(file) = file else { return Ok(None) };
    let kind = HeaderValue::try_from(file.content_type).map_err(Problem::internal)?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let file =
        if file.gzpipped { Representation::gzipped(bytes, kind) } else { Representation::new(bytes, kind) };
    Ok(Some(file.header(header::CONTENT_SECURITY_POLICY, policy)))
}
