//! `/transacciones` and `/transacciones/{id}` as a list: filters, pages, ETags, and every refusal.

use crate::helpers::{Market, Service, all, fill, transacciones};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;
use testkit::HttpAnswer;

/// Nobody listens there.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// A coordinator alone, over purchases that were made before: user `id % 3 + 1`, token `id % 400 + 1`.
fn alone(count: u64) -> (Service, Vec<Value>, TempDir) {
    let dir = TempDir::new().unwrap();
    let old: Vec<_> = (1..=count)
        .map(|id| {
            let fecha = "2025-09-10T17:00:00Z";
            json!({"id": id, "usuarioId": id % 3 + 1, "tokenId": id % 400 + 1, "fecha": fecha, "precio": id})
        })
        .collect();
    fill(dir.path(), &[("transacciones", &json!(old))]);
    (transacciones(dir.path(), NOBODY, NOBODY, &[]), old, dir)
}

#[tokio::test]
async fn filters_and_pages() {
    let (service, old, _dir) = alone(1_100);
    let api = &service.api;
    let first = api.get("/transacciones").await.expect(200);
    assert_eq!(first.read::<Vec<Value>>(), old[..100]);
    assert_eq!(first.header("X-Total-Count"), "1100");
    assert_eq!(first.next().unwrap(), "/transacciones?despues=100");
    assert_eq!(api.get("/transacciones?limite=1000").await.read::<Vec<Value>>(), old[..1000]);
    assert_eq!(all(api, "/transacciones?limite=7").await, old);
    let last = api.get("/transacciones?despues=1099").await.expect(200);
    assert_eq!((last.read::<Vec<Value>>(), last.next()), (old[1099..].to_vec(), None));
    assert_eq!(api.get("/transacciones?despues=9007199254740991").await.text(), "[]");
    for (query, of) in [
        ("usuarioId=2", Box::new(|t: &Value| t["usuarioId"] == 2) as Box<dyn Fn(&Value) -> bool>),
        ("tokenId=7", Box::new(|t: &Value| t["tokenId"] == 7)),
        ("usuarioId=1&tokenId=7", Box::new(|t: &Value| t["usuarioId"] == 1 && t["tokenId"] == 7)),
        ("tokenId=401", Box::new(|_: &Value| false)),
        ("usuarioId=9", Box::new(|_: &Value| false)),
    ] {
        let expected: Vec<_> = old.iter().filter(|t| of(t)).cloned().collect();
        for limit in [1, 3, 100] {
            let path = format!("/transacciones?{query}&limite={limit}");
            if limit > 1 || expected.len() < 5 {
                assert_eq!(all(api, &path).await, expected, "{path}");
            }
            let total = api.get(&path).await.header("X-Total-Count").to_owned();
            assert_eq!(total, expected.len().to_string(), "{path}");
        }
    }
    assert_eq!(api.get("/transacciones/1100").await.expect(200).json(), old[1099]);
}

#[tokio::test]
async fn an_etag_holds_until_somebody_buys() {
    let m = Market::start();
    let api = &m.transacciones.api;
    m.compra(1, 101).await.expect(201);
    for path in ["/transacciones", "/transacciones/1", "/transacciones?usuarioId=1"] {
        let answer = api.get(path).await.expect(200);
        assert_eq!(answer.header("Content-Type"), "application/json");
        let etag = answer.header("ETag");
        let same = api.get(path).header("If-None-Match", etag).await.expect(304);
        assert_eq!((same.body.len(), same.header("ETag")), (0, etag));
        let head = api.head(path).await.expect(200);
        assert_eq!((head.body.len(), head.header("ETag")), (0, etag));
    }
    let etag = api.get("/transacciones").await.header("ETag").to_owned();
    m.compra(2, 102).await.expect(201);
    let fresh = api.get("/transacciones").header("If-None-Match", &etag).await.expect(200);
    assert_eq!(fresh.json().as_array().unwrap().len(), 2);
}

