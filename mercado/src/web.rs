//! The page, from the binary: `/` for a browser, and its files below `/web/`.

use actix_web::http::header::{self, Accept, Header, HeaderValue};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use http_kit::edge::no_route;
use http_kit::ops::{self, Ops};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::routes::Methods;
use std::sync::Arc;

/// The page needs nothing but its own files and the API; whatever a name smuggles in runs nowhere.
const POLICY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

macro_rules! files {
    ($($name:literal: $kind:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../web/", $name)), $kind)),*]
    };
}

/// The page's files, ready to be sent.
#[derive(Clone)]
pub struct Page(Arc<[(&'static str, Representation)]>);

impl Default for Page {
    fn default() -> Self {
        let files = files! {
            "account.js": "text/javascript; charset=utf-8",
            "api.js": "text/javascript; charset=utf-8",
            "audit.js": "text/javascript; charset=utf-8",
            "burst.js": "text/javascript; charset=utf-8",
            "buyer.js": "text/javascript; charset=utf-8",
            "card.js": "text/javascript; charset=utf-8",
            "chart.js": "text/javascript; charset=utf-8",
            "dom.js": "text/javascript; charset=utf-8",
            "events.js": "text/javascript; charset=utf-8",
            "feed.js": "text/javascript; charset=utf-8",
            "forms.js": "text/javascript; charset=utf-8",
            "icono.svg": "image/svg+xml",
            "index.html": "text/html; charset=utf-8",
            "login.js": "text/javascript; charset=utf-8",
            "main.js": "text/javascript; charset=utf-8",
            "monitor.js": "text/javascript; charset=utf-8",
            "names.js": "text/javascript; charset=utf-8",
            "notice.js": "text/javascript; charset=utf-8",
            "picker.js": "text/javascript; charset=utf-8",
            "purchase.js": "text/javascript; charset=utf-8",
            "services.js": "text/javascript; charset=utf-8",
            "session.js": "text/javascript; charset=utf-8",
            "shop.js": "text/javascript; charset=utf-8",
            "signs.svg": "image/svg+xml",
            "storage.js": "text/javascript; charset=utf-8",
            "style.css": "text/css; charset=utf-8",
            "system.js": "text/javascript; charset=utf-8",
            "text.js": "text/javascript; charset=utf-8",
            "timeline.js": "text/javascript; charset=utf-8",
            "token.js": "text/javascript; charset=utf-8",
            "trouble.js": "text/javascript; charset=utf-8",
            "words-errors.js": "text/javascript; charset=utf-8",
            "words-session.js": "text/javascript; charset=utf-8",
            "words.js": "text/javascript; charset=utf-8",
        };
        Self(files.into_iter().map(|(name, text, kind)| (name, representation(text, kind))).collect())
    }
}

impl Page {
    fn file(&self, name: &str) -> Option<&Representation> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, file)| file)
    }
}

fn representation(text: &'static str, kind: &'static str) -> Representation {
    Representation::new(text, HeaderValue::from_static(kind))
        .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .header(header::VARY, HeaderValue::from_static("accept, accept-encoding"))
}

/// Adds the routes; `Data<Page>` must be there, and [`ops::routes`] come behind: it has a `/` of its own.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(Methods::at("/").get(index).done())
        .service(Methods::at("/web/{archivo}").get(file).done());
}

async fn index(req: HttpRequest, page: Data<Page>, ops: Data<Ops>) -> Result<HttpResponse, Problem> {
    match page.file("index.html").filter(|_| wants_html(&req)) {
        Some(file) => Ok(file.respond(&req)),
        None => {
            let mut json = ops::index(req, ops).await?;
            json.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            Ok(json)
        }
    }
}

async fn file(req: HttpRequest, page: Data<Page>) -> Result<HttpResponse, Problem> {
    let file = page.file(req.match_info().query("archivo")).ok_or_else(|| no_route(&req))?;
    Ok(file.respond(&req))
}

/// Whether `text/html` is asked for by name, and before JSON: as browsers do and curl does not.
fn wants_html(req: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(req) else { return false };
    let first = accept
        .ranked()
        .into_iter()
        .find(|m| matches!(m.essence_str(), "text/html" | "application/json" | "*/*"));
    first.is_some_and(|m| m.essence_str() == "text/html")
}
