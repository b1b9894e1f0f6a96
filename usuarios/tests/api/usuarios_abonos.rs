//! `/usuarios/{id}/abonos`.

use crate::helpers::{MAX, TestApp};
use serde_json::json;
use testkit::HttpAnswer;

async fn credit(app: &TestApp, id: u64, monto: u64, clave: Option<&str>) -> HttpAnswer {
    let call = app.api.post(&format!("/usuarios/{id}/abonos")).json(json!({"monto": monto}));
    match clave {
        Some(clave) => call.header("Idempotency-Key", clave).await,
        None => call.await,
    }
}

#[tokio::test]
async fn without_a_key_each_counts() {
    let app = TestApp::seeded().await;
    for saldo in [125, 150] {
        let made = credit(&app, 1, 25, None).await.expect(201);
        assert_eq!(made.header("Location"), "/usuarios/1/movimientos");
        assert_eq!(made.header("Idempotency-Replayed"), "");
        let line = made.json();
        assert_eq!(
            (&line["tipo"], &line["monto"], &line["usuarioId"]),
            (&json!("abono"), &json!(25), &json!(1))
        );
        assert_eq!(line["confirmado"], true);
        assert_eq!(app.balanced_saldo(1).await, saldo);
    }
}

#[tokio::test]
async fn with_a_key_it_happens_once_and_answers_the_same() {
    let app = TestApp::seeded().await;
    let first = credit(&app, 1, 25, Some("k-1")).await.expect(201);
    assert_eq!(first.header("Idempotency-Replayed"), "");
    // the key with the quotes of the IETF draft is the same key
    for key in ["k-1", "\"k-1\""] {
        let again = credit(&app, 1, 25, Some(key)).await.expect(201);
        assert_eq!(again.header("Idempotency-Replayed"), "true");
        assert_eq!(
            (again.body, again.headers["location"].clone()),
            (first.body.clone(), first.headers["location"].clone())
        );
    }
    assert_eq!(app.balanced_saldo(1).await, 125);
}

#[tokio::test]
async fn one_key_from_many_clients_at_once_happens_once() {
    let app = TestApp::seeded().await;
    let all = (0..20).map(|_| credit(&app, 2, 7, Some("k")));
    let answers = futures_util::future::join_all(all).await;
    let first = answers.iter().filter(|a| a.header("Idempotency-Replayed").is_empty()).count();
    assert_eq!(first, 1);
    assert!(answers.iter().all(|a| a.status == 201 && a.body == answers[0].body));
    assert_eq!(app.balanced_saldo(2).await, 157);
}

#[tokio::test]
async fn a_key_with_other_data_is_refused_and_changes_nothing() {
    let app = TestApp::seeded().await;
    credit(&app, 1, 25, Some("k")).await.expect(201);
    credit(&app, 1, 26, Some("k")).await.assert_problem(422, "clave-reutilizada");
    credit(&app, 2, 25, Some("k")).await.assert_problem(422, "clave-reutilizada");
    assert_eq!((app.balanced_saldo(1).await, app.balanced_saldo(2).await), (125, 150));
}

#[tokio::test]
async fn a_balance_ends_at_the_maximum() {
    let app = TestApp::start().await;
    let id = app.create("rica", MAX - 5).await;
    credit(&app, id, 6, Some("k")).await.assert_problem(422, "saldo-excedido");
    credit(&app, id, MAX, None).await.assert_problem(422, "saldo-excedido");
    assert_eq!(app.balanced_saldo(id).await, MAX - 5);
    // the refusal did not use up the key
    credit(&app, id, 5, Some("k")).await.expect(201);
    assert_eq!(app.balanced_saldo(id).await, MAX);
}

#[tokio::test]
async fn nobody_gets_nothing() {
    let app = TestApp::seeded().await;
    credit(&app, 9, 1, None).await.assert_problem(404, "usuario-no-encontrado");
    for monto in ["0", "-1", "1.5", "9007199254740992", "9223372036854775808", "1e300", "\"5\"", "null", "[]"]
    {
        let wrong = app.api.post("/usuarios/1/abonos").header("Content-Type", "application/json");
        let answer = wrong.body(format!("{{\"monto\":{monto}}}")).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), ["monto"], "{monto}");
    }
    assert_eq!(app.balanced_saldo(1).await, 100);
}

#[tokio::test]
async fn a_key_has_a_form() {
    let app = TestApp::seeded().await;
    for key in ["", "with blank", "#1", "ñ", &"x".repeat(256)] {
        let answer = credit(&app, 1, 1, Some(key)).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), ["Idempotency-Key"], "{key:?}");
    }
    let twice = app.api.post("/usuarios/1/abonos").json(json!({"monto": 1}));
    let twice = twice.header("Idempotency-Key", "a").header("Idempotency-Key", "a").await;
    twice.assert_problem(422, "datos-invalidos");
    for key in ["a#1", "n/x+Zm9v==", "%2F", "a\"b", &"x".repeat(255)] {
        let first = credit(&app, 1, 1, Some(key)).await.expect(201);
        let again = credit(&app, 1, 1, Some(key)).await.expect(201);
        assert_eq!((again.header("Idempotency-Replayed"), &again.body), ("true", &first.body), "{key}");
    }
    assert_eq!(app.balanced_saldo(1).await, 105);
}
