//! `POST /transacciones`: bought once, paid once, whoever asks how often and from where.

use crate::helpers::{Market, Service, compra, people, person, statuses, token, transacciones, usuarios};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{HttpAnswer, PATIENCE, eventually, postgres};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn the_sample_purchase() {
    let m = Market::start();
    let bought = m.compra(1, 101).await.expect(201);
    let document = bought.json();
    assert_eq!(bought.header("Location"), "/transacciones/1");
    assert_eq!(bought.header("Idempotency-Replayed"), "");
    let fecha = document["fecha"].as_str().unwrap();
    assert!(fecha.ends_with('Z') && fecha.starts_with("20"), "{fecha}");
    let expected =
        json!({"id": 1, "usuarioId": 1, "tokenId": 101, "fecha": fecha, "precio": 50, "pod": "prueba"});
    assert_eq!(document, expected);
    // the buyer's next reads show it
    assert_eq!(m.looker.saldo(1).await, 50);
    assert!(m.looker.is_sold(101).await);
    assert_eq!(m.transacciones.api.get("/transacciones/1").await.expect(200).json(), expected);
    assert_eq!(m.looker.transacciones().await, [expected]);
    assert_eq!(m.looker.calm().await["transacciones"], 1);
    m.compra(2, 101).await.assert_problem(409, "token-no-disponible");
    m.compra(1, 102).await.assert_problem(409, "saldo-insuficiente");
    m.looker.check().await;
}

/// 50 people with the means, one token.
async fn race_for_one_token(keys: bool) {
    let users: Vec<_> = (1..=50).map(|id| person(id, 60)).collect();
    let m = Market::with(&json!(users), &json!([token(1, 50)]));
    let answers = join_all((1..=50).map(|id| {
        let call = m.compra(id, 1);
        let call = if keys { call.header("Idempotency-Key", &format!("de-{id}")) } else { call };
        call.into_future()
    }))
    .await;
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (409, 49)]));
    for no in answers.iter().filter(|a| a.status == 409) {
        no.assert_problem(409, "token-no-disponible");
    }
    let bought = m.looker.check().await;
    assert_eq!(bought.len(), 1);
    let winner = answers.iter().find(|a| a.status == 201).unwrap().json();
    assert_eq!(bought[0], winner);
}

#[tokio::test]
async fn of_fifty_clients_one_gets_the_token() {
    race_for_one_token(false).await;
}

#[tokio::test]
async fn of_fifty_clients_with_keys_one_gets_the_token() {
    race_for_one_token(true).await;
}

#[tokio::test]
async fn a_balance_is_never_spent_twice() {
    let catalogue: Vec<_> = (1..=20).map(|id| token(id, 15)).collect();
    let m = Market::with(&json!([person(1, 100), person(2, 1000)]), &json!(catalogue));
    let race = join_all((1..=20).map(|id| m.compra(1, id).into_future()));
    tokio::pin!(race);
    let answers = loop {
        tokio::select! {
            answers = &mut race => break answers,
            saldo = m.looker.saldo(1) => assert_eq!((100 - saldo) % 15, 0, "whole debits only"),
        }
    };
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 6), (409, 14)]));
    for no in answers.iter().filter(|a| a.status == 409) {
        no.assert_problem(409, "saldo-insuficiente");
    }
    assert_eq!(m.looker.saldo(1).await, 10);
    // what was refused is free at once: somebody with the means gets each
    let sold: BTreeSet<_> = m.looker.check().await.iter().map(|t| t["tokenId"].as_u64().unwrap()).collect();
    for id in (1..=20).filter(|id| !sold.contains(id)) {
        m.compra(2, id).await.expect(201);
    }
    assert_eq!(m.looker.check().await.len(), 20);
}

/// One purchase whose answers were these: the same one each time, told apart by who made it.
#[track_caller]
fn one_purchase(answers: &[HttpAnswer]) -> Value {
    assert_eq!(statuses(answers), BTreeMap::from([(201, answers.len())]));
    let first = answers[0].json();
    for answer in answers {
        assert_eq!(answer.json(), first);
        assert_eq!(answer.header("Location"), format!("/transacciones/{}", first["id"]));
    }
    let made = answers.iter().filter(|a| a.header("Idempotency-Replayed").is_empty()).count();
    assert_eq!(made, 1, "all but one are told that it was there");
    assert!(answers.iter().all(|a| matches!(a.header("Idempotency-Replayed"), "" | "true")));
    first
}

