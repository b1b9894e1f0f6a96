//! Requests that go to a database together.

use crate::world::{
    ALL, all_tokens, dice, id, intento, monto, open, pending_in, request, settled_in, with_field,
};
use futures_util::future::join_all;
use market::contract::Hold;
use market::participant::HoldStore;
use market::store::ServiceStore;
use std::fmt::Debug;
use testkit::data::Kind;
use testkit::postgres::Server;
use tokens::error::Error;
use tokens::store::state::State;
use tokens::store::{ListQuery, Store};

fn said<T: Debug>(answer: &Result<T, Error>) -> String {
    format!("{answer:?}")
}

/// One of the operations, of a purchase whose key and token the dice choose.
async fn one(store: &Store, operation: u64, mut state: u64) -> String {
    let i = intento(&format!("k{}#{}", dice(&mut state) % 12, 1 + dice(&mut state) % 2));
    // token 31 is none
    let (token, usuario) = (1 + dice(&mut state) % 31, 1 + dice(&mut state) % 2);
    match operation {
        0 => said(&store.confirm(i).await),
        1..=2 => said(&store.cancel(i).await),
        3 => said(&store.token(id(token)).await.map(|token| (token.is_sold(), token.free().is_ok()))),
        _ => said(&store.hold(i, request(token, usuario)).await),
    }
}

/// All but the times.
fn facts(holds: &[Hold]) -> Vec<String> {
    let said = |h: &Hold| format!("{} {} {:?} {}", h.intento, h.usuario_id, h.token_id, h.monto);
    let mut facts: Vec<_> = holds.iter().map(said).collect();
    facts.sort();
    facts
}

async fn together_they_get_what_they_get_one_by_one(kind: Kind) {
    let (many, single) = (with_field(kind, 30).await, with_field(kind, 30).await);
    let (many, single) = (open(&many), open(&single));
    let mut state = 7;
    for round in 0..40 {
        let operation = dice(&mut state) % 7;
        let seeds: Vec<_> = (0..1 + dice(&mut state) % 32).map(|_| dice(&mut state)).collect();
        let before = many.version().await.unwrap();
        let together = join_all(seeds.iter().map(|&seed| one(&many, operation, seed))).await;
        let sold = settled_in(&single).await.len();
        for (n, &seed) in seeds.iter().enumerate() {
            assert_eq!(together[n], one(&single, operation, seed).await, "request {n} of round {round}");
        }
        let changed = settled_in(&single).await.len() > sold;
        assert_eq!(many.version().await.unwrap() > before, changed, "round {round}");
    }
    let held = facts(&pending_in(&many).await);
    assert_eq!(held, facts(&pending_in(&single).await));
    let sold = facts(&settled_in(&many).await);
    assert!(!sold.is_empty());
    assert_eq!(sold, facts(&settled_in(&single).await));
    let digest = many.digest().await.unwrap();
    assert_eq!(digest.confirmados, single.digest().await.unwrap().confirmados);
    assert_eq!(digest.confirmados, crate::world::digest_of(&settled_in(&many).await));
    assert_eq!(all_tokens(&many).await.page.rows.iter().filter(|t| t.is_sold()).count(), sold.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_postgres() {
    together_they_get_what_they_get_one_by_one(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_serializable() {
    together_they_get_what_they_get_one_by_one(Kind::Serializable).await;
}

/// In a large catalogue each list with a filter waits for the turn of a search; nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_searches_have_no_turn_all_else_is_answered() {
    let data = with_field(Kind::Postgres, 30).await;
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    store.version().await.unwrap();
    let url = data.options().store.to_string();
    let (_, database) = url.rsplit_once('/').unwrap();
    let ServiceStore::Postgres(schema) = opened else { panic!("not a database") };
    let turn = schema.scan().await.unwrap();
    let filtered = [
        ListQuery { nombre: Some("a".to_owned()), ..ALL },
        ListQuery { precio_min: Some(monto(1)), ..ALL },
        ListQuery { precio_max: Some(monto(1)), ..ALL },
        ListQuery { vendido: Some(true), ..ALL },
    ];
    for query in &filtered {
        store.list(query.clone()).await.unwrap();
    }
    Server::shared().execute(database, "update tokens.cuentas set tokens = 10001 where parte = 0").await;
    store.version().await.unwrap();
    let asked = join_all(filtered.iter().map(|query| store.list(query.clone()))).await;
    assert!(asked.iter().all(|answer| matches!(answer, Err(Error::TooManySearches))), "{asked:?}");
    assert_eq!(store.list(ALL).await.unwrap().page.rows.len(), 30);
    assert_eq!(store.token(id(1)).await.unwrap().id, id(1));
    assert!(store.hold(intento("a#1"), request(1, 1)).await.unwrap().is_new);
    drop(turn);
    for query in filtered {
        store.list(query).await.unwrap();
    }
}
