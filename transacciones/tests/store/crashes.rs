//! What only a database does.

use crate::law::{commit, compra, intento};
use futures_util::future::join_all;
use journal::Need;
use market::domain::Monto;
use testkit::data::TestData;
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};
use transacciones::domain::{Fate, Word};
use transacciones::store::{Overtaken, Store};

/// Whoever is told that his attempt is committed finds it; whoever hears of trouble asks again, and never buys twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_database_takes_back_nothing_that_was_decided() {
    let server = Server::start("");
    let data = TestData::on(&server.url("postgres"));
    let stores = [Store::new(data.open()), Store::new(data.open())];
    let client = async |n: usize| {
        let store = &stores[n % 2];
        for turn in 0..40 {
            let i = intento(&format!("k{n}-{turn}#1"));
            let request = compra(i.clave.as_str(), 1, 7);
            let aborts = turn % 4 == 3;
            let said = eventually(PATIENCE, async || {
                if aborts {
                    store
                        .abort(Need::End, i.clone(), request.usuario_id, None)
                        .await
                        .ok()
                        .map(|a| a.map(|()| None))
                } else {
                    store.commit(i.clone(), &request, Monto::ZERO).await.ok().map(|c| c.map(Some))
                }
            })
            .await;
            let word = eventually(PATIENCE, async || store.word(&i.clave).await.ok()).await;
            match said {
                Ok(Some(t)) => assert_eq!(word, Word::Bought(t)),
                Ok(None) => assert_eq!(word.fate(1), Fate::Lost),
                // it was done by a call that had no answer
                Err(Overtaken) => assert_eq!(word.fate(1), Fate::Bought, "{i} {word:?}"),
            }
        }
    };
    let crashes = async {
        for _ in 0..2 {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| server.kill());
            tokio::task::block_in_place(|| server.up());
        }
    };
    tokio::join!(join_all((0..8).map(client)), crashes);
    let bought = eventually(PATIENCE, async || stores[0].following(None, 1000).await.ok()).await;
    assert_eq!(bought.len(), 8 * 30);
}

/// A commit that is under way when a reader looks: Bank of Anthos, which polls `id > last`, skips it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_that_commits_after_later_ids_is_not_skipped() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Store::new(TestData::on(&url).patient().open());
    let first = commit(&store, "k1#1", 1, 7).await.unwrap();
    let mut slow = server.connect(database).await;
    let begin =
        "begin; insert into transacciones.claves (clave, usuario_id, token_id, id, numero, precio, fecha)
                 values ('k2', 1, 7, nextval('transacciones.ids'), 1, 5, now())";
    sqlx::raw_sql(begin).execute(&mut slow).await.unwrap();
    let third = commit(&store, "k3#1", 1, 7).await.unwrap();
    assert_eq!(store.following(Some(first.id), 10).await.unwrap(), std::slice::from_ref(&third));
    sqlx::raw_sql("commit").execute(&mut slow).await.unwrap();
    let late = store.following(Some(third.id), 10).await.unwrap();
    assert_eq!(late.len(), 1);
    assert!(late[0].id < third.id, "its id came first, its commit last");
    let all = store.list(None, None, None, 10).await.unwrap().rows;
    assert_eq!(all, [first, third, late[0].clone()]);
}

/// A check that is null holds: each column of a row that is bought, and of one that is not, is tried as null, too.
#[tokio::test]
async fn the_schema_refuses_what_breaks_the_law() {
    let server = Server::shared();
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let store = Store::new(TestData::on(&url).patient().open());
    commit(&store, "k#1", 1, 7).await.unwrap();
    let tried = async |values: &[&str]| {
        let sql = format!(
            "begin; insert into transacciones.claves (clave, abortado, usuario_id, token_id, id, numero, precio, fecha)
             values ({}); rollback",
            values.join(", ")
        );
        let mut connection = server.connect(database).await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        done.map(drop).map_err(|e| e.as_database_error().unwrap().code().unwrap().into_owned())
    };
    let bought = ["'a'", "1", "1", "7", "99", "2", "5", "now()"];
    let by_hand = ["'#99'", "0", "1", "7", "99", "0", "5", "now()"];
    let aborted = ["'a'", "1", "1", "null", "null", "null", "null", "null"];
    for legal in [bought, by_hand, aborted] {
        assert_eq!(tried(&legal).await, Ok(()), "{legal:?}");
        for column in (0..8).filter(|c| legal[*c] != "null") {
            let mut without = legal;
            without[column] = "null";
            let refused = tried(&without).await;
            assert!(
                matches!(refused.as_ref().map_err(String::as_str), Err("23502" | "23514")),
                "{without:?}: {refused:?}"
            );
        }
    }
    for impossible in [
        ["'k'", "0", "1", "7", "99", "1", "5", "now()"],
        ["'a'", "2", "1", "7", "99", "2", "5", "now()"],
        ["'#98'", "0", "1", "7", "99", "0", "5", "now()"],
        ["'a'", "0", "1", "7", "null", "1", "null", "null"],
        ["'a'", "0", "1", "7", "null", "null", "5", "null"],
        ["'a'", "0", "1", "7", "null", "null", "null", "now()"],
        ["'a'", "0", "1", "7", "0", "1", "5", "now()"],
        ["'a'", "0", "0", "7", "99", "1", "5", "now()"],
    ] {
        let refused = tried(&impossible).await;
        assert!(
            matches!(refused.as_ref().map_err(String::as_str), Err("23505" | "23514")),
            "{impossible:?}: {refused:?}"
        );
    }
}