#[tokio::test]
async fn one_key_from_twenty_clients_buys_once() {
    let m = Market::start();
    let answers =
        join_all((0..20).map(|_| m.compra(1, 101).header("Idempotency-Key", "k").into_future())).await;
    let bought = one_purchase(&answers);
    assert_eq!(m.looker.check().await, [bought]);
}

#[tokio::test]
async fn one_key_in_two_replicas_buys_once() {
    let m = Market::with(
        &json!([person(1, 10_000)]),
        &json!((1..=30).map(|id| token(id, 7)).collect::<Vec<_>>()),
    );
    let other = m.replica();
    for id in 1..=30 {
        let clave = format!("k-{id}");
        let calls = (0..20).map(|n| {
            let api = if n % 2 == 0 { &m.transacciones.api } else { &other.api };
            compra(api, 1, id).header("Idempotency-Key", &clave).into_future()
        });
        one_purchase(&join_all(calls).await);
    }
    assert_eq!(m.looker.check().await.len(), 30);
}

#[tokio::test]
async fn two_replicas_sell_each_token_once() {
    let users: Vec<_> = (1..=8).map(|id| person(id, 1000)).collect();
    let catalogue: Vec<_> = (1..=40).map(|id| token(id, 10)).collect();
    let m = Market::with(&json!(users), &json!(catalogue));
    let other = m.replica();
    let requests = (0..320).map(|n| {
        let api = if n % 2 == 0 { &m.transacciones.api } else { &other.api };
        compra(api, n % 8 + 1, n / 8 + 1).into_future()
    });
    // four tokens are raced for at once: what comes later than a purchase's deadline is 503
    let answers: Vec<_> = stream::iter(requests).buffer_unordered(32).collect().await;
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 40), (409, 280)]));
    let bought = m.looker.check().await;
    let ids: Vec<_> = bought.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    if postgres::is_chosen() {
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 40);
    } else {
        assert_eq!(
            ids,
            (1..=40).collect::<Vec<_>>(),
            "numbered in the order of their commits, without holes"
        );
    }
    // and either replica shows all of them
    assert_eq!(crate::helpers::all(&other.api, "/transacciones").await, bought);
}

#[tokio::test]
async fn a_key_stands_for_one_body() {
    let m = Market::start();
    let keyed = |body: Value| {
        m.transacciones.api.post("/transacciones").header("Idempotency-Key", "k").json(body).into_future()
    };
    let first = keyed(json!({"usuarioId": 1, "tokenId": 101})).await.expect(201);
    for other in [
        json!({"usuarioId": 1, "tokenId": 102}),
        json!({"usuarioId": 2, "tokenId": 101}),
        json!({"usuarioId": 1, "tokenId": 101, "precio": 51}),
        json!({"usuarioId": 9, "tokenId": 999}),
    ] {
        keyed(other).await.assert_problem(422, "clave-reutilizada");
    }
    for same in
        [json!({"usuarioId": 1, "tokenId": 101, "precio": 50}), json!({"tokenId": 101.0, "usuarioId": 1})]
    {
        let again = keyed(same).await.expect(201);
        assert_eq!((again.json(), again.header("Idempotency-Replayed")), (first.json(), "true"));
    }
    // quotes are the header's, not the key's
    let quoted = m.compra(1, 101).header("Idempotency-Key", "\"k\"").await.expect(201);
    assert_eq!(quoted.json(), first.json());
    // a key that was refused is taken as well
    m.compra(1, 102).header("Idempotency-Key", "no").await.assert_problem(409, "saldo-insuficiente");
    m.compra(1, 101).header("Idempotency-Key", "no").await.assert_problem(422, "clave-reutilizada");
    m.compra(2, 102).header("Idempotency-Key", "no").await.assert_problem(422, "clave-reutilizada");
    assert_eq!(m.looker.check().await.len(), 1);
}

#[tokio::test]
async fn a_key_is_remembered_over_restarts() {
    let m = Market::start();
    let first = m.compra(1, 101).header("Idempotency-Key", "k").await.expect(201).json();
    m.compra(1, 102).header("Idempotency-Key", "no").await.expect(409);
    m.looker.calm().await;
    let Market { usuarios: people, tokens: goods, transacciones: mine, dir, .. } = m;
    mine.stop().await;
    people.stop().await;
    goods.stop().await;
    let (people, goods) = (usuarios(dir.path()), crate::helpers::tokens(dir.path()));
    let mine = transacciones(dir.path(), people.internal, goods.internal, &[]);
    let again = compra(&mine.api, 1, 101).header("Idempotency-Key", "k").await.expect(201);
    assert_eq!((again.json(), again.header("Idempotency-Replayed")), (first, "true"));
    let other = compra(&mine.api, 1, 102).header("Idempotency-Key", "k").await;
    other.assert_problem(422, "clave-reutilizada");
    let refused = compra(&mine.api, 1, 101).header("Idempotency-Key", "no").await;
    refused.assert_problem(422, "clave-reutilizada");
    let looker = crate::helpers::Looker::new(&people.api, &goods.api, &mine.api, &self::people());
    assert_eq!(looker.check().await.len(), 1);
}

