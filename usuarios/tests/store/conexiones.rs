//! What stands between a process and its database: proxies, networks that forget, several hosts, standbys; and too many who
//! wait.

use crate::batches::blocked;
use crate::law::{balanced, id, intento, monto, request, saldo, trouble};
use futures_util::future::join_all;
use journal::StoreError;
use market::participant::HoldStore;
use market::store::ServiceStore;
use std::time::{Duration, Instant};
use testkit::data::TestData;
use testkit::postgres::Server;
use testkit::{Nat, PATIENCE, PgBouncer, eventually, free_port};
use usuarios::store::Store;
use usuarios::store::state::State;

/// What PgBouncer ignores and how many sessions it shares, where each process has more.
const SHARED: &str = "extra_float_digits,options\ndefault_pool_size = 2";

fn name(url: &str) -> &str {
    url.rsplit_once('/').expect("a database").1
}

async fn ready(opened: &ServiceStore<State>) {
    eventually(PATIENCE, async || opened.backend().health().ok()).await;
}

/// Waits until it says why it is not ready, in words that have this in them.
async fn not_ready(opened: &ServiceStore<State>, why: &str) {
    eventually(PATIENCE, async || opened.backend().health().err().filter(|said| said.contains(why))).await;
}

async fn charge(store: &Store, i: &str) {
    assert!(store.hold(intento(i), request(1, 1)).await.unwrap().is_new);
}

/// Connections of the tests' processes to a database.
async fn connections(server: &Server, database: &str) -> i64 {
    let sql = format!(
        "select count(*) from pg_stat_activity
         where datname = '{database}' and application_name like 'prueba#%'"
    );
    server.count("postgres", &sql).await
}

/// No lock is taken where nothing is to be migrated, and one that is taken ends with its transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_shares_sessions_every_start_is_ready_and_leaves_no_lock() {
    let server = Server::shared();
    let url = server.database().await;
    let bouncer = PgBouncer::before(server, "transaction", SHARED).await;
    let through = TestData::on(&bouncer.url(name(&url)));
    // the first ones migrate, at once; the later ones find it done
    let first: Vec<_> = (0..3).map(|_| through.open::<State>()).collect();
    join_all(first.iter().map(ready)).await;
    for _ in 0..6 {
        ready(&through.open::<State>()).await;
    }
    let held = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                where l.locktype = 'advisory' and d.datname = current_database()";
    assert_eq!(server.count(name(&url), held).await, 0);
    let direct = TestData::on(&url).patient().open::<State>();
    ready(&direct).await;
    assert_eq!(Store::new(direct).create("Ana".to_owned(), monto(5)).await.unwrap().id, id(1));
}

/// What the requests' connections ask for, the one that looks asks for too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_refuses_the_pool_it_is_not_ready_and_says_why() {
    let server = Server::shared();
    let url = server.database().await;
    ready(&TestData::on(&url).open::<State>()).await;
    let bouncer = PgBouncer::before(server, "transaction", "extra_float_digits").await;
    not_ready(&TestData::on(&bouncer.url(name(&url))).open::<State>(), "options").await;
}

