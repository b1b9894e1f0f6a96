//! Requests that are wrong, whatever the path, and what is said of them.

use crate::helpers::TestApp;
use serde_json::json;
use testkit::HttpAnswer;

async fn post(app: &TestApp, body: impl Into<reqwest::Body>) -> HttpAnswer {
    app.api.post("/notes").header("Content-Type", "application/json").body(body).await
}

#[track_caller]
fn invalid(answer: &HttpAnswer, fields: &[&str]) {
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), fields, "{}", answer.text());
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let app = TestApp::start().await;
    let body = json!({"name": 5, "weight": -1, "id": 7, "colour": 3});
    invalid(&app.api.post("/notes").json(body).await, &["colour", "id", "name", "weight"]);
    invalid(&post(&app, "{}").await, &["name", "weight"]);
    let patch = app.api.patch("/notes/1").json(json!({"name": null, "weight": -5})).await;
    invalid(&patch, &["name", "weight"]);
    let list = app.api.get("/notes?limite=0&despues=0&name=Ana").await;
    invalid(&list, &["despues", "limite", "name"]);
    assert_eq!(app.api.get("/notes").await.text(), "[]", "nothing was written");
}

#[tokio::test]
async fn numbers_that_are_no_weight() {
    let app = TestApp::start().await;
    for weight in [
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
        let answer = post(&app, format!("{{\"name\":\"Ana\",\"weight\":{weight}}}")).await;
        invalid(&answer, &["weight"]);
    }
}

#[tokio::test]
async fn text_that_is_no_name() {
    let app = TestApp::start().await;
    for nombre in
        ["", "   ", "\u{a0}", "a\u{0}b", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(101), &"é".repeat(1_000)]
    {
        let answer = app.api.post("/notes").json(json!({"name": nombre, "weight": 1})).await;
        invalid(&answer, &["name"]);
    }
    let longest = "é".repeat(100);
    let made = app.api.post("/notes").json(json!({"name": longest, "weight": 1})).await.expect(201);
    assert_eq!(made.json()["name"], longest);
}

#[tokio::test]
async fn ids_that_are_none() {
    let app = TestApp::start().await;
    for id in ["0", "-1", "1.0", "abc", "9007199254740992", "9223372036854775808", "%20", "1%00", "+1", "ñ"]
    {
        invalid(&app.api.get(&format!("/notes/{id}")).await, &["id"]);
        invalid(&app.api.patch(&format!("/notes/{id}")).json(json!({"name": "x"})).await, &["id"]);
        invalid(&app.api.post(&format!("/notes/{id}/marks")).json(json!({"weight": 1})).await, &["id"]);
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
        invalid(&app.api.get(&format!("/notes?{query}")).await, &[campo]);
    }
    app.api.get("/notes?limite=1000").await.expect(200);
    app.api.get("/notes?").await.expect(200);
}

#[tokio::test]
async fn bodies_that_are_no_object() {
    let app = TestApp::start().await;
    for body in ["[]", "5", "\"x\"", "null", "true"] {
        let answer = post(&app, body).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields().len(), 1);
    }
    for body in ["", "{", "{\"name\":}", "nombre=Ana", "{\"weight\":NaN}", "\u{feff}{}", "{} {}"] {
        post(&app, body).await.assert_problem(400, "json-invalido");
    }
    post(&app, &b"{\"name\":\"\xff\"}"[..]).await.assert_problem(400, "json-invalido");
    // deeper than any parser should follow
    post(&app, "[".repeat(8_000)).await.assert_problem(400, "json-invalido");
}

#[tokio::test]
async fn a_body_over_8_kib_is_413() {
    let app = TestApp::start().await;
    let body = |n: usize| format!("{{\"name\":\"{}\",\"weight\":1}}", "x".repeat(n - 22));
    assert_eq!(body(100).len(), 100);
    invalid(&post(&app, body(8 * 1024)).await, &["name"]);
    post(&app, body(8 * 1024 + 1)).await.assert_problem(413, "cuerpo-demasiado-grande");
    post(&app, body(8 << 20)).await.assert_problem(413, "cuerpo-demasiado-grande");
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let app = TestApp::start().await;
    let body = r#"{"name":"Ana","weight":1}"#;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/problem+json"]
    {
        let answer = app.api.post("/notes").header("Content-Type", kind).body(body).await;
        answer.assert_problem(415, "tipo-no-soportado");
    }
    app.api.post("/notes").body(body).await.assert_problem(415, "tipo-no-soportado");
}

#[tokio::test]
async fn paths_and_methods_that_are_none() {
    let app = TestApp::filled().await;
    for path in ["/note", "/notes/", "/notes/1/", "/notes/1/pages", "/interno/resumen", "/%2e%2e/etc"] {
        app.api.get(path).await.assert_problem(404, "ruta-no-encontrada");
    }
    for (method, path, allow) in [
        ("DELETE", "/notes/1", "HEAD, GET, PATCH"),
        ("PUT", "/notes", "HEAD, GET, POST"),
        ("GET", "/notes/1/marks", "POST"),
        ("POST", "/readyz", "HEAD, GET"),
        ("TRACE", "/notes", "HEAD, GET, POST"),
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
        let answer = app.api.get("/notes/9").header("Accept-Language", language).await;
        let document = answer.assert_problem(404, "no-note");
        (answer.header("Content-Language").to_owned(), document["title"].as_str().unwrap().to_owned())
    };
    let es = ("es".to_owned(), "No existe esta nota".to_owned());
    let en = ("en".to_owned(), "There is no such note".to_owned());
    assert_eq!(ask("es-CO, en;q=0.5").await, es);
    assert_eq!(ask("fr").await, es);
    assert_eq!(ask("en").await, en);
    assert_eq!(ask("en-GB, es;q=0.3").await, en);
    let answer = app.api.post("/notes").header("Accept-Language", "en").json(json!({"name": "x"})).await;
    let document = answer.assert_problem(422, "datos-invalidos");
    assert_eq!(document["errores"], json!([{"campo": "weight", "detalle": "is missing"}]));
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_know_is_refused() {
    let app = TestApp::filled().await;
    let answer = app.api.get("/notes/1?sold=true").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["sold"]);
}
