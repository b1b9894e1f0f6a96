//! Requests that go to a database together.

use crate::law::{abort, commit, intento, word};
use futures_util::future::join_all;
use journal::StoreError;
use market::domain::{TokenId, UsuarioId};
use market::store::ServiceStore;
use testkit::data::{Kind, TestData};
use transacciones::domain::{Transaccion, Word};
use transacciones::store::Store;
use transacciones::store::state::State;

/// The next one of a row that its seed makes.
fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// All but the id, which a batch may give in another order, and the time.
fn facts(t: &Transaccion) -> String {
    format!("{:?} {} {} {}", t.intento, t.usuario_id, t.token_id, t.precio)
}

/// One of the operations, under a key that the dice choose.
async fn one(store: &Store, operation: u64, mut state: u64) -> String {
    let i = format!("k{}#{}", dice(&mut state) % 40, 1 + dice(&mut state) % 3);
    let (buyer, what) = (1 + dice(&mut state) % 3, 1 + dice(&mut state) % 5);
    match operation {
        0 => match word(store, intento(&i).clave.as_str()).await {
            Word::Bought(t) => facts(&t),
            other => format!("{other:?}"),
        },
        1 => format!("{:?}", commit(store, &i, buyer, what).await.map(|t| facts(&t))),
        _ => format!("{:?}", abort(store, &i).await),
    }
}

async fn together_they_get_what_they_get_one_by_one(kind: Kind) {
    let (many, single) = (TestData::new(kind, &[]).await, TestData::new(kind, &[]).await);
    let (many, single) = (Store::new(many.open()), Store::new(single.open()));
    let mut state = 7;
    for round in 0..30 {
        let operation = dice(&mut state) % 3;
        let seeds: Vec<_> = (0..1 + dice(&mut state) % 16).map(|_| dice(&mut state)).collect();
        let together = join_all(seeds.iter().map(|&seed| one(&many, operation, seed))).await;
        for (n, &seed) in seeds.iter().enumerate() {
            assert_eq!(together[n], one(&single, operation, seed).await, "request {n} of round {round}");
        }
    }
    let (many, single) = (many.closing().await.unwrap(), single.closing().await.unwrap());
    assert!(many.transacciones > 5, "{many:?}");
    assert_eq!(many, single);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_postgres() {
    together_they_get_what_they_get_one_by_one(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_serializable() {
    together_they_get_what_they_get_one_by_one(Kind::Serializable).await;
}

/// A user's list counts its rows, and waits for the turn of such a list; nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_purchases_are_counted_all_else_is_answered() {
    let data = TestData::new(Kind::Postgres, &[]).await;
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    commit(&store, "a#1", 1, 7).await.unwrap();
    let ServiceStore::Postgres(schema) = opened else { panic!("not a database") };
    let (usuario, token) = (UsuarioId::new(1), TokenId::new(7));
    let turn = schema.scan().await.unwrap();
    let counted = store.list(usuario, None, None, 1).await;
    assert!(matches!(counted, Err(StoreError::Busy)), "{counted:?}");
    commit(&store, "b#1", 1, 8).await.unwrap();
    assert_eq!(store.list(None, None, None, 1).await.unwrap().total, 2);
    assert_eq!(store.list(usuario, token, None, 1).await.unwrap().total, 1);
    drop(turn);
    assert_eq!(store.list(usuario, None, None, 1).await.unwrap().total, 2);
}
