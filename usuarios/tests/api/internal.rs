//! `/interno/…` on the internal port.

use crate::helpers::{MAX, TestApp, cargo};
use market::contract::{Digest, Hold, Refusal};
use market::domain::{Monto, RunningDigest, UsuarioId};
use serde_json::json;
use testkit::Api;

fn confirmacion(intento: &str) -> String {
    format!("{}/confirmacion", cargo(intento))
}

#[tokio::test]
async fn only_who_knows_the_token_comes_in() {
    let app = TestApp::seeded().await;
    let stranger = app.internal.clone().with_token("0123456789abcdeg");
    let anonymous = Api::new(app.internal.base.trim_start_matches("http://").parse().unwrap());
    for api in [stranger, anonymous.clone(), anonymous.clone().with_token("")] {
        api.get("/interno/resumen").await.assert_problem(401, "no-autorizado");
        api.get("/interno/cargos?pendientes=true").await.assert_problem(401, "no-autorizado");
        let put = api.put(&cargo("a#1")).json(json!({"usuarioId": 1, "monto": 1})).await;
        put.assert_problem(401, "no-autorizado");
        api.put(&confirmacion("a#1")).await.assert_problem(401, "no-autorizado");
        api.delete(&cargo("a#1")).await.assert_problem(401, "no-autorizado");
        api.get("/interno/otra").await.assert_problem(401, "no-autorizado");
    }
    let basic =
        anonymous.get("/interno/resumen").header("Authorization", "Basic MDEyMzQ1Njc4OWFiY2RlZg==").await;
    basic.assert_problem(401, "no-autorizado");
    assert_eq!(app.saldo(1).await, 100);
    // probes need none, and the public port has no such path for anybody
    anonymous.get("/readyz").await.expect(200);
    anonymous.get("/metrics").await.expect(200);
    app.api
        .clone()
        .with_token(crate::helpers::TOKEN)
        .get("/interno/resumen")
        .await
        .assert_problem(404, "ruta-no-encontrada");
    anonymous.get("/usuarios").await.assert_problem(404, "ruta-no-encontrada");
}

#[tokio::test]
async fn a_cargo_and_all_its_repeats() {
    let app = TestApp::seeded().await;
    assert_eq!(app.hold("a#1", 1, 40).await.expect(201).text(), "null");
    assert_eq!(app.hold("a#1", 1, 40).await.expect(200).text(), "null");
    assert_eq!(app.balanced_saldo(1).await, 60);
    app.hold("a#1", 1, 41).await.assert_problem(422, "clave-reutilizada");
    app.hold("a#1", 2, 40).await.assert_problem(422, "clave-reutilizada");

    for _ in 0..3 {
        app.internal.put(&confirmacion("a#1")).await.expect(204);
        app.internal.delete(&cargo("a#1")).await.assert_problem(409, "intento-confirmado");
        app.hold("a#1", 1, 40).await.expect(200);
    }
    assert_eq!(app.balanced_saldo(1).await, 60);

    app.hold("a#2", 1, 60).await.expect(201);
    assert_eq!(app.balanced_saldo(1).await, 0);
    for _ in 0..3 {
        app.internal.delete(&cargo("a#2")).await.expect(204);
        assert_eq!(app.balanced_saldo(1).await, 60);
    }
    app.internal.put(&confirmacion("a#2")).await.assert_problem(404, "intento-no-encontrado");
    // of no amount: a token may cost nothing
    app.hold("gratis#1", 1, 0).await.expect(201);
    app.internal.put(&confirmacion("gratis#1")).await.expect(204);
    assert_eq!(app.balanced_saldo(1).await, 60);
}

#[tokio::test]
async fn what_a_cargo_is_refused_for() {
    let app = TestApp::seeded().await;
    let poor = app.hold("a#1", 1, 101).await;
    poor.assert_problem(409, "saldo-insuficiente");
    assert_eq!(poor.read::<Refusal>(), Refusal::SaldoTooLow);
    app.hold("a#1", 1, MAX).await.assert_problem(409, "saldo-insuficiente");
    app.hold("a#1", 9, 1).await.assert_problem(404, "usuario-no-encontrado");
    app.internal.put(&confirmacion("a#1")).await.assert_problem(404, "intento-no-encontrado");
    app.internal.delete(&cargo("a#1")).await.expect(204);
    // none of this left a trace
    app.hold("a#1", 1, 100).await.expect(201);
    assert_eq!(app.balanced_saldo(1).await, 0);
}

#[tokio::test]
async fn requests_that_are_wrong() {
    let app = TestApp::seeded().await;
    for intento in [
        "a",
        "a%230",
        "a%2301",
        "a%23%2b1",
        "%231",
        "a%20b%231",
        "a%234294967296",
        &format!("{}%231", "x".repeat(256)),
    ] {
        let answer = app.internal.delete(&format!("/interno/cargos/{intento}")).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), ["intento"], "{intento}");
    }
    let answer = app.internal.put(&cargo("a#1")).json(json!({"usuarioId": 0, "monto": -1, "x": 1})).await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["monto", "usuarioId", "x"]);
    for (query, campo) in [
        ("", "pendientes"),
        ("pendientes=si", "pendientes"),
        ("pendientes=true&antes=-1", "antes"),
        ("pendientes=true&antes=86400001", "antes"),
        ("pendientes=false&despues=a", "despues"),
        ("pendientes=true&limite=5", "limite"),
    ] {
        let answer = app.internal.get(&format!("/interno/cargos?{query}")).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), [campo], "{query}");
    }
    app.internal.post("/interno/cargos").await.assert_problem(405, "metodo-no-permitido");
    app.internal.get(&cargo("a#1")).await.assert_problem(405, "metodo-no-permitido");
}

