//! What only a database does: it goes away in the middle, and comes back; and its schema refuses what code never asks.

use crate::world::{
    all_tokens, digest_of, id, intento, monto, new_token, open, request, settled_in, trouble,
};
use futures_util::future::join_all;
use journal::StoreError;
use market::participant::HoldStore;
use std::time::Instant;
use testkit::data::TestData;
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};
use tokens::store::state::State;
use tokens::store::{Store, TokenChange};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_loses_and_doubles_nothing() {
    let server = Server::start("");
    let data = TestData::on(&server.url("postgres"));
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    eventually(PATIENCE, async || opened.backend().health().ok()).await;
    for n in 1..=160 {
        store.create(new_token("x", n)).await.unwrap();
    }
    let buyer = async |n: u64| {
        for token in (1..=160).filter(|t| t % 8 == n) {
            let i = intento(&format!("k#{token}"));
            // as a coordinator does: the same call until there is an answer
            let held =
                eventually(PATIENCE, async || store.hold(i.clone(), request(token, 7)).await.ok()).await;
            assert_eq!(held.value.precio, monto(token));
            eventually(PATIENCE, async || store.confirm(i.clone()).await.ok()).await;
            assert!(eventually(PATIENCE, async || store.token(id(token)).await.ok()).await.is_sold());
        }
    };
    let crashes = async {
        for _ in 0..2 {
            tokio::task::block_in_place(|| server.kill());
            eventually(PATIENCE, async || opened.backend().health().err()).await;
            tokio::task::block_in_place(|| server.up());
            eventually(PATIENCE, async || opened.backend().health().ok()).await;
        }
    };
    tokio::join!(join_all((0..8).map(buyer)), crashes);
    let digest = store.digest().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.pendientes), (160, 0));
    assert_eq!(digest.confirmados, digest_of(&settled_in(&store).await));
    assert!(all_tokens(&store).await.page.rows.iter().all(tokens::domain::Token::is_sold));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_database_that_is_gone_are_told_together_and_in_time() {
    let server = Server::start("");
    let store = open(&TestData::on(&server.url("postgres")));
    eventually(PATIENCE, async || store.version().await.ok()).await;
    store.create(new_token("x", 1)).await.unwrap();
    let before = store.version().await.unwrap();
    tokio::task::block_in_place(|| server.down());
    let asked = Instant::now();
    for answer in join_all((0..50).map(|_| store.version())).await {
        assert!(matches!(trouble(answer), StoreError::Io { .. } | StoreError::Unknown { .. }));
    }
    // one after another they would wait for minutes
    assert!(asked.elapsed() < 4 * pg::PATIENCE, "{:?}", asked.elapsed());
    tokio::task::block_in_place(|| server.up());
    let after = eventually(PATIENCE, async || store.version().await.ok()).await;
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_waiting_keeps_nobody_else_waiting() {
    let server = Server::shared();
    let url = server.database().await;
    let store = open(&TestData::on(&url).patient());
    store.create(new_token("x", 1)).await.unwrap();
    let (begun, mut left) = (Instant::now(), 0);
    // on a busy machine most are answered before they are asked again
    while left < 300 {
        assert!(begun.elapsed() < 3 * PATIENCE, "hardly anybody gave up: {left}");
        let mut waiting = Vec::new();
        for _ in 0..8 {
            // each has asked, and one of them the database, which may have answered already
            let mut reader = Box::pin(store.version());
            if futures_util::poll!(reader.as_mut()).is_pending() {
                waiting.push(reader);
            }
        }
        if let Some(last) = waiting.pop() {
            left += waiting.len();
            drop(waiting);
            last.await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_schema_refuses_what_breaks_the_law() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = open(&TestData::on(&url).patient());
    for n in 1..=4 {
        store.create(new_token("x", n)).await.unwrap();
    }
    store.change(id(4), TokenChange { precio: Some(monto(9)), ..TokenChange::default() }).await.unwrap();
    store.hold(intento("a#1"), request(1, 7)).await.unwrap();
    let hold = |values: &str| {
        format!(
            "update tokens.tokens set (estado, clave, numero, usuario_id, desde) = ({values}) where id = 2"
        )
    };
    for impossible in [
        hold("'reservado', 'a', 1, 7, now()"),
        hold("'vendido', 'a', 1, 7, now()"),
        hold("'reservado', null, null, null, null"),
        hold("'reservado', 'b', null, 7, now()"),
        hold("'reservado', 'b', 1, null, now()"),
        hold("'reservado', 'b', 1, 7, null"),
        hold("'reservado', 'b', 0, 7, now()"),
        hold("'libre', 'b', 1, 7, now()"),
        hold("'otro', null, null, null, null"),
        "update tokens.tokens set precio = -1 where id = 2".to_owned(),
        "update tokens.tokens set precio = 9007199254740992 where id = 2".to_owned(),
        "insert into tokens.tokens (id, nombre, plegado, imagen, precio) values (0, 'x', 'x', 'x', 1)"
            .to_owned(),
    ] {
        let mut connection = server.connect(database).await;
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(impossible.clone())).execute(&mut connection).await;
        assert!(refused.is_err_and(|e| pg::broken(&e).is_some()), "{impossible}");
    }
}
