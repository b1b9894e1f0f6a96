//! Requests that go to a database together.

use crate::law::{dice, dos, id, intento, monto, open, pending_in, request, saldo};
use futures_util::future::join_all;
use market::contract::Hold;
use market::domain::MAX_INTEGER;
use market::participant::HoldStore;
use market::store::ServiceStore;
use std::fmt::Debug;
use testkit::data::{Kind, TestData};
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};
use usuarios::error::Error;
use usuarios::store::Store;
use usuarios::store::state::State;

fn said<T: Debug>(answer: &Result<T, Error>) -> String {
    format!("{answer:?}")
}

/// One of the operations, of a purchase whose key and user the dice choose.
async fn one(store: &Store, operation: u64, mut state: u64) -> String {
    let i = intento(&format!("k{}#{}", dice(&mut state) % 12, 1 + dice(&mut state) % 2));
    // usuario 3 is nobody
    let (usuario, amount) = (1 + dice(&mut state) % 3, dice(&mut state) % 50);
    match operation {
        0 => said(&store.confirm(i).await),
        1 => said(&store.cancel(i).await),
        2 => said(&store.usuario(id(usuario)).await),
        _ => said(&store.hold(i, request(usuario, amount)).await),
    }
}

/// All but the times.
fn facts(holds: &[Hold]) -> Vec<String> {
    let mut facts: Vec<_> =
        holds.iter().map(|h| format!("{} {} {}", h.intento, h.usuario_id, h.monto)).collect();
    facts.sort();
    facts
}

async fn together_they_get_what_they_get_one_by_one(kind: Kind) {
    let (many, single) = (dos(kind).await, dos(kind).await);
    let (many, single) = (open(&many), open(&single));
    let mut state = 7;
    for round in 0..40 {
        let operation = dice(&mut state) % 6;
        let seeds: Vec<_> = (0..1 + dice(&mut state) % 48).map(|_| dice(&mut state)).collect();
        let together = join_all(seeds.iter().map(|&seed| one(&many, operation, seed))).await;
        for (n, &seed) in seeds.iter().enumerate() {
            assert_eq!(together[n], one(&single, operation, seed).await, "request {n} of round {round}");
        }
        for usuario in [1, 2] {
            assert_eq!(saldo(&many, usuario).await, saldo(&single, usuario).await, "round {round}");
        }
    }
    assert_eq!(facts(&pending_in(&many).await), facts(&pending_in(&single).await));
    let (many, single) = (many.digest().await.unwrap(), single.digest().await.unwrap());
    assert!(many.confirmados.cuenta > 0 && many.descuadrados == 0, "{many:?}");
    assert_eq!(many.confirmados, single.confirmados);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_postgres() {
    together_they_get_what_they_get_one_by_one(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_they_get_what_they_get_one_by_one_on_serializable() {
    together_they_get_what_they_get_one_by_one(Kind::Serializable).await;
}

/// Statements that wait for somebody's lock.
pub async fn blocked(server: &Server, database: &str) {
    let sql = format!(
        "select count(*) from pg_stat_activity where datname = '{database}' and wait_event_type = 'Lock'"
    );
    eventually(PATIENCE, async || (server.count("postgres", &sql).await > 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_while_a_batch_is_under_way_go_together() {
    let server = Server::shared();
    let url = server.database().await;
    let database = url.rsplit_once('/').unwrap().1;
    let opened = TestData::on(&url).patient().open::<State>();
    let ServiceStore::Postgres(schema) = &opened else { panic!() };
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    let before = schema.database().batches();
    let mut other = server.connect(database).await;
    sqlx::raw_sql("begin; select * from usuarios.usuarios for update").execute(&mut other).await.unwrap();
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.hold(intento("first#1"), request(1, 1)).await }
    });
    blocked(server, database).await;
    // of more, half would go first
    let others: Vec<_> = (0..31).map(|n| format!("k{n}#1")).collect();
    let others = join_all(others.iter().map(|i| store.hold(intento(i), request(1, 1))));
    let rollback = async {
        sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    };
    // the others are asked for before the first one can go on
    let (others, ()) = tokio::join!(others, rollback);
    assert!(first.await.unwrap().unwrap().is_new);
    assert!(others.into_iter().all(|held| held.unwrap().is_new));
    assert_eq!(schema.database().batches() - before, 2);
    assert_eq!(saldo(&store, 1).await, 1000 - 32);
}

/// A row that somebody else has locked holds up the operation that wants it, and no other one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_stands_still_keeps_no_other_operation_waiting() {
    let server = Server::shared();
    let url = server.database().await;
    let database = url.rsplit_once('/').unwrap().1;
    let store = Store::new(TestData::on(&url).patient().open::<State>());
    for nombre in ["Ana", "Luis"] {
        store.create(nombre.to_owned(), monto(1000)).await.unwrap();
    }
    store.hold(intento("luis#1"), request(2, 1)).await.unwrap();
    let mut other = server.connect(database).await;
    sqlx::raw_sql("begin; select * from usuarios.usuarios where id = 1 for update")
        .execute(&mut other)
        .await
        .unwrap();
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.hold(intento("ana#1"), request(1, 1)).await }
    });
    blocked(server, database).await;
    store.confirm(intento("luis#1")).await.unwrap();
    assert!(!first.is_finished());
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    assert!(first.await.unwrap().unwrap().is_new);
}

/// What is wrong with one row of a statement undoes the statement. The others are done without that row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_fails_does_not_disturb_those_beside_it() {
    let data = dos(Kind::Postgres).await;
    let store = open(&data);
    for n in 0..30 {
        store.hold(intento(&format!("k{n}#1")), request(2, 1)).await.unwrap();
    }
    store.hold(intento("full#1"), request(1, 60)).await.unwrap();
    store.credit(id(1), monto(MAX_INTEGER - 50), "abono".parse().unwrap()).await.unwrap();
    let mut claves: Vec<_> = (0..30).map(|n| format!("k{n}#1")).collect();
    claves.insert(17, "full#1".to_owned());
    let refunded = join_all(claves.iter().map(|clave| store.cancel(intento(clave)))).await;
    for (clave, answer) in claves.iter().zip(refunded) {
        match answer {
            Err(Error::SaldoTooHigh { .. }) if clave == "full#1" => {}
            Ok(()) if clave != "full#1" => {}
            other => panic!("{clave}: {other:?}"),
        }
    }
    assert_eq!(saldo(&store, 2).await, 150);
    assert_eq!(facts(&pending_in(&store).await), ["full#1 1 60"]);
}
