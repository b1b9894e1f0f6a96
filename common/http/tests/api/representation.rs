//! What every GET has: ETag, 304, compression, HEAD.

use crate::helpers::TestApp;
use serde_json::json;
use std::io::Read;
use testkit::HttpAnswer;

#[tokio::test]
async fn what_has_not_changed_is_304() {
    let app = TestApp::filled().await;
    for path in ["/notes", "/notes/1", "/openapi.json", "/docs/"] {
        let first = app.api.get(path).await.expect(200);
        let etag = first.header("ETag");
        let strong = etag.strip_prefix("W/").unwrap();
        assert!(strong.starts_with('"') && strong.ends_with('"'), "{etag}");
        assert_eq!(first.header("Cache-Control"), "no-cache");
        for same in [etag, strong, "*", &format!("\"other\", {etag}"), &format!("\"a\" ,{strong},\"b\"")] {
            let answer = app.api.get(path).header("If-None-Match", same).await.expect(304);
            assert_eq!((answer.text(), answer.header("ETag")), ("", etag), "{same}");
            assert_eq!(answer.header("Content-Type"), "");
            app.api.head(path).header("If-None-Match", same).await.expect(304);
        }
        for other in ["\"other\"", "W/\"0\"", "", "other"] {
            let answer = app.api.get(path).header("If-None-Match", other).await.expect(200);
            assert_eq!(answer.body, first.body);
        }
    }
}

#[tokio::test]
async fn a_change_changes_the_etag() {
    let app = TestApp::filled().await;
    let before = app.api.get("/notes").await.header("ETag").to_owned();
    app.api.patch("/notes/1").json(json!({"name": "oil"})).await.expect(200);
    let after = app.api.get("/notes").header("If-None-Match", &before).await.expect(200);
    assert_ne!(after.header("ETag"), before);
}

fn decoded(answer: &HttpAnswer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer.header("Content-Encoding") {
        "gzip" => flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut out).unwrap(),
        other => panic!("encoding {other}"),
    };
    out
}

#[tokio::test]
async fn large_bodies_are_compressed_for_who_takes_it() {
    let app = TestApp::start().await;
    for n in 0..60 {
        app.create(&format!("a note {n}"), n).await;
    }
    let plain = app.api.get("/notes").await.expect(200);
    assert!(plain.body.len() > 1024);
    assert_eq!((plain.header("Content-Encoding"), plain.header("Vary")), ("", "accept-encoding"));
    for accept in ["gzip", "gzip, deflate, br, zstd", "br;q=0.9, gzip;q=0.5", "x-gzip;q=0, GZIP"] {
        let answer = app.api.get("/notes").header("Accept-Encoding", accept).await.expect(200);
        assert_eq!(answer.header("Content-Encoding"), "gzip", "{accept}");
        assert_eq!(answer.header("Vary"), "accept-encoding");
        assert_eq!(answer.header("ETag"), plain.header("ETag"));
        assert!(answer.body.len() < plain.body.len() / 2);
        assert_eq!(decoded(&answer), plain.body);
    }
    for accept in ["identity", "*", "zstd", "br", "gzip;q=0", "", "gzip;q=0, br", "gzip;q=0.5, identity"] {
        let answer = app.api.get("/notes").header("Accept-Encoding", accept).await.expect(200);
        assert_eq!((answer.header("Content-Encoding"), &answer.body), ("", &plain.body), "{accept}");
    }
}

#[tokio::test]
async fn small_bodies_are_not_compressed() {
    let app = TestApp::filled().await;
    let answer = app.api.get("/notes").header("Accept-Encoding", "gzip, br").await.expect(200);
    assert_eq!((answer.header("Content-Encoding"), answer.header("Vary")), ("", ""));
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::filled().await;
    for path in ["/", "/notes", "/notes/1", "/livez", "/readyz", "/openapi.json", "/docs/"] {
        let (get, head) = (app.api.get(path).await, app.api.head(path).await);
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        assert!(head.body.is_empty());
        assert_eq!(head.header("Content-Length"), get.body.len().to_string(), "{path}");
        for name in ["Content-Type", "ETag", "X-Total-Count", "Vary", "Cache-Control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    let missing = app.api.head("/notes/9").await.expect(404);
    assert_eq!(missing.header("Content-Type"), "application/problem+json");
    assert!(missing.body.is_empty());
}
