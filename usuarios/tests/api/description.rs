//! The API's description, and the numbers of the store.

use crate::helpers::TestApp;
use testkit::postgres::is_chosen;

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
}

#[tokio::test]
async fn the_store_is_among_the_metrics() {
    let app = TestApp::start().await;
    app.api.connected().await;
    let writable = if is_chosen() { "postgres_writable 1" } else { "journal_usuarios_writable 1" };
    let page = app.api.get("/metrics").await.expect(200);
    assert!(page.text().lines().any(|line| line == writable), "{}", page.text());
    let home = app.api.get("/").await.expect(200).json();
    assert_eq!((&home["servicio"], &home["hostname"]), (&"usuarios".into(), &"prueba".into()));
}
