//! The log's JSON format is a feature, so these tests look at log lines.

use crate::helpers::Process;
use serde_json::Value;
use testkit::{PATIENCE, eventually};

#[tokio::test]
async fn json_log_lines_name_the_request_and_its_trace() {
    let mut process = Process::start(|c| {
        c.env("LOG_FORMAT", "json").env("RUST_LOG", "info,access=debug").env("HOSTNAME", "pod-7");
    })
    .await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    process
        .api
        .get("/notes/77")
        .header("X-Request-Id", "pedido-1")
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .await
        .assert_problem(404, "no-note");
    let line = eventually(PATIENCE, async || {
        let log = process.log();
        let whole = log.rsplit_once('\n')?.0;
        let lines = whole.lines().map(|l| serde_json::from_str::<Value>(l).expect(l));
        lines.into_iter().find(|l| l["request_id"] == "pedido-1")
    })
    .await;
    assert_eq!(line["trace_id"], trace);
    assert_eq!((line["level"].as_str(), line["target"].as_str()), (Some("DEBUG"), Some("access")));
    assert_eq!(line["pod"], "pod-7");
    assert!(line["ts"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().is_ok());
    assert!(line["message"].as_str().unwrap().starts_with("GET /notes/77 404"), "{line}");
    process.ends_well("INT").await;
}

#[tokio::test]
async fn garbage_is_told_once_a_second_with_a_count() {
    let mut process = Process::start(|_| {}).await;
    for _ in 0..400 {
        let mut connection = process.connect().await;
        connection.send("garbage\r\n\r\n").await.unwrap();
        assert!(connection.rest().await.unwrap().starts_with(b"HTTP/1.1 400 "));
    }
    process.ends_well("INT").await;
    let log = process.log();
    let told = log.lines().filter(|line| line.contains("actix_http")).count();
    assert!((1..=20).contains(&told), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}
