//! `GET /tokens` over PostgreSQL, from several pods that share a Redis: a page is never older than what was acknowledged.

use crate::helpers::{Pod, try_path};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use testkit::postgres::Server;
use testkit::{PATIENCE, RedisServer, eventually};

async fn list(pod: &Pod, query: &str) -> Vec<Value> {
    pod.api.get(&format!("/tokens?{query}")).await.expect(200).read()
}

async fn made(pod: &Pod, count: u64) {
    eventually(PATIENCE, async || pod.api.get("/readyz").await.status.eq(&200).then_some(())).await;
    for precio in 1..=count {
        pod.api.post("/tokens").json(json!({"nombre": "Gato Cósmico", "precio": precio})).await.expect(201);
    }
}

/// As a purchase does it; it is the buyer's from when this returns.
async fn buy(pod: &Pod, id: u64) {
    let path = try_path(&format!("k{id}#1"));
    pod.inner.put(&path).json(json!({"tokenId": id, "usuarioId": 7})).await.expect(201);
    pod.inner.put(&format!("{path}/venta")).await.expect(204);
}

/// The pages that Redis has.
fn kept(redis: &RedisServer) -> BTreeSet<String> {
    redis.ask(&["KEYS", "tokens:pagina:*"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_one_pod_wrote_is_sent_by_the_others_until_its_state_is_gone() {
    let (redis, database) = (RedisServer::start().await, Server::shared().database().await);
    let pod = Pod::over(&database, &redis.url());
    made(&pod, 3).await;
    eventually(PATIENCE, async || {
        list(&pod, "orden=-precio&limite=2").await;
        kept(&redis).into_iter().next()
    })
    .await;
    let first = pod.api.get("/tokens?orden=-precio&limite=2").await.expect(200);
    let keys = kept(&redis);
    let key = keys.iter().find(|k| k.ends_with(":orden=-precio&limite=2")).unwrap();

    let other = Pod::over(&database, &redis.url());
    let same = eventually(PATIENCE, async || {
        let answer = other.api.get("/tokens?orden=-precio&limite=2").await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(same.body, first.body);
    for header in ["ETag", "Link", "X-Total-Count", "Content-Type"] {
        assert!(!first.header(header).is_empty());
        assert_eq!(same.header(header), first.header(header), "{header}");
    }
    // a forged page shows that it is read: by a pod that counts in Redis, so is connected, and has not seen this state
    let third = Pod::over(&database, &redis.url());
    eventually(PATIENCE, async || (third.api.get("/hits").await.json()["compartido"] == true).then_some(()))
        .await;
    let forged: String = redis.ask(&["GET", key]);
    redis.ask::<()>(&["SET", key, &forged.replace("Gato", "Pato")]);
    let rows = eventually(PATIENCE, async || {
        let answer = third.api.get("/tokens?orden=-precio&limite=2").await;
        (answer.status == 200).then(|| answer.read::<Vec<Value>>())
    })
    .await;
    assert_eq!(rows[0]["nombre"], "Pato Cósmico");

    buy(&other, 3).await;
    for pod in [&pod, &other, &third] {
        let rows = list(pod, "orden=-precio&limite=2").await;
        assert_eq!((&rows[0]["nombre"], &rows[0]["vendido"]), (&json!("Gato Cósmico"), &json!(true)));
    }
    // nonsense under a page's key is no page
    for pod in [&pod, &other] {
        list(pod, "limite=1").await;
    }
    for key in kept(&redis) {
        redis.ask::<()>(&["SET", &key, "nonsense"]);
    }
    assert_eq!(list(&Pod::over(&database, &redis.url()), "limite=1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_shown_a_sold_token_as_free_whatever_happens_to_redis() {
    const TOKENS: u64 = 120;
    let (mut redis, database) = (RedisServer::start().await, Server::shared().database().await);
    let pods = [Pod::over(&database, &redis.url()), Pod::over(&database, &redis.url())];
    made(&pods[0], TOKENS).await;
    eventually(PATIENCE, async || pods[1].api.get("/readyz").await.status.eq(&200).then_some(())).await;
    // tokens up to here are sold, and their buyers know
    let (sold, done, reads) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let buyer = async {
        for id in 1..=TOKENS {
            buy(&pods[usize::from(id % 2 == 0)], id).await;
            sold.store(id, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    };
    let reader = async |n: usize| {
        let queries = ["limite=1000", "limite=1000&vendido=false", "limite=1000&orden=-precio"];
        for turn in n.. {
            if done.load(Ordering::SeqCst) {
                break;
            }
            let known = sold.load(Ordering::SeqCst);
            let rows = list(&pods[turn % 2], queries[turn % 3]).await;
            let old: Vec<_> =
                rows.iter().filter(|t| t["vendido"] == false && t["id"].as_u64().unwrap() <= known).collect();
            assert!(old.is_empty(), "sold up to {known}, and shown as free: {old:?}");
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let at = async |fraction: u64| {
        eventually(PATIENCE * 3, async || {
            (sold.load(Ordering::SeqCst) >= TOKENS * fraction / 5).then_some(())
        })
        .await;
    };
    let trouble = async {
        at(1).await;
        assert!(!kept(&redis).is_empty(), "pages were shared");
        redis.pause();
        at(2).await;
        redis.resume();
        at(3).await;
        redis.kill();
        redis.restart().await;
        at(4).await;
        redis.set("maxmemory", "1");
    };
    tokio::join!(buyer, trouble, join_all((0..4).map(reader)));
    assert!(reads.load(Ordering::Relaxed) > 50, "{reads:?} reads");
    for pod in &pods {
        assert!(list(pod, "vendido=false").await.is_empty());
    }
}
