//! The control API and the page. It listens where the gateway does, on loopback only; who orders something must know the
//! token that is in the opened address, must call this machine by a name of its own, and must come from this very page.

use super::Class;
use super::order::Order;
use crate::gateway::Extra;
use crate::t;
use actix_web::http::header;
use actix_web::web::{self, Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, guard};
use serde::Deserialize;
use serde_json::json;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

const CONTROLS: &str = include_str!("controls.js");
const STYLE: &str = include_str!("controls.css");
/// The header that carries the token.
const TOKEN: &str = "x-laboratorio";
/// As `mercado` sends it with the page.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
/// A report has its style inside, and nothing that runs.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// An order, and where to tell what came of it.
pub type Ordered = (Order, oneshot::Sender<Result<(), String>>);

/// Takes orders.
pub struct Desk {
    /// Who knows it may order.
    pub token: String,
    orders: mpsc::Sender<Ordered>,
    class: Arc<Class>,
    hosts: [String; 2],
    web: PathBuf,
}

impl Desk {
    /// On this port.
    ///
    /// # Errors
    /// Where there is no chance to be had, or no page.
    pub fn new(orders: mpsc::Sender<Ordered>, class: Arc<Class>, port: u16) -> Result<Self, String> {
        let mut bytes = [0; 16];
        let random = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
        random.map_err(|e| format!("/dev/urandom: {e}"))?;
        let token = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let web = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../web");
        if !web.join("index.html").exists() {
            let web = web.display();
            return Err(t!(
                "falta la página, que está en {web}: corra el aula desde el repositorio",
                "the page is missing, which is in {web}: run this in the repository"
            ));
        }
        let hosts = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
        Ok(Self { token, orders, class, hosts, web })
    }

    /// For the gateway.
    pub fn routes(self) -> Extra {
        let desk = Data::new(self);
        Arc::new(move |config| {
            let html = guard::fn_guard(|c| {
                let accept = c.head().headers().get(header::ACCEPT).and_then(|a| a.to_str().ok());
                accept.is_some_and(|a| a.contains("text/html"))
            });
            config
                .app_data(desk.clone())
                .service(web::resource("/").guard(guard::Get()).guard(html).to(page))
                .route("/web/{file}", web::get().to(file))
                .route("/laboratorio/controls.js", web::get().to(controls))
                .route("/laboratorio/controls.css", web::get().to(style))
                .route("/laboratorio/estado", web::get().to(state))
                .route("/laboratorio/orden", web::post().to(order))
                .route("/laboratorio/informes/{file}", web::get().to(report));
        })
    }

    /// Nobody else's page, and no name that somebody else gave this machine (DNS rebinding).
    fn comes_from_here(&self, req: &HttpRequest) -> bool {
        let text = |name| req.headers().get(name).and_then(|v| v.to_str().ok());
        let host = text(header::HOST).is_some_and(|h| self.hosts.iter().any(|known| known == h));
        let origin = text(header::ORIGIN);
        host && origin.is_none_or(|o| self.hosts.iter().any(|known| o == format!("http://{known}")))
    }

    fn knows(&self, given: &str) -> bool {
        // all of it is compared, whatever the first difference
        let differences = self.token.bytes().zip(given.bytes()).filter(|(a, b)| a != b).count();
        given.len() == self.token.len() && differences == 0
    }

    fn may(&self, req: &HttpRequest) -> bool {
        let given = req.headers().get(TOKEN).and_then(|v| v.to_str().ok()).unwrap_or_default();
        self.comes_from_here(req) && self.knows(given)
    }
}

fn refused() -> HttpResponse {
    HttpResponse::Forbidden().json(json!({"status": 403, "codigo": "sin-permiso"}))
}

fn text(kind: &'static str, body: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(body.into())
}

/// The market's page, with the controls in it.
async fn page(desk: Data<Desk>) -> HttpResponse {
    match std::fs::read_to_string(desk.web.join("index.html")) {
        Ok(page) => {
            let more = r#"<link rel="stylesheet" href="/laboratorio/controls.css">
<script type="module" src="/laboratorio/controls.js"></script>
</head>"#;
            text("text/html; charset=utf-8", page.replacen("</head>", more, 1))
        }
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

async fn file(desk: Data<Desk>, name: Path<String>) -> HttpResponse {
    let kind = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some((_, "html")) => "text/html; charset=utf-8",
        _ => return HttpResponse::NotFound().finish(),
    };
    if !plain(&name) {
        return HttpResponse::NotFound().finish();
    }
    match std::fs::read_to_string(desk.web.join(name.as_str())) {
        Ok(body) => text(kind, body),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

/// A name and no way to somewhere else.
fn plain(name: &str) -> bool {
    !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

async fn controls() -> HttpResponse {
    text("text/javascript; charset=utf-8", CONTROLS)
}

async fn style() -> HttpResponse {
    text("text/css; charset=utf-8", STYLE)
}

async fn state(desk: Data<Desk>, req: HttpRequest) -> HttpResponse {
    if !desk.may(&req) {
        return refused();
    }
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(desk.class.state())
}

async fn order(desk: Data<Desk>, req: HttpRequest, order: Json<Order>) -> HttpResponse {
    if !desk.may(&req) {
        return refused();
    }
    let (reply, done) = oneshot::channel();
    if desk.orders.send((order.into_inner(), reply)).await.is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    match done.await {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(why)) => HttpResponse::Conflict().json(json!({"status": 409, "title": why})),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

#[derive(Deserialize)]
struct Key {
    clave: String,
}

/// A link cannot send a header: the token is in its query.
async fn report(desk: Data<Desk>, req: HttpRequest, name: Path<String>, key: Query<Key>) -> HttpResponse {
    if !desk.comes_from_here(&req) || !desk.knows(&key.clave) || !plain(&name) {
        return refused();
    }
    match std::fs::read_to_string(desk.class.reports().join(name.as_str())) {
        Ok(body) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CONTENT_SECURITY_POLICY, REPORT_POLICY))
            .body(body),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

/// What the market starts with: the sample data of the three services.
///
/// # Errors
/// With the directory's name.
pub fn samples(dir: &FilePath) -> Result<(), String> {
    let dir = dir.join("semilla");
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text);
    let done = std::fs::create_dir_all(&dir)
        .and_then(|()| write("usuarios.json", include_str!("../../../usuarios/usuarios.json")))
        .and_then(|()| write("tokens.json", include_str!("../../../tokens/tokens.json")))
        .and_then(|()| {
            write("transacciones.json", include_str!("../../../transacciones/transacciones.json"))
        });
    done.map_err(|e| format!("{}: {e}", dir.display()))
}

/// In the user's browser, where there is one.
pub fn open(url: &str) {
    let windows = std::env::var_os("WSL_DISTRO_NAME").map(|_| "wslview");
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|v| std::env::var_os(v).is_some());
    if let Some(program) = windows.or(display.then_some("xdg-open")) {
        let null = std::process::Stdio::null;
        let _ = std::process::Command::new(program)
            .arg(url)
            .stdout(null())
            .stderr(null())
            .process_group(0)
            .spawn();
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_lead_nowhere_else() {
        assert!(plain("style.css") && plain("caida--ingenuo-12.html"));
        for name in ["../Cargo.toml", "a/b.js", ".git", "", "a%2Fb"] {
            assert!(!plain(name) || name.is_empty(), "{name}");
        }
    }
}
