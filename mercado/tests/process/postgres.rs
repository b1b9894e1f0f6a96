//! Processes that share a database and a Redis, and no file.

use crate::helpers::{Process, check, compra, filled, read};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{Api, PATIENCE, RedisServer, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_sell_each_token_once_and_show_it_at_once_while_one_is_killed_and_redis_with_it() {
    const TOKENS: u64 = 60;
    let (mut redis, database) = (RedisServer::start().await, Server::shared().database().await);
    let seed = filled(6, TOKENS);
    let arrays = seed.path().join("datos").display().to_string();
    let url = redis.url();
    let times = ["--purchase-deadline-ms=3000", "--orphan-age-ms=3500"];
    let options = ["--store", &database, "--redis-url", &url, "--seed-dir", &arrays, times[0], times[1]];
    let start = async || Process::on(Arc::new(TempDir::new().unwrap()), &options).await;
    let (one, two) = (start().await, start().await);
    let bought = AtomicU64::new(0);
    let customer = async |of: u64| {
        // the first process will be killed: its customers go to the other one, with what they asked for
        let apis: [&Api; 2] = [&one.api, &two.api];
        for token in 1..=TOKENS {
            let key = format!("c{of}-{token}");
            let answer = eventually(PATIENCE, async || {
                for api in if of.is_multiple_of(2) { apis } else { [apis[1], apis[0]] } {
                    let call = compra(api, of, token).header("Idempotency-Key", &key).attempt().await;
                    if let Ok(answer) = call.map(|a| (a.status, a.code()))
                        && answer.0 != 503
                    {
                        return Some(answer);
                    }
                }
                None
            })
            .await;
            match answer {
                (201, _) => {
                    bought.fetch_add(1, Ordering::SeqCst);
                    let shop = read(&two.api, "/tokens?limite=1000&vendido=false").await;
                    let free: Vec<serde_json::Value> = shop.read();
                    assert!(free.iter().all(|t| t["id"] != token), "{token} is sold, and shown as free");
                }
                // somebody else has it, or holds it and may yet let it go
                (409, codigo) => assert_eq!(codigo, "token-no-disponible"),
                other => panic!("{other:?}"),
            }
        }
    };
    let trouble = async {
        eventually(PATIENCE, async || (bought.load(Ordering::SeqCst) > TOKENS / 4).then_some(())).await;
        one.signal("KILL");
        redis.kill();
        redis.restart().await;
    };
    tokio::join!(join_all((1..=6).map(customer)), trouble);
    assert!(bought.load(Ordering::SeqCst) > TOKENS / 2, "{bought:?}");
    let again = start().await;
    let purchases = check(&again.api, 1000).await;
    assert!(purchases.len() as u64 >= bought.load(Ordering::SeqCst));
    assert_eq!(check(&two.api, 1000).await, purchases);
    let hits = eventually(PATIENCE, async || {
        let hits = two.api.get("/hits").await.json();
        (hits["compartido"] == true).then_some(hits)
    });
    assert!(hits.await["hits"].as_u64().unwrap() > 0);
}
