//! Requests that are wrong, by the rules of this service; what every service refuses is tested with the kit.

use crate::helpers::TestApp;
use serde_json::json;
use testkit::HttpAnswer;

async fn post(app: &TestApp, body: impl Into<reqwest::Body>) -> HttpAnswer {
    app.api.post("/usuarios").header("Content-Type", "application/json").body(body).await
}

#[track_caller]
fn invalid(answer: &HttpAnswer, campos: &[&str]) {
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), campos, "{}", answer.text());
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
async fn path_key_and_body_are_named_in_one_answer() {
    let app = TestApp::seeded().await;
    let call = app.api.post("/usuarios/0/abonos").header("Idempotency-Key", "no es clave");
    let answer =
        call.header("content-type", "application/json").body(r#"{"monto":1,"monto":2,"color":"rojo"}"#).await;
    answer.assert_problem(422, "datos-invalidos");
    let mut campos = answer.fields();
    campos.sort_unstable();
    assert_eq!(campos, ["Idempotency-Key", "color", "id", "monto"]);
}
