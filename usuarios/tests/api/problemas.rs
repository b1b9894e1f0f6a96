//! Requests that are wrong, whatever the path.

use crate::ayuda::TestApp;
use serde_json::json;
use testkit::Answer;

async fn post(app: &TestApp, body: impl Into<reqwest::Body>) -> Answer {
    app.api.post("/usuarios").header("Content-Type", "application/json").body(body).await
}

#[track_caller]
fn invalid(answer: &Answer, campos: &[&str]) {
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.campos(), campos, "{}", answer.text());
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = TestApp::start().await;
    let body = json!({"nombre": 5, "saldo": -1, "id": 7, "edad": 3});
    invalid(&app.api.post("/usuarios").json(body).await, &["edad", "id", "nombre", "saldo"]);
    invalid(&post(&app, "{}").await, &["nombre", "saldo"]);
    let patch = app.api.patch("/usuarios/1").json(json!({"nombre": null, "saldo": 5})).await;
    invalid(&patch, &["nombre", "saldo"]);
    let list = app.api.get("/usuarios?limite=0&despues=0&nombre=Ana").await;
    invalid(&list, &["despues", "limite", "nombre"]);
    assert_eq!(app.api.get("/usuarios").await.text(), "[]", "nothing was written");
}

#[tokio::test]
async fn numbers_that_are_no_balance() {
    let app = TestApp::start().await;
    for saldo in [
        "-1",
        "-0.5",
        "1.5",
        "9007199254740992",
        "9223372036854775808",
        "18446744073709551616",
        "1e300",
        "-1e300",
        "\"5\"",
        "null",
        "true",
        "[1]",
        "{}",
    ] {
        let answer = post(&app, format!("{{\"nombre\":\"Ana\",\"saldo\":{saldo}}}")).await;
        invalid(&answer, &["saldo"]);
    }
}

#[tokio::test]
async fn text_that_is_no_name() {
    let app = TestApp::start().await;
    for nombre in
        ["", "   ", "\u{a0}", "a\u{0}b", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(101), &"é".repeat(10_000)]
    {
        let answer = app.api.post("/usuarios").json(json!({"nombre": nombre, "saldo": 1})).await;
        invalid(&answer, &["nombre"]);
    }
    let longest = "é".repeat(100);
    let made = app.api.post("/usuarios").json(json!({"nombre": longest, "saldo": 1})).await.expect(201);
    assert_eq!(made.json()["nombre"], longest);
}

#[tokio::test]
async fn ids_that_are_none() {
    let app = TestApp::start().await;
    for id in ["0", "-1", "1.0", "abc", "9007199254740992", "9223372036854775808", "%20", "1%00", "+1", "ñ"]
    {
        for path in [format!("/usuarios/{id}"), format!("/usuarios/{id}/movimientos")] {
            invalid(&app.api.get(&path).await, &["id"]);
        }
        invalid(&app.api.patch(&format!("/usuarios/{id}")).json(json!({"nombre": "x"})).await, &["id"]);
        invalid(&app.api.post(&format!("/usuarios/{id}/abonos")).json(json!({"monto": 1})).await, &["id"]);
    }
}

#[tokio::test]
async fn query_parameters_that_are_wrong() {
    let app = TestApp::start().await;
    for (query, campo) in [
        ("limite=0", "limite"),
        ("limite=1001", "limite"),
        ("limite=", "limite"),
        ("limite=-5", "limite"),
        ("limite=diez", "limite"),
        ("limite=99999999999999999999", "limite"),
        ("despues=0", "despues"),
        ("despues=9223372036854775808", "despues"),
        ("pagina=2", "pagina"),
        ("limite=5&limite=5", "limite"),
    ] {
        invalid(&app.api.get(&format!("/usuarios?{query}")).await, &[campo]);
    }
    app.api.get("/usuarios?limite=1000").await.expect(200);
    app.api.get("/usuarios?").await.expect(200);
}

