//! What a restart keeps, and what a person may edit meanwhile.

use crate::helpers::{TestApp, cargo};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::files_only;

#[tokio::test]
async fn a_restart_keeps_everything() {
    let app = TestApp::seeded().await;
    let eva = app.create("Eva", 40).await;
    app.api.patch("/usuarios/2").json(json!({"nombre": "Lucho"})).await.expect(200);
    let abono = json!({"monto": 5});
    let first =
        app.api.post("/usuarios/1/abonos").header("Idempotency-Key", "k").json(&abono).await.expect(201);
    app.hold("hecho#1", 1, 30).await.expect(201);
    app.internal.put(&format!("{}/confirmacion", cargo("hecho#1"))).await.expect(204);
    app.hold("espera#1", eva, 7).await.expect(201);
    app.hold("nunca#1", 2, 50).await.expect(201);
    app.internal.delete(&cargo("nunca#1")).await.expect(204);

    let seen = async |app: &TestApp| {
        let mut all = vec![app.api.get("/usuarios").await.json(), app.digest().await];
        for id in 1..=eva {
            all.push(app.movimientos(id).await.into());
        }
        all.push(app.internal.get("/interno/cargos?pendientes=true").await.json());
        all.push(app.internal.get("/interno/cargos?pendientes=false").await.json());
        all
    };
    let before = seen(&app).await;
    let app = TestApp::on(app.stop().await, &[]).await;
    assert_eq!(seen(&app).await, before);

    // keys and attempts are known as before
    let again =
        app.api.post("/usuarios/1/abonos").header("Idempotency-Key", "k").json(&abono).await.expect(201);
    assert_eq!((again.header("Idempotency-Replayed"), again.body.clone()), ("true", first.body));
    app.hold("hecho#1", 1, 30).await.expect(200);
    app.internal.delete(&cargo("hecho#1")).await.assert_problem(409, "intento-confirmado");
    app.internal.delete(&cargo("espera#1")).await.expect(204);
    assert_eq!(app.balanced_saldo(eva).await, 40);
    assert_eq!(app.create("otra", 0).await, eva + 1, "ids go on");
}

#[tokio::test]
async fn a_seed_fills_an_empty_store_once() {
    let app = TestApp::seeded().await;
    app.api.post("/usuarios/1/abonos").json(json!({"monto": 5})).await.expect(201);
    let dir = app.stop().await;
    let seed = TempDir::new().unwrap();
    fs::write(seed.path().join("usuarios.json"), r#"[{"id":5,"nombre":"Otra","saldo":1}]"#).unwrap();
    let app = TestApp::on(dir, &["--seed-dir", seed.path().to_str().unwrap()]).await;
    let list = app.api.get("/usuarios").await.json();
    assert_eq!(
        list,
        json!([{"id": 1, "nombre": "Ana", "saldo": 105}, {"id": 2, "nombre": "Luis", "saldo": 150}])
    );
}

/// Stops, hands `usuarios.json` to an editor, starts again.
async fn edited(app: TestApp, edit: impl FnOnce(&mut Vec<Value>)) -> TestApp {
    let dir = app.stop().await;
    let file = dir.path().join("usuarios.json");
    let mut users: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    edit(&mut users);
    fs::write(&file, serde_json::to_string_pretty(&users).unwrap()).unwrap();
    TestApp::on(dir, &[]).await
}

#[tokio::test]
async fn a_balance_that_somebody_edits_gets_a_line_that_says_so() {
    files_only!("edits a file");
    let app = TestApp::seeded().await;
    app.hold("a#1", 1, 30).await.expect(201);
    app.internal.put(&format!("{}/confirmacion", cargo("a#1"))).await.expect(204);
    let before = app.digest().await;
    let app = edited(app, |users| {
        users[0]["saldo"] = json!(1000);
        users[1]["saldo"] = json!(20);
        users[1]["nombre"] = json!("Lucía");
        users.push(json!({"id": 9, "nombre": "Nueva", "saldo": 3}));
    })
    .await;
    let last = async |id| {
        let lines = app.movimientos(id).await;
        let line = lines.last().unwrap();
        (line["tipo"].as_str().unwrap().to_owned(), line["monto"].as_i64().unwrap())
    };
    assert_eq!(last(1).await, ("ajuste".to_owned(), 930));
    assert_eq!(last(2).await, ("ajuste".to_owned(), -130));
    assert_eq!(last(9).await, ("apertura".to_owned(), 3));
    assert_eq!(
        (app.balanced_saldo(1).await, app.balanced_saldo(2).await, app.balanced_saldo(9).await),
        (1000, 20, 3)
    );
    assert_eq!(app.digest().await, before);
    assert_eq!(before["descuadrados"], 0);
    assert_eq!(app.create("siguiente", 0).await, 10);

    // told once
    let lines = app.movimientos(1).await.len();
    let app = TestApp::on(app.stop().await, &[]).await;
    assert_eq!(app.movimientos(1).await.len(), lines);
    assert_eq!(app.api.get("/usuarios/2").await.json()["nombre"], "Lucía");
}

#[tokio::test]
async fn two_services_on_one_directory_see_each_other() {
    let dir = Arc::new(TempDir::new().unwrap());
    let one = TestApp::on(Arc::clone(&dir), &[]).await;
    let two = TestApp::on(dir, &[]).await;
    let id = one.create("Ana", 100).await;
    assert_eq!(two.saldo(id).await, 100);
    two.hold("a#1", id, 60).await.expect(201);
    one.hold("b#1", id, 60).await.assert_problem(409, "saldo-insuficiente");
    one.hold("a#1", id, 60).await.expect(200);
    assert_eq!(one.balanced_saldo(id).await, 40);
    one.stop().await;
    assert_eq!(two.create("Luis", 1).await, id + 1);
    assert_eq!(two.balanced_saldo(id).await, 40);
}
