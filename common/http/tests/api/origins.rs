//! Whose requests are answered, and what a browser may do with the answers.

use crate::helpers::TestApp;
use serde_json::json;

#[tokio::test]
async fn on_a_loopback_address_only_its_own_names_are_served() {
    let app = TestApp::start().await;
    let port = app.address().rsplit_once(':').unwrap().1.to_owned();
    for own in ["localhost", "127.0.0.1", "[::1]", "LocalHost"] {
        for host in [own.to_owned(), format!("{own}:{port}"), format!("{own}:80")] {
            app.api.get("/notes").header("Host", &host).await.expect(200);
        }
    }
    for other in
        ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"]
    {
        let answer = app.api.get("/notes").header("Host", other).await;
        answer.assert_problem(421, "destino-equivocado");
        let answer =
            app.api.post("/notes").header("Host", other).json(json!({"name": "a", "weight": 1})).await;
        answer.assert_problem(421, "destino-equivocado");
    }
    // the target can name the host, too
    let mut connection = app.connect().await;
    connection.send("GET http://evil.example/notes HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(connection.answer().await.unwrap().status, 421);
}

#[tokio::test]
async fn on_a_loopback_address_another_sites_page_must_not_write() {
    let app = TestApp::filled().await;
    let write = async |origin: &str| {
        let body = json!({"name": "a", "weight": 1});
        app.api.post("/notes").header("Origin", origin).json(body).await
    };
    for own in ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:3000", "https://localhost"] {
        write(own).await.expect(201);
    }
    for other in ["http://evil.example", "https://localhost.evil.example", "null", "", "http://10.0.0.1"] {
        write(other).await.assert_problem(403, "origen-no-permitido");
    }
    app.api.get("/notes").header("Origin", "http://evil.example").await.expect(200);
    // which of two counts would be anybody's guess
    for other in ["http://evil.example", "http://localhost"] {
        let two = app.api.post("/notes").header("Origin", "http://localhost").header("Origin", other);
        two.json(json!({"name": "a", "weight": 1})).await.assert_problem(403, "origen-no-permitido");
    }
}

#[tokio::test]
async fn on_any_other_address_names_are_the_gateways_affair() {
    let app = TestApp::with(&["--host=0.0.0.0"]);
    app.api.get("/notes").header("Host", "market.example").await.expect(200);
    let write = app.api.post("/notes").header("Origin", "https://market.example");
    write.json(json!({"name": "a", "weight": 1})).await.expect(201);
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let app = TestApp::filled().await;
    for path in [
        "/",
        "/notes",
        "/notes/1",
        "/notes/9",
        "/nada",
        "/livez",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/",
    ] {
        for answer in [app.api.get(path).await, app.api.head(path).await, app.api.post(path).await] {
            let policy = answer.header("Content-Security-Policy");
            for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("script-src 'unsafe"), "{policy}");
            assert_eq!(answer.header("X-Content-Type-Options"), "nosniff", "{path}");
            assert_eq!(answer.header("Referrer-Policy"), "same-origin", "{path}");
        }
    }
    let page = app.api.get("/docs/").await;
    assert!(page.header("Content-Security-Policy").contains("script-src 'self'; "));
}
