//! What every request has: its id, its connection, its pod, its place in the metrics; and the probes.

use crate::helpers::TestApp;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testkit::{HttpAnswer, PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let app = TestApp::start().await;
    for id in ["a", "pedido-7f3a", "A.b_c:9", &"x".repeat(128)] {
        let answer = app.api.get("/notes").header("X-Request-Id", id).await.expect(200);
        assert_eq!(answer.header("X-Request-Id"), id);
        let problem = app.api.get("/nada").header("X-Request-Id", id).await;
        assert_eq!(problem.assert_problem(404, "ruta-no-encontrada")["solicitud"], id);
    }
    let mut made = Vec::new();
    for id in ["", "two words", "<script>", "a\"b", "ñ", "a,b", &"x".repeat(129)] {
        let answer = app.api.get("/notes").header("X-Request-Id", id).await.expect(200);
        assert_ne!(answer.header("X-Request-Id"), id);
        made.push(answer.header("X-Request-Id").to_owned());
    }
    made.push(app.api.get("/notes").await.header("X-Request-Id").to_owned());
    assert!(made.iter().all(|id| id.parse::<uuid::Uuid>().is_ok()), "{made:?}");
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 8, "each request has its own");
}

#[tokio::test]
async fn every_answer_names_its_pod() {
    let app = TestApp::filled().await;
    for path in
        ["/", "/hits", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/", "/notes", "/nada"]
    {
        assert_eq!(app.api.get(path).await.header("X-Pod"), "test", "{path}");
    }
    let home = app.api.get("/").await.expect(200).json();
    assert_eq!((&home["servicio"], &home["hostname"]), (&"notes".into(), &"test".into()));
    assert_eq!((home["mensaje"].is_string(), home["version"].is_string()), (true, true));
}

#[tokio::test]
async fn an_old_connection_is_closed_after_an_answer() {
    let app = TestApp::with(&["--connection-age-seconds=1"]);
    let start = Instant::now();
    let mut connection = TcpStream::connect(app.api.base.trim_start_matches("http://")).await.unwrap();
    let mut ask = async || {
        connection.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
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
        assert_eq!(visit, serde_json::json!({"hits": hits, "hostname": "test", "compartido": false}));
    }
}

/// The samples of an OpenMetrics page, after checking that each of its lines is one of the format.
#[track_caller]
fn samples(page: &HttpAnswer) -> BTreeMap<String, f64> {
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
    let app = TestApp::filled().await;
    for id in 1..=5 {
        app.api.get(&format!("/notes/{id}")).await;
    }
    app.api.delete("/notes/1").await.expect(405);
    app.api.get("/nada").await.expect(404);
    let samples = samples(&app.api.get("/metrics").await.expect(200));
    let count = |method: &str, route: &str, status: u16| {
        let name = format!(r#"http_requests_total{{method="{method}",route="{route}",status="{status}"}}"#);
        samples.get(&name).copied().unwrap_or_else(|| panic!("no {name} in {samples:#?}"))
    };
    assert_eq!(count("GET", "/notes/{id}", 200), 2.0);
    assert_eq!(count("GET", "/notes/{id}", 404), 3.0, "ids make no series of their own");
    assert_eq!(count("DELETE", "/notes/{id}", 405), 1.0);
    assert_eq!(count("GET", "", 404), 1.0);
    assert_eq!(samples["http_request_duration_seconds_count"], 9.0);
    assert_eq!(samples[r#"http_request_duration_seconds_bucket{le="+Inf"}"#], 9.0);
    assert!(samples["http_connections"] >= 1.0);
}

#[tokio::test]
async fn strange_methods_make_no_series_of_their_own() {
    let app = TestApp::start().await;
    for n in 0..50 {
        app.api.call(format!("M{n}").parse().unwrap(), "/notes").await.expect(405);
    }
    let samples = samples(&app.api.get("/metrics").await.expect(200));
    let series = samples.keys().filter(|name| name.starts_with("http_requests_total")).count();
    assert_eq!(series, 1, "{:?}", samples.keys());
}