/// Requests would meet another session's statements, or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_mixes_up_prepared_statements_it_is_not_ready_and_says_what_to_do() {
    let server = Server::shared();
    let url = server.database().await;
    ready(&TestData::on(&url).open::<State>()).await;
    // each transaction goes to the server that was used last, or each to another one
    for way in ["default_pool_size = 1", "default_pool_size = 2\nserver_round_robin = 1"] {
        let ignored = format!("extra_float_digits,options\n{way}");
        let bouncer = PgBouncer::before(server, "transaction", &ignored).await;
        let opened = TestData::on(&bouncer.url(name(&url))).open::<State>();
        let store = Store::new(opened.clone());
        eventually(PATIENCE, async || {
            let told =
                trouble(Err::<(), _>(store.create("Ana".to_owned(), monto(5)).await.err()?)).to_string();
            // one whose time was over in its first turn has met nothing
            if told.ends_with("no answer in time") || told.contains("pool timed out") {
                return None;
            }
            assert!(told.contains("pool_mode = session"), "{told}");
            Some(())
        })
        .await;
        not_ready(&opened, "max_prepared_statements").await;
    }
    let bouncer = PgBouncer::before(server, "session", "extra_float_digits,options").await;
    ready(&TestData::on(&bouncer.url(name(&url))).open::<State>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_encoding_is_refused_and_its_encoding_named() {
    let server = Server::shared();
    for encoding in ["LATIN1", "WIN1252"] {
        let database = encoding.to_lowercase();
        let sql = format!(
            "create database {database} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
        );
        server.execute("postgres", &sql).await;
        let opened = TestData::on(&server.url(&database)).open::<State>();
        not_ready(&opened, &format!("its encoding must be UTF8, and is {encoding}")).await;
        let store = Store::new(opened);
        // a look that the machine held up says something else, until the next one
        eventually(PATIENCE, async || {
            let told = trouble(store.create("Ана".to_owned(), monto(5)).await);
            let StoreError::Io { reason } = &told else { panic!("{told}") };
            assert!(reason.contains("UTF8") || reason.contains("in time"), "{told}");
            reason.contains("UTF8").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_hosts_the_one_that_takes_writes_is_used() {
    let (standby, primary) = (Server::start(""), Server::shared());
    let database = name(&primary.database().await).to_owned();
    for sql in [
        &format!("create database {database}"),
        "alter system set default_transaction_read_only = on",
        "select pg_reload_conf()",
    ] {
        standby.execute("postgres", sql).await;
    }
    // a port where nobody listens, one that takes no writes, and the right one
    let hosts =
        format!("127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}", free_port(), standby.port(), primary.port());
    let opened = TestData::on(&format!("postgres://postgres@{hosts}/{database}")).patient().open::<State>();
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), monto(5)).await.unwrap();
    ready(&opened).await;
    assert_eq!(primary.count(&database, "select count(*) from usuarios.usuarios").await, 1);
}

/// A NAT, or a firewall, forgets connections that were idle. Neither end is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_network_has_forgotten_cost_no_request_its_answer() {
    let server = Server::shared();
    let url = server.database().await;
    let nat = Nat::before(([127, 0, 0, 1], server.port()).into()).await;
    let opened = TestData::on(&format!("postgres://postgres@{}/{}", nat.address, name(&url))).open::<State>();
    let store = Store::new(opened.clone());
    ready(&opened).await;
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    // as many as there are connections, so that each of them is idle afterwards
    let charges = async |round: &str| {
        let claves: Vec<_> = (0..4).map(|n| format!("{round}-{n}#1")).collect();
        join_all(claves.iter().map(|clave| charge(&store, clave))).await;
    };
    charges("before").await;
    let used = Instant::now();
    nat.forget();
    eventually(PATIENCE, async || (used.elapsed() > Duration::from_millis(150)).then_some(())).await;
    charges("after").await;
    assert_eq!(balanced(&store, 1).await, 1000 - 8);
    // the server is rid of those that lead nowhere: four of the pool are left, one that looks, and perhaps one that helps it
    eventually(PATIENCE, async || (connections(server, name(&url)).await <= 6).then_some(())).await;
    ready(&opened).await;
}

/// A commit that waits for a standby may be there later, and may not: its connection counts until the server has ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_standby_answers_it_is_not_ready_and_the_server_gets_no_more_connections() {
    let server = Server::start("");
    let opened = TestData::on(&server.url("postgres")).open::<State>();
    let store = Store::new(opened.clone());
    ready(&opened).await;
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    let standby = async |names: &str| {
        server.execute("postgres", &format!("alter system set synchronous_standby_names = '{names}'")).await;
        server.execute("postgres", "select pg_reload_conf()").await;
    };
    standby("gone").await;
    not_ready(&opened, "does not commit").await;
    // three rounds of more charges than there are connections; each of them is told that nobody knows, or that none was made
    for round in 0..3 {
        let claves: Vec<_> = (0..8).map(|n| format!("{round}-{n}#1")).collect();
        let charged = claves.iter().map(|clave| store.hold(intento(clave), request(1, 1)));
        for answer in join_all(charged).await {
            trouble(answer);
        }
        // one that nobody holds any more may still be leaving; one whose commit waits stays
        assert!(connections(&server, "postgres").await <= 4 + 2 + 8, "round {round}");
        eventually(PATIENCE, async || (connections(&server, "postgres").await <= 4 + 2).then_some(())).await;
    }
    assert!(opened.backend().health().is_err());
    standby("").await;
    ready(&opened).await;
    for clave in ["0-0#1", "2-7#1", "new#1"] {
        // whether an earlier call was done or not, this one is answered, and done once
        store.hold(intento(clave), request(1, 1)).await.unwrap();
    }
    let charged = store.digest().await.unwrap().pendientes;
    assert_eq!(balanced(&store, 1).await, 1000 - charged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_a_full_queue_is_told_at_once_and_the_others_are_served() {
    let server = Server::shared();
    let url = server.database().await;
    let opened = TestData::on(&url).limited(1, 2).patient().open::<State>();
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    let mut other = server.connect(name(&url)).await;
    let lock = "begin; select * from usuarios.usuarios for update";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    // one is at work on the only connection, two wait for it, and four find the queue full; unless the task that posts is one
    // of those three
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.hold(intento("first#1"), request(1, 1)).await }
    });
    blocked(server, name(&url)).await;
    let claves: Vec<_> = (0..6).map(|n| format!("k{n}#1")).collect();
    let (mut served, mut full) = (Vec::new(), 0);
    for clave in &claves {
        let mut call = Box::pin(store.hold(intento(clave), request(1, 1)));
        match futures_util::poll!(call.as_mut()) {
            std::task::Poll::Pending => served.push(call),
            std::task::Poll::Ready(answer) => {
                let told = trouble(answer);
                assert!(matches!(&told, StoreError::Busy), "{told}");
                full += 1;
            }
        }
    }
    assert!(full >= 4, "{full}");
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    assert!(first.await.unwrap().unwrap().is_new);
    for answer in join_all(served).await {
        assert!(answer.unwrap().is_new);
    }
    assert_eq!(saldo(&store, 1).await, 1000 - (7 - full));
}

