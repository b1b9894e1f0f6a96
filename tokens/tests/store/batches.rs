//! Requests that go to a database together.

use crate::world::{all_tokens, dice, id, intento, open, pending_in, request, settled_in, with_field};
use futures_util::future::join_all;
use market::contract::Hold;
use market::participant::HoldStore;
use std::fmt::Debug;
use testkit::data::Kind;
use tokens::error::Error;
use tokens::store::Store;

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
