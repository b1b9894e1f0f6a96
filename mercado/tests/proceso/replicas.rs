//! Two processes on one directory.

use crate::helpers::{Process, check, compra, filled};
use futures_util::future::join_all;
use serde_json::json;
use testkit::{Answer, Api};

#[tokio::test]
async fn each_sees_the_others_writes_at_once() {
    let one = Process::start().await;
    let two = Process::on(one.dir.clone(), &[]).await;
    assert_eq!(two.api.get("/usuarios").await.json(), one.api.get("/usuarios").await.json());
    one.compra(1, 101).await.expect(201);
    assert_eq!(two.api.get("/usuarios/1").await.json()["saldo"], 50);
    assert_eq!(two.api.get("/tokens/101").await.json()["vendido"], true);
    assert_eq!(two.api.get("/transacciones").await.json()[0]["tokenId"], 101);
    two.compra(2, 101).await.assert_problem(409, "token-no-disponible");
    for n in 0..100 {
        let (writer, reader) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let body = json!({"nombre": format!("Token {n}"), "precio": n});
        let id = writer.api.post("/tokens").json(body).await.expect(201).json()["id"].clone();
        let read = reader.api.get(&format!("/tokens/{id}")).await.expect(200).json();
        assert_eq!(read["precio"], n);
        writer.api.post("/usuarios/2/abonos").json(json!({"monto": 1})).await.expect(201);
        assert_eq!(reader.api.get("/usuarios/2").await.json()["saldo"], 151 + n);
    }
    assert_eq!(two.api.get("/transacciones/auditoria").await.json()["correcto"], true);
    // one leaves, the other goes on
    one.signal("INT");
    assert_eq!(one.end().await.code(), Some(0));
    two.compra(2, 102).await.expect(201);
    assert_eq!(two.api.get("/transacciones").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn they_sell_each_token_once_between_them() {
    let one = Process::on(filled(8, 200), &[]).await;
    let two = Process::on(one.dir.clone(), &[]).await;
    let answers = join_all((1..=8_u64).map(|of| {
        let apis: [&Api; 2] = [&one.api, &two.api];
        async move {
            let mut answers = Vec::<Answer>::new();
            for token in 1..=50 {
                answers.push(compra(apis[usize::from(of % 2 == 0)], of, token).await);
            }
            answers
        }
    }))
    .await
    .concat();
    assert!(answers.iter().all(|a| a.status == 201 || a.codigo() == "token-no-disponible"));
    let acknowledged = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(acknowledged, 50);
    assert_eq!(check(&one.api, 1000).await, check(&two.api, 1000).await);
}
