//! What every request and every service has: ids, connections, probes, metrics, the description and its page.

use crate::ayuda::TestApp;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::{Answer, PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let app = TestApp::start().await;
    for id in ["a", "pedido-7f3a", "A.b_c:9", &"x".repeat(128)] {
        let answer = app.api.get("/usuarios").header("X-Request-Id", id).await.expect(200);
        assert_eq!(answer.header("X-Request-Id"), id);
        let problem = app.api.get("/nada").header("X-Request-Id", id).await;
        assert_eq!(problem.assert_problem(404, "ruta-no-encontrada")["solicitud"], id);
    }
    let mut made = Vec::new();
    for id in ["", "two words", "<script>", "a\"b", "ñ", "a,b", &"x".repeat(129)] {
        let answer = app.api.get("/usuarios").header("X-Request-Id", id).await.expect(200);
        assert_ne!(answer.header("X-Request-Id"), id);
        made.push(answer.header("X-Request-Id").to_owned());
    }
    made.push(app.api.get("/usuarios").await.header("X-Request-Id").to_owned());
    assert!(made.iter().all(|id| id.parse::<uuid::Uuid>().is_ok()), "{made:?}");
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 8, "each request has its own");
}

#[tokio::test]
async fn every_answer_names_its_pod() {
    let app = TestApp::seeded().await;
    for path in [
        "/",
        "/hits",
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/",
        "/usuarios",
        "/nada",
    ] {
        assert_eq!(app.api.get(path).await.header("X-Pod"), "prueba", "{path}");
    }
    let home = app.api.get("/").await.expect(200).json();
    assert_eq!((&home["servicio"], &home["hostname"]), (&"usuarios".into(), &"prueba".into()));
    assert_eq!((home["mensaje"].is_string(), home["version"].is_string()), (true, true));
}

#[tokio::test]
async fn an_old_connection_is_closed_after_an_answer() {
    let app = TestApp::on(Arc::new(TempDir::new().unwrap()), &["--connection-age-seconds=1"]).await;
    let start = Instant::now();
    let mut connection = TcpStream::connect(app.api.base.trim_start_matches("http://")).await.unwrap();
    let mut ask = async || {
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"{\"estado\":\"ok\"}") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "an end without an answer");
        }
        String::from_utf8(answer).unwrap().to_lowercase().contains("\r\nconnection: close\r\n").then_some(())
    };
    assert_eq!(ask().await, None);
    eventually(PATIENCE, ask).await;
    assert!(start.elapsed() > Duration::from_secs(1));
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0, "and it is closed");
}

#[tokio::test]
async fn probes_and_visits() {
    let app = TestApp::start().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(app.api.get(path).await.expect(200).text(), r#"{"estado":"ok"}"#);
    }
    for hits in 1..=3 {
        let visit = app.api.get("/hits").await.expect(200).json();
        assert_eq!(visit, serde_json::json!({"hits": hits, "hostname": "prueba", "compartido": false}));
    }
}

