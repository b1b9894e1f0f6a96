//! `/tokens/{id}`, and `POST /tokens`.

use crate::helpers::{Market, invalid, problem};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_its_five_fields_in_their_order() {
    let m = Market::start().await;
    let response = m.get("/tokens/101").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-pod"], "pod-1");
    let text = response.text().await.unwrap();
    assert_eq!(text, r#"{"id":101,"nombre":"Gato Cósmico","imagen":"gato.jpg","precio":50,"vendido":false}"#);

    // and nothing of a purchase shows
    m.reserve("a#1", 101, 7).await;
    assert_eq!(m.get("/tokens/101").await.text().await.unwrap(), text);
    m.sell("a#1").await;
    assert_eq!(m.get("/tokens/101").await.text().await.unwrap(), text.replace("false", "true"));
}

#[tokio::test]
async fn a_key_does_not_count_here_and_is_refused() {
    let m = Market::start().await;
    let post = m.call(Method::POST, "/tokens").header("idempotency-key", "k");
    invalid(post.json(&json!({"nombre": "Faro", "precio": 1})).send().await.unwrap(), &["Idempotency-Key"])
        .await;
    assert_eq!(m.json("/tokens").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn unknown_ids_are_404_and_no_ids_are_422() {
    let m = Market::start().await;
    for method in [Method::GET, Method::DELETE] {
        problem(m.call(method.clone(), "/tokens/7").send().await.unwrap(), 404, "token-no-encontrado").await;
        for wrong in ["0", "abc", "-1", "9007199254740992", "1.0"] {
            invalid(m.call(method.clone(), &format!("/tokens/{wrong}")).send().await.unwrap(), &["id"]).await;
        }
    }
    problem(m.patch(7, &json!({"precio": 1})).await, 404, "token-no-encontrado").await;
    problem(m.get("/nada").await, 404, "ruta-no-encontrada").await;
}

#[tokio::test]
async fn an_unchanged_token_is_304_until_it_changes() {
    let m = Market::start().await;
    let etag = m.get("/tokens/101").await.headers()["etag"].clone();
    let again =
        || async { m.call(Method::GET, "/tokens/101").header("if-none-match", &etag).send().await.unwrap() };
    let unchanged = again().await;
    assert_eq!(unchanged.status(), 304);
    assert_eq!(unchanged.headers()["etag"], etag);
    assert_eq!(unchanged.text().await.unwrap(), "");
    m.patch(101, &json!({"precio": 51})).await;
    assert_eq!(again().await.status(), 200);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let m = Market::start().await;
    for path in ["/tokens", "/tokens/101", "/tokens/101/imagen"] {
        let get = m.get(path).await;
        let head = m.call(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        for name in ["etag", "content-type", "content-length"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{name} of {path}");
        }
        assert_eq!(head.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn other_methods_are_405_with_those_that_are_allowed() {
    let m = Market::start().await;
    for (method, path, allow) in [
        (Method::PUT, "/tokens", "HEAD, GET, POST"),
        (Method::DELETE, "/tokens", "HEAD, GET, POST"),
        (Method::POST, "/tokens/101", "HEAD, GET, PATCH, DELETE"),
        (Method::POST, "/tokens/101/imagen", "HEAD, GET"),
    ] {
        let response = m.call(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{path}");
        problem(response, 405, "metodo-no-permitido").await;
    }
}

#[tokio::test]
async fn a_created_token_is_where_its_location_says() {
    let m = Market::start().await;
    let created = m.post(&json!({"nombre": "  Río ", "precio": 0})).await;
    assert_eq!(created.status(), 201);
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(location, "/tokens/103");
    let expected = json!({"id":103,"nombre":"Río","imagen":"103.svg","precio":0,"vendido":false});
    assert_eq!(created.json::<Value>().await.unwrap(), expected);
    assert_eq!(m.json(&location).await, expected);

    let named = json!({"nombre": "Mar", "precio": 9_007_199_254_740_991_u64, "imagen": "mar.webp"});
    assert_eq!(
        m.post(&named).await.json::<Value>().await.unwrap(),
        json!({"id":104,"nombre":"Mar","imagen":"mar.webp","precio":9_007_199_254_740_991_u64,"vendido":false})
    );
}

#[tokio::test]
async fn every_bad_field_of_a_body_is_named() {
    let m = Market::start().await;
    invalid(m.post(&json!({})).await, &["nombre", "precio"]).await;
    invalid(
        m.post(&json!({"nombre": " ", "precio": -1, "imagen": "../x", "color": 1})).await,
        &["color", "imagen", "nombre", "precio"],
    )
    .await;
    for imagen in [json!(""), json!("a/b"), json!("a\u{0}b"), json!("x".repeat(256)), json!(7), json!(null)] {
        invalid(m.post(&json!({"nombre": "a", "precio": 1, "imagen": imagen})).await, &["imagen"]).await;
        invalid(m.patch(101, &json!({"imagen": imagen})).await, &["imagen"]).await;
    }
    for precio in [json!(1.5), json!("1"), json!(9_007_199_254_740_992_u64), json!(null)] {
        invalid(m.post(&json!({"nombre": "a", "precio": precio})).await, &["precio"]).await;
        invalid(m.patch(101, &json!({"precio": precio})).await, &["precio"]).await;
    }
    invalid(m.patch(101, &json!({"nombre": "x".repeat(101)})).await, &["nombre"]).await;
    invalid(m.patch(101, &json!({})).await, &[""]).await;
    invalid(m.patch(101, &json!({"vendido": true})).await, &["", "vendido"]).await;
    invalid(m.patch(101, &json!([1])).await, &[""]).await;
    assert_eq!(m.json("/tokens").await.as_array().unwrap().len(), 2, "nothing was made");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_apart() {
    let m = Market::start().await;
    for (method, path) in [(Method::POST, "/tokens"), (Method::PATCH, "/tokens/101")] {
        let send = |kind: &'static str, body: String| {
            m.call(method.clone(), path).header("content-type", kind).body(body).send()
        };
        problem(send("application/json", "{".into()).await.unwrap(), 400, "json-invalido").await;
        problem(send("text/plain", "{}".into()).await.unwrap(), 415, "tipo-no-soportado").await;
        let big = format!(r#"{{"nombre":"{}"}}"#, "x".repeat(64 * 1024));
        problem(send("application/json", big).await.unwrap(), 413, "cuerpo-demasiado-grande").await;
    }
}

#[tokio::test]
async fn any_part_of_a_token_can_be_changed_while_it_is_free() {
    let m = Market::start().await;
    for (change, key, value) in [
        (json!({"nombre": " Gata "}), "nombre", json!("Gata")),
        (json!({"precio": 1}), "precio", json!(1)),
        (json!({"imagen": "gata.png"}), "imagen", json!("gata.png")),
        (json!({"imagen": "gata.png"}), "imagen", json!("gata.png")),
    ] {
        let changed = m.patch(101, &change).await;
        assert_eq!(changed.status(), 200);
        let changed: Value = changed.json().await.unwrap();
        assert_eq!(changed[key], value);
        assert_eq!(m.json("/tokens/101").await, changed);
    }
    let all = json!({"nombre": "Gato", "precio": 2, "imagen": "g.gif"});
    let expected = json!({"id":101,"nombre":"Gato","imagen":"g.gif","precio":2,"vendido":false});
    assert_eq!(m.patch(101, &all).await.json::<Value>().await.unwrap(), expected);

    m.reserve("a#1", 101, 7).await;
    let change = json!({"precio": 3});
    problem(m.patch(101, &change).await, 409, "token-no-disponible").await;
    m.release("a#1").await;
    assert_eq!(m.patch(101, &change).await.status(), 200);
    m.reserve("a#2", 101, 7).await;
    m.sell("a#2").await;
    problem(m.patch(101, &change).await, 409, "token-no-disponible").await;
    assert_eq!(m.json("/tokens/101").await["precio"], 3);
}

#[tokio::test]
async fn a_deleted_token_is_gone_and_its_id_is_never_given_again() {
    let m = Market::start().await;
    m.reserve("a#1", 101, 7).await;
    problem(m.delete(101).await, 409, "token-no-disponible").await;
    m.sell("a#1").await;
    problem(m.delete(101).await, 409, "token-no-disponible").await;

    let gone = m.delete(102).await;
    assert_eq!(gone.status(), 204);
    assert_eq!(gone.text().await.unwrap(), "");
    problem(m.delete(102).await, 404, "token-no-encontrado").await;
    problem(m.get("/tokens/102").await, 404, "token-no-encontrado").await;
    problem(m.get("/tokens/102/imagen").await, 404, "token-no-encontrado").await;
    let new: Value = m.post(&json!({"nombre": "a", "precio": 1})).await.json().await.unwrap();
    assert_eq!(new["id"], 103);
}

#[tokio::test]
async fn errors_speak_the_reader_s_language() {
    let m = Market::start().await;
    let es = problem(m.get("/tokens/7").await, 404, "token-no-encontrado").await;
    assert_eq!(es["detail"], "No hay token 7.");
    let en = m.call(Method::GET, "/tokens/7").header("accept-language", "en").send().await.unwrap();
    assert_eq!(en.headers()["content-language"], "en");
    assert_eq!(problem(en, 404, "token-no-encontrado").await["detail"], "There is no token 7.");
}