#[tokio::test]
async fn a_refused_key_buys_once_there_is_money() {
    let m = Market::with(&json!([person(1, 10)]), &json!([token(101, 50)]));
    let buy = || m.compra(1, 101).header("Idempotency-Key", "k").into_future();
    for _ in 0..3 {
        buy().await.assert_problem(409, "saldo-insuficiente");
        assert!(!m.looker.is_sold(101).await);
        assert_eq!(m.looker.saldo(1).await, 10);
    }
    m.usuarios.api.post("/usuarios/1/abonos").json(json!({"monto": 40})).await.expect(201);
    let bought = buy().await.expect(201);
    assert_eq!(bought.header("Idempotency-Replayed"), "");
    assert_eq!(buy().await.expect(201).json(), bought.json());
    let settled = m.usuarios.internal_api.get("/interno/cargos?pendientes=false");
    m.looker.check_with(&BTreeMap::from([(1, 40)])).await;
    assert_eq!(settled.await.expect(200).json()[0]["intento"], "k#4", "each refusal used up an attempt");
}

#[tokio::test]
async fn the_price_that_was_seen_is_the_price_that_is_paid() {
    let m = Market::start();
    let buy = |precio: u64| {
        let body = json!({"usuarioId": 1, "tokenId": 101, "precio": precio});
        m.transacciones.api.post("/transacciones").json(body).into_future()
    };
    m.tokens.api.patch("/tokens/101").json(json!({"precio": 55})).await.expect(200);
    let changed = buy(50).await.assert_problem(409, "precio-cambiado");
    assert!(changed["detail"].as_str().unwrap().contains("55"), "{changed}");
    assert_eq!(m.looker.saldo(1).await, 100);
    // free at once: it can be changed again, and bought
    m.tokens.api.patch("/tokens/101").json(json!({"precio": 60})).await.expect(200);
    buy(55).await.assert_problem(409, "precio-cambiado");
    assert_eq!(buy(60).await.expect(201).json()["precio"], 60);
    assert_eq!(m.looker.saldo(1).await, 40);
    m.looker.check().await;
}

#[tokio::test]
async fn what_costs_nothing_is_bought_as_well() {
    let m = Market::with(&json!([person(1, 0)]), &json!([token(1, 0)]));
    assert_eq!(m.compra(1, 1).await.expect(201).json()["precio"], 0);
    assert_eq!(m.looker.check().await.len(), 1);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_bought() {
    let m = Market::start();
    m.compra(1, 999).await.assert_problem(404, "token-no-encontrado");
    m.compra(9, 101).await.assert_problem(404, "usuario-no-encontrado");
    m.compra(9, 999).header("Idempotency-Key", "k").await.assert_problem(404, "token-no-encontrado");
    // nothing is held, and a key that met a 404 still works once there is a user
    m.compra(3, 101).header("Idempotency-Key", "k3").await.assert_problem(404, "usuario-no-encontrado");
    let made = m.usuarios.api.post("/usuarios").json(json!({"nombre": "Eva", "saldo": 50})).await.expect(201);
    assert_eq!(made.json()["id"], 3);
    m.compra(3, 101).header("Idempotency-Key", "k3").await.expect(201);
    m.looker.calm().await;
}

/// Sends a purchase and hangs up without a look at the answer.
async fn hang_up(service: &Service, body: &Value) {
    let address = service.api.base.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /transacciones HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_done() {
    let catalogue: Vec<_> = (1..=40).map(|id| token(id, 1)).collect();
    let m = Market::with(&json!([person(1, 1000)]), &json!(catalogue));
    join_all((1..=40).map(|id| {
        let service = &m.transacciones;
        async move { hang_up(service, &json!({"usuarioId": 1, "tokenId": id})).await }
    }))
    .await;
    eventually(PATIENCE, async || (m.looker.transacciones().await.len() == 40).then_some(())).await;
    m.looker.check().await;
    assert_eq!(m.looker.saldo(1).await, 960);
}