/// The samples of an OpenMetrics page, after checking that each of its lines is one of the format.
#[track_caller]
fn samples(page: &Answer) -> BTreeMap<String, f64> {
    assert_eq!(page.header("Content-Type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = page.text();
    assert!(text.ends_with("# EOF\n"));
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let kind = comment.split(' ').next().unwrap();
            assert!(matches!(kind, "HELP" | "TYPE" | "UNIT" | "EOF"), "{line}");
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect(line);
        let old = samples.insert(name.to_owned(), value.parse().expect(line));
        assert_eq!(old, None, "{name} comes twice");
    }
    samples
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let app = TestApp::seeded().await;
    for id in 1..=5 {
        app.api.get(&format!("/usuarios/{id}")).await;
    }
    app.api.delete("/usuarios/1").await.expect(405);
    app.api.get("/nada").await.expect(404);
    let samples = samples(&app.api.get("/metrics").await.expect(200));
    let count = |method: &str, route: &str, status: u16| {
        let name = format!(r#"http_requests_total{{method="{method}",route="{route}",status="{status}"}}"#);
        samples.get(&name).copied().unwrap_or_else(|| panic!("no {name} in {samples:#?}"))
    };
    assert_eq!(count("GET", "/usuarios/{id}", 200), 2.0);
    assert_eq!(count("GET", "/usuarios/{id}", 404), 3.0, "ids make no series of their own");
    assert_eq!(count("DELETE", "/usuarios/{id}", 405), 1.0);
    assert_eq!(count("GET", "", 404), 1.0);
    assert_eq!(samples["http_request_duration_seconds_count"], 7.0);
    assert_eq!(samples[r#"http_request_duration_seconds_bucket{le="+Inf"}"#], 7.0);
    assert_eq!(samples["journal_usuarios_writable"], 1.0);
    assert!(samples["http_connections"] >= 1.0);
}

#[tokio::test]
async fn strange_methods_make_no_series_of_their_own() {
    let app = TestApp::start().await;
    for n in 0..50 {
        app.api.call(format!("M{n}").parse().unwrap(), "/usuarios").await.expect(405);
    }
    let samples = samples(&app.api.get("/metrics").await.expect(200));
    let series = samples.keys().filter(|name| name.starts_with("http_requests_total")).count();
    assert_eq!(series, 1, "{:?}", samples.keys());
}

#[tokio::test]
async fn the_description_covers_the_api() {
    let app = TestApp::start().await;
    let api = app.api.get("/openapi.json").await.expect(200).json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1."));
    let operations = [
        ("/usuarios", "get"),
        ("/usuarios", "post"),
        ("/usuarios/{id}", "get"),
        ("/usuarios/{id}", "patch"),
        ("/usuarios/{id}/abonos", "post"),
        ("/usuarios/{id}/movimientos", "get"),
    ];
    for (path, method) in operations {
        let operation = &api["paths"][path][method];
        assert!(operation["summary"].is_string(), "{method} {path}");
        for status in ["500", "503", "422"] {
            assert!(
                operation["responses"][status]["content"]["application/problem+json"].is_object(),
                "{status} {path}"
            );
        }
        for response in operation["responses"].as_object().unwrap().values() {
            assert!(response["headers"]["X-Request-Id"].is_object(), "{method} {path}");
        }
    }
    let described: usize =
        api["paths"].as_object().unwrap().values().map(|p| p.as_object().unwrap().len()).sum();
    assert!(described >= operations.len());
    resolve(&api, &api);
}

/// Every `$ref` leads somewhere.
fn resolve(api: &Value, part: &Value) {
    match part {
        Value::Object(object) => {
            if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                assert!(api.pointer(target.trim_start_matches('#')).is_some(), "{target}");
            }
            object.values().for_each(|v| resolve(api, v));
        }
        Value::Array(array) => array.iter().for_each(|v| resolve(api, v)),
        _ => {}
    }
}

#[tokio::test]
async fn the_documentation_comes_from_the_binary_alone() {
    let app = TestApp::start().await;
    let redirect = app.api.get("/docs").await.expect(301);
    assert_eq!(redirect.header("Location"), "/docs/");
    let page = app.api.get("/docs/").await.expect(200);
    assert_eq!(page.header("Content-Type"), "text/html");
    let mut files = vec!["swagger-initializer.js".to_owned()];
    for part in page.text().split(['"', '\'']) {
        assert!(!part.contains("://") && !part.starts_with("//"), "another host: {part}");
        let file = part.trim_start_matches("./");
        if [".js", ".css", ".png"].iter().any(|end| file.ends_with(end)) {
            files.push(file.to_owned());
        }
    }
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let path = format!("/docs/{file}");
        let plain = app.api.get(&path).await.expect(200);
        assert!(!plain.body.is_empty() && plain.header("Content-Encoding").is_empty(), "{file}");
        app.api.head(&path).await.expect(200);
        let packed = app.api.get(&path).header("Accept-Encoding", "gzip, br").await.expect(200);
        // what was packed at build time is the same file
        if packed.header("Content-Encoding") == "gzip" {
            let mut whole = Vec::new();
            GzDecoder::new(&*packed.body).read_to_end(&mut whole).unwrap();
            assert!(whole == plain.body, "{file}");
        }
    }
    let initializer = app.api.get("/docs/swagger-initializer.js").await;
    assert!(initializer.text().contains(r#""url": "/openapi.json""#), "{}", initializer.text());
    assert!(!initializer.text().contains("://"), "{}", initializer.text());
    app.api.get("/docs/otra.js").await.assert_problem(404, "ruta-no-encontrada");
    app.api.post("/docs/").await.assert_problem(405, "metodo-no-permitido");
}