#[track_caller]
fn invalid(answer: &HttpAnswer, campos: &[&str]) {
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), campos, "{}", answer.text());
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let (service, _, _dir) = alone(1);
    let api = &service.api;
    for (body, campos) in [
        (json!({}), &["tokenId", "usuarioId"][..]),
        (json!({"tokenId": 1}), &["usuarioId"]),
        (json!({"usuarioId": 1}), &["tokenId"]),
        (json!({"usuarioId": null, "tokenId": null}), &["tokenId", "usuarioId"]),
        (json!({"usuarioId": 0, "tokenId": -1}), &["tokenId", "usuarioId"]),
        (json!({"usuarioId": "1", "tokenId": [1]}), &["tokenId", "usuarioId"]),
        (json!({"usuarioId": 1.5, "tokenId": 9_007_199_254_740_992_u64}), &["tokenId", "usuarioId"]),
        (json!({"usuarioId": true, "tokenId": {}}), &["tokenId", "usuarioId"]),
        (json!({"usuarioId": 1, "tokenId": 1, "precio": -1}), &["precio"]),
        (json!({"usuarioId": 1, "tokenId": 1, "precio": "50"}), &["precio"]),
        (json!({"usuarioId": 1, "tokenId": 1, "precio": null}), &["precio"]),
        (json!({"usuarioId": 1, "tokenId": 1, "id": 7, "fecha": "hoy"}), &["fecha", "id"]),
        (json!({"usuario_id": 1, "tokenId": 1}), &["usuarioId", "usuario_id"]),
        (json!([1]), &[""]),
        (json!("x"), &[""]),
    ] {
        invalid(&api.post("/transacciones").json(&body).await, campos);
    }
    let good = json!({"usuarioId": 1, "tokenId": 1});
    for clave in ["", "\"\"", "two words", "ñ", "#1", &"x".repeat(256)] {
        let call = api.post("/transacciones").header("Idempotency-Key", clave).json(&good);
        invalid(&call.await, &["Idempotency-Key"]);
    }
    let twice = api.post("/transacciones").header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    invalid(&twice.json(&good).await, &["Idempotency-Key"]);
    for (query, campos) in [
        ("limite=0", &["limite"][..]),
        ("limite=1001", &["limite"]),
        ("limite=x&despues=0&usuarioId=a&tokenId=", &["despues", "limite", "tokenId", "usuarioId"]),
        ("usuarioId=1&usuarioId=2", &["usuarioId"]),
        ("despues=-1", &["despues"]),
        ("orden=id", &["orden"]),
    ] {
        invalid(&api.get(&format!("/transacciones?{query}")).await, campos);
    }
    for id in ["0", "x", "-1", "1.0", "9007199254740992"] {
        invalid(&api.get(&format!("/transacciones/{id}")).await, &["id"]);
    }
    assert_eq!(api.get("/transacciones").await.header("X-Total-Count"), "1", "nothing was written");
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let (service, _, _dir) = alone(0);
    let post = |kind: &'static str, body: String| {
        service.api.post("/transacciones").header("Content-Type", kind).body(body).into_future()
    };
    for body in ["", "{", "{\"usuarioId\":1,}", "nada", "{\"usuarioId\":1}{}", "{\"usuarioId\":01}"] {
        post("application/json", body.to_owned()).await.assert_problem(400, "json-invalido");
    }
    let good = r#"{"usuarioId":1,"tokenId":1}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        post(kind, good.to_owned()).await.assert_problem(415, "tipo-no-soportado");
    }
    let none = service.api.post("/transacciones").body(good).await;
    none.assert_problem(415, "tipo-no-soportado");
    let blanks = " ".repeat(64 * 1024);
    let big = post("application/json", format!("{blanks}{good}")).await;
    big.assert_problem(413, "cuerpo-demasiado-grande");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let (service, _, _dir) = alone(1);
    let api = &service.api;
    api.get("/transacciones/2").await.assert_problem(404, "transaccion-no-encontrada");
    for path in [
        "/transacciones/",
        "/transacciones/1/",
        "/transacciones/1/x",
        "/transaccion",
        "/usuarios",
        "/interno",
    ] {
        api.get(path).await.assert_problem(404, "ruta-no-encontrada");
    }
    for (path, allow) in [
        ("/transacciones", "HEAD, GET, POST"),
        ("/transacciones/1", "HEAD, GET"),
        ("/transacciones/auditoria", "HEAD, GET"),
        ("/transacciones/eventos", "HEAD, GET"),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "POST"] {
            if allow.contains(method) {
                continue;
            }
            let answer = api.call(method.parse().unwrap(), path).await;
            answer.assert_problem(405, "metodo-no-permitido");
            assert_eq!(answer.header("Allow"), allow, "{method} {path}");
        }
    }
    // the internal port has probes and numbers, and no purchases
    service.internal_api.get("/livez").await.expect(200);
    service.internal_api.get("/metrics").await.expect(200);
    service.internal_api.get("/transacciones").await.assert_problem(404, "ruta-no-encontrada");
}

#[tokio::test]
async fn refusals_speak_the_reader_s_language() {
    let m = Market::start();
    let api = &m.transacciones.api;
    let es = api.get("/transacciones/7").await;
    assert_eq!(es.header("Content-Language"), "es");
    assert_eq!(es.json()["detail"], "No hay transacción 7.");
    let en = api.get("/transacciones/7").header("Accept-Language", "en-GB, es;q=0.5").await;
    assert_eq!(en.header("Content-Language"), "en");
    assert_eq!(en.json()["detail"], "There is no transaction 7.");
    m.compra(1, 101).await.expect(201);
    let en = m.compra(2, 101).header("Accept-Language", "en").await;
    assert_eq!(en.json()["detail"], "Token 101 is reserved or sold.");
    let es = m.compra(1, 102).await;
    assert_eq!(es.json()["detail"], "El saldo del usuario 1 no alcanza para el token 102.");
}

#[tokio::test]
async fn it_says_who_it_is_and_describes_its_routes() {
    let (service, _, _dir) = alone(0);
    assert_eq!(service.api.get("/").await.expect(200).json()["servicio"], "transacciones");
    service.api.connected().await;
    service.api.get("/readyz").await.expect(200);
    let api = service.api.get("/openapi.json").await.expect(200).json();
    let paths: Vec<_> = api["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for (path, method) in [
        ("/transacciones", "get"),
        ("/transacciones", "post"),
        ("/transacciones/{id}", "get"),
        ("/transacciones/auditoria", "get"),
        ("/transacciones/eventos", "get"),
    ] {
        assert!(api["paths"][path][method]["summary"].is_string(), "{method} {path}: {paths:?}");
    }
    for codigo in ["404", "409", "413", "415", "422", "503"] {
        assert!(api["paths"]["/transacciones"]["post"]["responses"][codigo].is_object(), "{codigo}");
    }
}