#[tokio::test]
async fn tries_are_listed_until_they_are_settled() {
    let app = TestApp::seeded().await;
    for (intento, usuario, monto) in [("c#1", 1, 10), ("a#1", 2, 20), ("b#1", 1, 30)] {
        app.hold(intento, usuario, monto).await.expect(201);
    }
    let list = async |query: &str| -> Vec<Hold> {
        app.internal.get(&format!("/interno/cargos?{query}")).await.expect(200).read()
    };
    let names = |holds: &[Hold]| holds.iter().map(|t| t.intento.to_string()).collect::<Vec<_>>();
    let pending = list("pendientes=true").await;
    assert!(pending.is_sorted_by_key(|t| (t.desde, t.intento.clone())), "oldest first");
    assert_eq!(pending.len(), 3);
    let a = pending.iter().find(|t| t.intento.to_string() == "a#1").unwrap();
    assert_eq!(
        (a.usuario_id, a.monto, a.token_id),
        (UsuarioId::new(2).unwrap(), Monto::new(20).unwrap(), None)
    );
    for (n, last) in pending.iter().enumerate() {
        let intento = last.intento.to_string().replace('#', "%23");
        let behind = format!("pendientes=true&desde={}&despues={intento}", last.desde.timestamp_millis());
        assert_eq!(list(&behind).await, pending[n + 1..]);
    }
    assert_eq!(list("pendientes=true&antes=60000").await, [], "none is a minute old");
    assert_eq!(list("pendientes=true&antes=0").await.len(), 3);
    assert_eq!(list("pendientes=false").await, []);

    for intento in ["c#1", "a#1"] {
        app.internal.put(&confirmacion(intento)).await.expect(204);
    }
    app.internal.delete(&cargo("b#1")).await.expect(204);
    assert_eq!(list("pendientes=true").await, []);
    let settled = names(&list("pendientes=false").await);
    assert!(
        settled == ["c#1", "a#1"] || settled == ["a#1", "c#1"],
        "in an order of the store's: {settled:?}"
    );
    for (n, last) in settled.iter().enumerate() {
        let behind = format!("pendientes=false&despues={}", last.replace('#', "%23"));
        assert_eq!(names(&list(&behind).await), settled[n + 1..]);
    }
}

#[tokio::test]
async fn the_digest_is_that_of_the_settled_tries() {
    let app = TestApp::seeded().await;
    let digest = async || app.internal.get("/interno/resumen").await.expect(200).read::<Digest>();
    assert_eq!(digest().await, Digest::default());
    app.hold("a#1", 1, 10).await.expect(201);
    app.hold("b#1", 2, 20).await.expect(201);
    let pending = digest().await;
    let held: Vec<_> = pending.in_flight.iter().map(|t| (t.intento.to_string(), t.monto.get())).collect();
    assert_eq!(held, [("a#1".to_owned(), 10), ("b#1".to_owned(), 20)]);
    assert!(pending.oldest.is_some());
    let Digest { in_flight, oldest, .. } = pending.clone();
    assert_eq!(pending, Digest { pendientes: 2, in_flight, oldest, ..Digest::default() });
    app.internal.put(&confirmacion("b#1")).await.expect(204);
    app.internal.delete(&cargo("a#1")).await.expect(204);
    let mut confirmados = RunningDigest::default();
    confirmados.add(&"b#1".parse().unwrap(), UsuarioId::new(2).unwrap(), None, Monto::new(20).unwrap());
    assert_eq!(digest().await, Digest { confirmados, ..Digest::default() });
}

#[tokio::test]
async fn twenty_at_once_take_what_is_there_and_no_more() {
    let app = TestApp::start().await;
    let id = app.create("Ana", 100).await;
    let names: Vec<_> = (0..20).map(|n| format!("k{n}#1")).collect();
    let answers = futures_util::future::join_all(names.iter().map(|name| app.hold(name, id, 15))).await;
    let taken = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(taken, 6, "6 x 15 fit into 100");
    for refused in answers.iter().filter(|a| a.status != 201) {
        refused.assert_problem(409, "saldo-insuficiente");
    }
    assert_eq!(app.balanced_saldo(id).await, 10);
    assert_eq!(app.digest().await["pendientes"], 6);
}

#[tokio::test]
async fn one_try_from_many_at_once_is_one_debit() {
    let app = TestApp::seeded().await;
    let answers = futures_util::future::join_all((0..20).map(|_| app.hold("k#1", 1, 70))).await;
    assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 19);
    assert_eq!(app.balanced_saldo(1).await, 30);
}

#[tokio::test]
async fn a_refund_waits_for_room() {
    let app = TestApp::start().await;
    let id = app.create("rica", 10).await;
    app.hold("a#1", id, 10).await.expect(201);
    app.api.post(&format!("/usuarios/{id}/abonos")).json(json!({"monto": MAX})).await.expect(201);
    app.internal.delete(&cargo("a#1")).await.assert_problem(422, "saldo-excedido");
    assert_eq!(app.balanced_saldo(id).await, MAX);
    app.hold("b#1", id, 10).await.expect(201);
    app.internal.delete(&cargo("a#1")).await.expect(204);
    assert_eq!(app.balanced_saldo(id).await, MAX);
}
