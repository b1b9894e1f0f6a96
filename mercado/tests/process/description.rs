//! `/openapi.json` of the whole market, held against what it answers.

use crate::helpers::Process;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const ROUTES: [(&str, &[&str]); 10] = [
    ("/usuarios", &["get", "post"]),
    ("/usuarios/{id}", &["get", "patch"]),
    ("/usuarios/{id}/abonos", &["post"]),
    ("/usuarios/{id}/movimientos", &["get"]),
    ("/tokens", &["get", "post"]),
    ("/tokens/{id}", &["delete", "get", "patch"]),
    ("/tokens/{id}/imagen", &["get"]),
    ("/transacciones", &["get", "post"]),
    ("/transacciones/{id}", &["get"]),
    ("/transacciones/auditoria", &["get"]),
];

#[tokio::test]
async fn it_has_every_public_route_and_nothing_dangles() {
    let market = Process::start().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1."));
    let methods = |path: &str| -> Vec<&str> {
        let item = api["paths"][path].as_object().unwrap_or_else(|| panic!("no {path}"));
        let mut methods: Vec<_> = item.keys().map(String::as_str).collect();
        methods.sort_unstable();
        methods
    };
    for (path, expected) in ROUTES {
        assert_eq!(methods(path), expected, "{path}");
    }
    assert_eq!(methods("/transacciones/eventos"), ["get"]);
    for path in ["/", "/hits", "/livez", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(methods(path), ["get"]);
    }
    assert!(!api["paths"].as_object().unwrap().keys().any(|p| p.starts_with("/interno")));
    let mut ids = BTreeSet::new();
    for item in api["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(ids.insert(id.to_owned()), "operationId {id} is there twice");
        }
    }
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
async fn every_documented_path_answers_405_to_other_methods() {
    let market = Process::start().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    for (path, item) in api["paths"].as_object().unwrap() {
        let url = path.replace("{id}", "1");
        let documented: BTreeSet<_> = item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if documented.contains(method) {
                continue;
            }
            let answer = market.api.call(method.parse().unwrap(), &url).await;
            answer.assert_problem(405, "metodo-no-permitido");
            let mut allowed: BTreeSet<_> = answer.header("Allow").split(", ").map(str::to_owned).collect();
            assert_eq!(allowed.remove("HEAD"), documented.contains("GET"), "{path}");
            assert_eq!(allowed, documented, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn there_is_no_internal_api_and_no_secret() {
    let market = Process::start().await;
    for path in ["/interno/resumen", "/interno/cargos?pendientes=true", "/interno/reservas?pendientes=true"] {
        market.api.get(path).await.assert_problem(404, "ruta-no-encontrada");
    }
}

/// A schema's example, by way of its `$ref`.
fn example<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let named = schema["$ref"].as_str().and_then(|to| api.pointer(to.trim_start_matches('#')));
    &named.unwrap_or(schema)["example"]
}

#[tokio::test]
async fn what_swagger_tries_first_is_a_purchase_that_works() {
    let market = Process::start().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    let fields = api["components"]["schemas"]["CompraNueva"]["properties"].as_object().unwrap();
    let body: Map<_, _> =
        fields.iter().map(|(name, schema)| (name.clone(), example(&api, schema).clone())).collect();
    assert_eq!(json!(body), json!({"usuarioId": 1, "tokenId": 101, "precio": 50}));
    market.api.post("/transacciones").json(json!(body)).await.expect(201);
    let buy = &api["paths"]["/transacciones"]["post"]["parameters"];
    let key = buy.as_array().unwrap().iter().find(|p| p["name"] == "Idempotency-Key").unwrap();
    assert!(
        key["example"].is_null() && example(&api, &key["schema"]).is_null(),
        "no key is everybody's: {key}"
    );
    let page = market.api.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(page.text().contains("getRandomValues"), "the page makes a key for each visit");
}

#[tokio::test]
async fn each_operation_is_summed_up_in_spanish() {
    let market = Process::start().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    let english = ["the", "of", "and", "with", "user", "purchases", "list", "read", "create", "this", "who"];
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap_or_default().to_lowercase();
            assert!(!summary.is_empty(), "{method} {path}");
            let foreign = summary.split(|c: char| !c.is_alphabetic()).find(|word| english.contains(word));
            assert_eq!(foreign, None, "{method} {path}: {summary}");
        }
    }
}

#[tokio::test]
async fn what_may_get_more_members_is_not_described_as_closed() {
    let market = Process::start().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    for name in ["Token", "Usuario", "Transaccion", "Auditoria", "Diferencia"] {
        let schema = &api["components"]["schemas"][name];
        assert!(schema["properties"].is_object(), "{name}");
        assert!(schema["additionalProperties"].is_null(), "{name}: {schema}");
    }
}
