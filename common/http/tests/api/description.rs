//! The API's description, and the page that shows it.

use crate::helpers::TestApp;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read;

#[tokio::test]
async fn the_description_covers_the_api() {
    let app = TestApp::start().await;
    let api = app.api.get("/openapi.json").await.expect(200).json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1."));
    let operations = [
        ("/notes", "get"),
        ("/notes", "post"),
        ("/notes/{id}", "get"),
        ("/notes/{id}", "patch"),
        ("/notes/{id}/marks", "post"),
    ];
    for (path, method) in operations {
        let operation = &api["paths"][path][method];
        assert!(operation.is_object(), "{method} {path}");
        assert!(operation["responses"]["500"]["content"]["application/problem+json"].is_object(), "{path}");
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

/// What the parser takes is what the description says.
#[tokio::test]
async fn a_request_is_described_as_it_is_read() {
    let app = TestApp::start().await;
    let api = app.api.get("/openapi.json").await.expect(200).json();
    let schemas = &api["components"]["schemas"];
    assert_eq!(
        schemas["NewNote"],
        json!({
            "type": "object",
            "description": "A new note",
            "required": ["name", "weight"],
            "properties": {
                "name": {"$ref": "#/components/schemas/Nombre"},
                "weight": {"$ref": "#/components/schemas/Weight", "description": "In grams"},
            },
            "additionalProperties": false,
        })
    );
    assert_eq!(
        (&schemas["NotePatch"]["minProperties"], &schemas["NotePatch"]["required"]),
        (&json!(1), &Value::Null)
    );
    let parameters = |path: &str, method: &str| api["paths"][path][method]["parameters"].clone();
    assert_eq!(
        parameters("/notes/{id}/marks", "post"),
        json!([
            {"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/Id"}},
            {"name": "X-Author", "in": "header", "description": "Who marks", "required": false,
                "schema": {"$ref": "#/components/schemas/Nombre"}},
        ])
    );
    assert_eq!(
        parameters("/notes", "get")[0],
        json!({"name": "limite", "in": "query", "required": false, "schema": {"$ref": "#/components/schemas/Limite"}})
    );
    assert_eq!(schemas["Limite"]["default"], 100);
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
    assert!(initializer.text().contains(r#"url: "/openapi.json""#), "{}", initializer.text());
    assert!(!initializer.text().contains("://"), "{}", initializer.text());
    app.api.get("/docs/otra.js").await.assert_problem(404, "ruta-no-encontrada");
    app.api.post("/docs/").await.assert_problem(405, "metodo-no-permitido");
}
