//! What only a database does: it is late, goes away, comes back, and takes no writes for a while.

use crate::law::{balanced, id, intento, request, saldo, trouble};
use futures_util::future::join_all;
use journal::StoreError;
use market::participant::HoldStore;
use market::store::ServiceStore;
use pg::run;
use testkit::data::TestData;
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};
use usuarios::store::Store;
use usuarios::store::state::State;

async fn ready(opened: &ServiceStore<State>) {
    eventually(PATIENCE, async || opened.backend().health().ok()).await;
}

async fn not_ready(opened: &ServiceStore<State>) {
    eventually(PATIENCE, async || opened.backend().health().err()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_late_is_waited_for() {
    let server = Server::start("");
    server.down();
    let data = TestData::on(&server.url("postgres"));
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    assert!(opened.backend().health().is_err());
    assert!(matches!(
        trouble(store.create("Ana".to_owned(), crate::law::monto(5)).await),
        StoreError::Io { .. }
    ));
    server.up();
    ready(&opened).await;
    assert_eq!(store.create("Ana".to_owned(), crate::law::monto(5)).await.unwrap().id, id(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_loses_and_doubles_nothing() {
    let server = Server::start("");
    let data = TestData::on(&server.url("postgres"));
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    ready(&opened).await;
    store.create("Ana".to_owned(), crate::law::monto(1_000_000)).await.unwrap();
    let client = async |n: usize| {
        let mut made = 0;
        for turn in 0..60 {
            let i = intento(&format!("k{n}-{turn}#1"));
            // as a coordinator does: the same call until there is an answer
            made += eventually(PATIENCE, async || store.hold(i.clone(), request(1, 1)).await.ok().map(|_| 1))
                .await;
        }
        made
    };
    let crashes = async {
        for _ in 0..2 {
            tokio::task::block_in_place(|| server.kill());
            not_ready(&opened).await;
            tokio::task::block_in_place(|| server.up());
            ready(&opened).await;
        }
        0
    };
    let (made, _) = tokio::join!(join_all((0..8).map(client)), crashes);
    assert_eq!(made.iter().sum::<u64>(), 480);
    assert_eq!(balanced(&store, 1).await, 1_000_000 - 480);
    assert_eq!(store.digest().await.unwrap().pendientes, 480);
    let ServiceStore::Postgres(schema) = &opened else { panic!() };
    assert!(schema.database().retries() > 0, "turns were taken again");
}

/// sqlx sends BEGIN and forgets it where nobody waits for the answer. Whoever got that connection next was told of writes
/// that never were committed; the laboratory lost a purchase that way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_given_up_while_it_began_takes_nobodys_writes_along() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let opened = TestData::on(&url).patient().open::<State>();
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), crate::law::monto(100)).await.unwrap();
    let ServiceStore::Postgres(schema) = &opened else { panic!() };
    let given_up = async || -> Result<(), StoreError> {
        run!(schema.repeatable(), |c, _| {
            tokio::select! {
                biased;
                // on a busy machine it may be answered at once
                _ = c.begin() => {}
                () = std::future::ready(()) => {}
            }
            Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
        })
    };
    let hold = &async |i: &str| {
        eventually(PATIENCE, async || store.hold(intento(i), request(1, 1)).await.ok()).await;
    };
    let mut other = server.connect(database).await;
    for n in 1..=20 {
        // as many as there are connections
        join_all((0..4).map(|_| given_up())).await.into_iter().for_each(|done| assert!(done.is_err()));
        join_all((0..4).map(|m| async move { hold(&format!("k{n}-{m}#1")).await })).await;
        let seen =
            sqlx::query_scalar::<_, i64>("select count(*) from usuarios.movimientos where tipo = 'cargo'");
        assert_eq!(seen.fetch_one(&mut other).await.unwrap(), 4 * n, "what was answered is committed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_no_writes_is_not_ready_until_it_does() {
    let server = Server::start("");
    let data = TestData::on(&server.url("postgres"));
    let opened = data.open::<State>();
    let store = Store::new(opened.clone());
    ready(&opened).await;
    store.create("Ana".to_owned(), crate::law::monto(5)).await.unwrap();
    server.execute("postgres", "alter system set default_transaction_read_only = on").await;
    server.execute("postgres", "select pg_reload_conf()").await;
    not_ready(&opened).await;
    eventually(PATIENCE, async || match trouble(store.hold(intento("a#1"), request(1, 1)).await) {
        StoreError::Io { .. } => Some(()),
        // where its time is over while the server is asked once more, nobody has heard the server refuse
        StoreError::Unknown { reason } if reason.contains("no answer in time") => None,
        told => panic!("{told}"),
    })
    .await;
    assert_eq!(saldo(&store, 1).await, 5, "reads go on");
    server.execute("postgres", "alter system reset default_transaction_read_only").await;
    server.execute("postgres", "select pg_reload_conf()").await;
    ready(&opened).await;
    assert!(store.hold(intento("a#1"), request(1, 1)).await.unwrap().is_new);
}

#[tokio::test]
async fn a_balance_or_a_ledger_that_was_edited_shows_in_the_digest() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Store::new(TestData::on(&url).patient().open());
    for n in [5, 6, 7] {
        store.create("x".to_owned(), crate::law::monto(n)).await.unwrap();
    }
    assert!(store.hold(intento("a#1"), request(1, 1)).await.unwrap().is_new);
    let descuadrados = async || store.digest().await.unwrap().descuadrados;
    assert_eq!(descuadrados().await, 0);
    server.execute(database, "update usuarios.usuarios set saldo = saldo + 1 where id = 2").await;
    assert_eq!(descuadrados().await, 1);
    server.execute(database, "delete from usuarios.movimientos where clave = 'a'").await;
    assert_eq!(descuadrados().await, 2);
}

/// A check that is null holds: each column of each kind of line is tried as null, too.
#[tokio::test]
async fn the_schema_refuses_what_breaks_the_law() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Store::new(TestData::on(&url).patient().open());
    store.create("x".to_owned(), crate::law::monto(5)).await.unwrap();
    let tried = async |sql: String| {
        let mut connection = server.connect(database).await;
        let done =
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("begin; {sql}; rollback"))).execute(&mut connection);
        done.await.map_err(|e| e.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned())
    };
    let line = |values: &[&str]| {
        let values = values.join(", ");
        format!(
            "insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado) values ({values})"
        )
    };
    let legal = [
        ["1", "99", "'apertura'", "1", "now()", "null", "null", "true"],
        ["1", "99", "'ajusteAlza'", "1", "now()", "null", "null", "true"],
        ["1", "99", "'ajusteBaja'", "-1", "now()", "null", "null", "true"],
        ["1", "99", "'abono'", "1", "now()", "'k'", "null", "true"],
        ["1", "99", "'cargo'", "-1", "now()", "'k'", "1", "false"],
    ];
    for values in legal {
        assert_eq!(tried(line(&values)).await.map(drop), Ok(()), "{values:?}");
        for column in (0..8).filter(|c| values[*c] != "null") {
            let mut without = values;
            without[column] = "null";
            let refused = tried(line(&without)).await.map(drop);
            assert!(
                matches!(refused.as_ref().map_err(String::as_str), Err("23502" | "23514")),
                "{without:?}: {refused:?}"
            );
        }
    }
    for impossible in [
        "update usuarios.usuarios set saldo = -1 where id = 1".to_owned(),
        "update usuarios.usuarios set saldo = 9007199254740992 where id = 1".to_owned(),
        line(&["99", "99", "'apertura'", "1", "now()", "null", "null", "true"]),
        line(&["1", "99", "'otro'", "1", "now()", "null", "null", "true"]),
        line(&["1", "99", "'apertura'", "-1", "now()", "null", "null", "true"]),
        line(&["1", "99", "'apertura'", "1", "now()", "'k'", "null", "true"]),
        line(&["1", "99", "'abono'", "1", "now()", "'k'", "1", "true"]),
        line(&["1", "99", "'abono'", "1", "now()", "'k'", "null", "false"]),
        line(&["1", "99", "'cargo'", "1", "now()", "'k'", "1", "false"]),
        line(&["1", "99", "'cargo'", "-1", "now()", "'k'", "0", "false"]),
    ] {
        let refused = tried(impossible.clone()).await.map(drop);
        assert!(
            matches!(refused.as_ref().map_err(String::as_str), Err("23514" | "23503")),
            "{impossible}: {refused:?}"
        );
    }
}
