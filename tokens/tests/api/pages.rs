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
    // a forged page shows that it is read: by a pod that counts in Redis, so is connected, and has not seen this state. Where
    // Redis is late for once the pod asks the database, and another pod is tried
    let forged = redis.ask::<String>(&["GET", key]).replace("Gato", "Pato");
    let third = eventually(3 * PATIENCE, async || {
        let third = Pod::over(&database, &redis.url());
        eventually(PATIENCE, async || (third.api.get("/readyz").await.status == 200).then_some(())).await;
        eventually(PATIENCE, async || {
            (third.api.get("/hits").await.json()["compartido"] == true).then_some(())
        })
        .await;
        redis.ask::<()>(&["SET", key, &forged]);
        let rows = list(&third, "orden=-precio&limite=2").await;
        (rows[0]["nombre"] == "Pato Cósmico").then_some(third)
    })
    .await;

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
    eventually(PATIENCE, async || {
        list(&pods[0], "limite=1000").await;
        kept(&redis).into_iter().next()
    })
    .await;
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

/// Whatever stands under a page's key: the answer is the database's, and no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_wrote_into_redis_is_no_page() {
    const QUERY: &str = "orden=precio&limite=2";
    let (redis, database) = (RedisServer::start().await, Server::shared().database().await);
    let pod = Pod::over(&database, &redis.url());
    made(&pod, 3).await;
    let key = eventually(PATIENCE, async || {
        list(&pod, QUERY).await;
        kept(&redis).into_iter().find(|key| key.ends_with(QUERY))
    })
    .await;
    let right: String = redis.ask(&["GET", &key]);
    let answer = pod.api.get(&format!("/tokens?{QUERY}")).await.expect(200);
    let (head, rows) = right.split_once('\n').unwrap();
    let row = |change: &str| {
        format!(r#"{head}\n[{{"id":1,"nombre":"x","imagen":"x","precio":1,"vendido":false{change}}}]"#)
    };
    let elsewhere = r#"{"total":3,"next":"2.2>; rel=\"next\", <https://evil.example/>; rel=\"next"}"#;
    for (what, forged) in [
        ("nothing", String::new()),
        ("no page", "nonsense".to_owned()),
        ("bytes", "\u{0}\n\u{1}".to_owned()),
        ("a link to elsewhere", format!("{elsewhere}\n{rows}")),
        ("a next page that breaks the header", format!("{{\"total\":3,\"next\":\"2.2\\r\\nx: y\"}}\n{rows}")),
        ("another next page", right.replace("2.2", "1.1")),
        ("another total", right.replace(r#""total":3"#, r#""total":1"#)),
        ("a price that is none", right.replace(r#""precio":1,"#, r#""precio":-1,"#)),
        ("an id that is none", right.replace(r#""id":1,"#, r#""id":0,"#)),
        ("a name of control characters", right.replace("Gato", "\\u0007")),
        ("a picture elsewhere", right.replace("1.svg", "https://evil.example/x")),
        ("another order", right.replace(r#""precio":1,"#, r#""precio":9,"#)),
        ("a field too many", row(r#","script":"x""#)),
        ("rows of another kind", format!("{head}\n{{}}")),
        ("too few rows", row("")),
        ("more than was ever written", format!("{right}{}", " ".repeat(8 << 20))),
    ] {
        assert_ne!(forged, right, "{what}");
        redis.ask::<()>(&["SET", &key, &forged]);
        // one that has kept no page itself
        let other = Pod::over(&database, &redis.url());
        eventually(PATIENCE, async || {
            (other.api.get("/hits").await.json()["compartido"] == true).then_some(())
        })
        .await;
        eventually(PATIENCE, async || other.api.get("/readyz").await.status.eq(&200).then_some(())).await;
        let read = other.api.get(&format!("/tokens?{QUERY}")).await.expect(200);
        assert_eq!(read.body, answer.body, "{what}");
        for header in ["ETag", "Link", "X-Total-Count"] {
            assert_eq!(read.header(header), answer.header(header), "{what}: {header}");
        }
    }
    // a value of another type does not cost the connection, and a number of visits that is none is not told
    redis.ask::<()>(&["DEL", &key]);
    redis.ask::<()>(&["LPUSH", &key, "x"]);
    let other = Pod::over(&database, &redis.url());
    eventually(PATIENCE, async || (other.api.get("/hits").await.json()["compartido"] == true).then_some(()))
        .await;
    eventually(PATIENCE, async || other.api.get("/readyz").await.status.eq(&200).then_some(())).await;
    assert_eq!(other.api.get(&format!("/tokens?{QUERY}")).await.expect(200).body, answer.body);
    redis.ask::<()>(&["SET", "tokens:hits", "-5"]);
    let visits = other.api.get("/hits").await.expect(200).json();
    assert_eq!(visits["compartido"], false, "{visits}");
}