/// Lists whose totals count rows have one of these four connections, however many ask and however long one takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_lists_are_counted_all_else_is_answered() {
    let server = Server::shared();
    let url = server.database().await;
    let opened = TestData::on(&url).patient().open::<State>();
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    let mut other = server.connect(name(&url)).await;
    let lock = "begin; lock table usuarios.cuentas in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let lists: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.accounts(0, 1).await })
        })
        .collect();
    blocked(server, name(&url)).await;
    for n in 0..4 {
        charge(&store, &format!("k{n}#1")).await;
    }
    assert_eq!(saldo(&store, 1).await, 1000 - 4);
    sqlx::raw_sql("rollback").execute(&mut other).await.unwrap();
    // whether they were answered or not depends on how long the charges took
    join_all(lists).await;
    let ServiceStore::Postgres(schema) = opened else { panic!("not a database") };
    let turn = schema.scan().await.unwrap();
    let (users, lines, accounts) =
        tokio::join!(store.usuarios(None, 1), store.movimientos(id(1), 0, 1), store.accounts(0, 1));
    for told in [trouble(users.map(drop)), trouble(lines.map(drop)), trouble(accounts.map(drop))] {
        assert!(matches!(told, StoreError::Busy), "{told}");
    }
    drop(turn);
    assert_eq!(store.usuarios(None, 1).await.unwrap().total, 1);
    assert_eq!(store.movimientos(id(1), 0, 1).await.unwrap().total, 5);
}

/// What the database refuses for good is told as such, leaves no trace, and goes once somebody has mended it. Where a table or
/// a privilege is missing, the process is not ready meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_will_not_do_is_no_reason_to_try_again() {
    let server = Server::shared();
    let url = server.database().await;
    let sql = async |sql: &str| server.execute(name(&url), sql).await;
    sql("create role limitado login; create schema usuarios authorization limitado").await;
    let opened = TestData::on(&url.replace("postgres@", "limitado@")).patient().open::<State>();
    let store = Store::new(opened.clone());
    store.create("Ana".to_owned(), monto(1000)).await.unwrap();
    ready(&opened).await;
    sql("create function usuarios.no() returns trigger language plpgsql as $$begin raise 'no'; end$$").await;
    let troubles = [
        (
            "create trigger no before insert on usuarios.movimientos for each row execute function usuarios.no()",
            "drop trigger no on usuarios.movimientos",
            None,
        ),
        (
            "revoke insert, update on usuarios.movimientos from limitado",
            "grant insert, update on usuarios.movimientos to limitado",
            Some("its role may not insert in usuarios.movimientos"),
        ),
        (
            "alter table usuarios.movimientos rename to otra",
            "alter table usuarios.otra rename to movimientos",
            Some("usuarios.movimientos is missing"),
        ),
    ];
    for (n, (trouble_sql, mending_sql, why)) in (0..).zip(troubles) {
        sql(trouble_sql).await;
        let clave = format!("k{n}#1");
        // alone, and in a batch
        for answer in join_all((0..3).map(|_| store.hold(intento(&clave), request(1, 1)))).await {
            let told = trouble(answer);
            assert!(matches!(&told, StoreError::Rejected { .. }), "{trouble_sql}: {told}");
        }
        match why {
            Some(why) => not_ready(&opened, why).await,
            None => ready(&opened).await,
        }
        assert_eq!(saldo(&store, 1).await, 1000 - n, "what can be done is done");
        sql(mending_sql).await;
        ready(&opened).await;
        charge(&store, &clave).await;
    }
    assert_eq!(balanced(&store, 1).await, 1000 - 3);
    sql("revoke delete on usuarios.movimientos from limitado").await;
    not_ready(&TestData::on(&url.replace("postgres@", "limitado@")).open::<State>(), "may not delete").await;
}

/// Rows that somebody put in by SQL, past the sequences and past what this program would write.
#[tokio::test]
async fn rows_that_were_put_in_by_hand_are_no_reason_to_try_again_for_ever() {
    let server = Server::shared();
    let url = server.database().await;
    let opened = TestData::on(&url).patient().open::<State>();
    let store = Store::new(opened.clone());
    ready(&opened).await;
    let by_hand =
        "insert into usuarios.usuarios (id, nombre, saldo) select n, 'x', 5 from generate_series(1, 20) n;
                   insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave)
                       select 1, n, 'abono', 1, now(), 'ñ' || n from generate_series(1, 20) n";
    server.execute(name(&url), by_hand).await;
    assert_eq!(store.create("Ana".to_owned(), monto(5)).await.unwrap().id, id(21));
    charge(&store, "a#1").await;
    // what cannot be read is said as such: to ask again is of no use
    let unreadable = trouble(store.movimientos(id(1), 0, 10).await);
    assert!(matches!(unreadable, StoreError::Rejected { .. }), "{unreadable}");
}
