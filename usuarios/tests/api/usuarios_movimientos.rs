//! `/usuarios/{id}/movimientos`.

use crate::helpers::{TestApp, cargo};
use serde_json::json;

#[tokio::test]
async fn the_ledger_sums_to_the_balance_at_every_step() {
    let app = TestApp::seeded().await;
    let abono = json!({"monto": 30});
    app.api.post("/usuarios/1/abonos").json(&abono).await.expect(201);
    assert_eq!(app.balanced_saldo(1).await, 130);
    app.hold("a#1", 1, 50).await.expect(201);
    assert_eq!(app.balanced_saldo(1).await, 80);
    app.hold("b#1", 1, 60).await.expect(201);
    assert_eq!(app.balanced_saldo(1).await, 20);
    app.internal.put(&format!("{}/confirmacion", cargo("a#1"))).await.expect(204);
    assert_eq!(app.balanced_saldo(1).await, 20);
    app.internal.delete(&cargo("b#1")).await.expect(204);
    assert_eq!(app.balanced_saldo(1).await, 80);

    let lines = app.movimientos(1).await;
    let seen: Vec<_> = lines
        .iter()
        .map(|m| {
            (m["tipo"].as_str().unwrap(), m["monto"].as_i64().unwrap(), m["confirmado"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(seen, [("apertura", 100, true), ("abono", 30, true), ("cargo", -50, true)]);
    let ids: Vec<_> = lines.iter().map(|m| m["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted());
    assert!(lines[0]["fecha"].as_str().unwrap().ends_with('Z'));
    assert_eq!(app.balanced_saldo(2).await, 150, "nobody else's ledger moved");
}

#[tokio::test]
async fn a_debit_waits_visibly() {
    let app = TestApp::seeded().await;
    app.hold("a#1", 1, 50).await.expect(201);
    let lines = app.movimientos(1).await;
    assert_eq!((&lines[1]["tipo"], &lines[1]["confirmado"]), (&json!("cargo"), &json!(false)));
}

#[tokio::test]
async fn pages_lead_to_the_last_line() {
    let app = TestApp::seeded().await;
    for monto in 1..=9 {
        let abono = json!({"monto": monto});
        app.api.post("/usuarios/1/abonos").json(&abono).await.expect(201);
        app.api.post("/usuarios/2/abonos").json(&abono).await.expect(201);
    }
    let mut path = "/usuarios/1/movimientos?limite=3".to_owned();
    let mut montos = Vec::new();
    loop {
        let page = app.api.get(&path).await.expect(200);
        assert_eq!(page.header("X-Total-Count"), "10");
        montos.extend(page.json().as_array().unwrap().iter().map(|m| m["monto"].as_i64().unwrap()));
        let Some(next) = page.next() else { break };
        path = next;
    }
    assert_eq!(montos, [100, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn its_errors() {
    let app = TestApp::seeded().await;
    app.api.get("/usuarios/9/movimientos").await.assert_problem(404, "usuario-no-encontrado");
    let answer = app.api.get("/usuarios/1/movimientos?limite=0&despues=-1&orden=fecha").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["despues", "limite", "orden"]);
}