#[tokio::test]
async fn bodies_that_are_no_object() {
    let app = TestApp::start().await;
    for body in ["[]", "5", "\"x\"", "null", "true"] {
        let answer = post(&app, body).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.campos().len(), 1);
    }
    for body in ["", "{", "{\"nombre\":}", "nombre=Ana", "{\"saldo\":NaN}", "\u{feff}{}", "{} {}"] {
        post(&app, body).await.assert_problem(400, "json-invalido");
    }
    post(&app, &b"{\"nombre\":\"\xff\"}"[..]).await.assert_problem(400, "json-invalido");
    // deeper than any parser should follow
    post(&app, "[".repeat(30_000)).await.assert_problem(400, "json-invalido");
}

#[tokio::test]
async fn a_body_over_64_kib_is_413() {
    let app = TestApp::start().await;
    let body = |n: usize| format!("{{\"nombre\":\"{}\",\"saldo\":1}}", "x".repeat(n - 23));
    assert_eq!(body(100).len(), 100);
    invalid(&post(&app, body(64 * 1024)).await, &["nombre"]);
    post(&app, body(64 * 1024 + 1)).await.assert_problem(413, "cuerpo-demasiado-grande");
    post(&app, body(8 << 20)).await.assert_problem(413, "cuerpo-demasiado-grande");
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let app = TestApp::start().await;
    let body = r#"{"nombre":"Ana","saldo":1}"#;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/problem+json"]
    {
        let answer = app.api.post("/usuarios").header("Content-Type", kind).body(body).await;
        answer.assert_problem(415, "tipo-no-soportado");
    }
    app.api.post("/usuarios").body(body).await.assert_problem(415, "tipo-no-soportado");
}

#[tokio::test]
async fn paths_and_methods_that_are_none() {
    let app = TestApp::seeded().await;
    for path in
        ["/usuario", "/usuarios/", "/usuarios/1/", "/usuarios/1/compras", "/interno/resumen", "/%2e%2e/etc"]
    {
        app.api.get(path).await.assert_problem(404, "ruta-no-encontrada");
    }
    for (method, path, allow) in [
        ("DELETE", "/usuarios/1", "HEAD, GET, PATCH"),
        ("PUT", "/usuarios", "HEAD, GET, POST"),
        ("GET", "/usuarios/1/abonos", "POST"),
        ("POST", "/usuarios/1/movimientos", "HEAD, GET"),
        ("POST", "/readyz", "HEAD, GET"),
        ("TRACE", "/usuarios", "HEAD, GET, POST"),
        ("BREW", "/hits", "HEAD, GET"),
    ] {
        let answer = app.api.call(method.parse().unwrap(), path).await;
        answer.assert_problem(405, "metodo-no-permitido");
        assert_eq!(answer.header("Allow"), allow);
    }
}

#[tokio::test]
async fn problems_speak_the_readers_language() {
    let app = TestApp::start().await;
    let ask = async |language: &str| {
        let answer = app.api.get("/usuarios/9").header("Accept-Language", language).await;
        let document = answer.assert_problem(404, "usuario-no-encontrado");
        (answer.header("Content-Language").to_owned(), document["title"].as_str().unwrap().to_owned())
    };
    let es = ("es".to_owned(), "No existe este usuario".to_owned());
    let en = ("en".to_owned(), "There is no such user".to_owned());
    assert_eq!(ask("es-CO, en;q=0.5").await, es);
    assert_eq!(ask("fr").await, es);
    assert_eq!(ask("en").await, en);
    assert_eq!(ask("en-GB, es;q=0.3").await, en);
    let answer = app.api.post("/usuarios").header("Accept-Language", "en").json(json!({"nombre": "x"})).await;
    let document = answer.assert_problem(422, "datos-invalidos");
    assert_eq!(document["errores"], json!([{"campo": "saldo", "detalle": "is missing"}]));
}

#[tokio::test]
async fn path_key_and_body_are_named_in_one_answer() {
    let app = TestApp::seeded().await;
    let call = app.api.post("/usuarios/0/abonos").header("Idempotency-Key", "no es clave");
    let answer =
        call.header("content-type", "application/json").body(r#"{"monto":1,"monto":2,"color":"rojo"}"#).await;
    answer.assert_problem(422, "datos-invalidos");
    let mut campos = answer.campos();
    campos.sort_unstable();
    assert_eq!(campos, ["Idempotency-Key", "color", "id", "monto"]);
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_know_is_refused() {
    let app = TestApp::seeded().await;
    let answer = app.api.get("/usuarios/1?vendio=true").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.campos(), ["vendio"]);
}
