//! Leaving, and dying: what was acknowledged is in the store. That no request is lost is tested with the kit.

use crate::helpers::{Process, read};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::raw::RawConnection;
use testkit::{Api, PATIENCE, eventually};
use tokio::task::JoinSet;

#[tokio::test]
async fn both_signals_end_it_well_with_whole_arrays() {
    for signal in ["TERM", "INT"] {
        let process = Process::start(|c| {
            // one that waited for a client which is idle would wait for longer than this test does
            c.env("DRAIN_SECONDS", "0").env("GRACE_SECONDS", "300").env("CLIENT_SECONDS", "300");
        })
        .await;
        let made = process.api.post("/usuarios").json(json!({"nombre": "Ana", "saldo": 70})).await;
        made.expect(201);
        let dir = process.ends_well(signal).await;
        let array = |name: &str| serde_json::from_str::<Value>(&read(&dir.path().join(name))).unwrap();
        assert_eq!(array("usuarios.json"), json!([{"id": 1, "nombre": "Ana", "saldo": 70}]));
        assert_eq!(array("movimientos.json")[0]["monto"], 70);

        let again = Process::on(dir, |_| {}).await;
        assert_eq!(again.api.get("/usuarios/1").await.json()["saldo"], 70);
    }
}

/// A client that creates users again and again until its connection is refused.
async fn client(address: String, created: Arc<AtomicU64>) {
    let mut left = false;
    loop {
        let connect = tokio::time::timeout(PATIENCE, RawConnection::open(&address)).await;
        let Ok(Ok(mut connection)) = connect else { return };
        assert!(!left, "a request got no answer from a process that takes connections");
        loop {
            let answer = connection.post("/usuarios", r#"{"nombre":"Ana","saldo":1}"#).await;
            // where this client was slow to ask, a process that takes no connections any more may have taken it for idle
            let Ok(answer) = answer else {
                left = true;
                break;
            };
            assert_eq!(answer.status, 201, "{answer:?}");
            created.fetch_add(1, Ordering::Relaxed);
            if answer.closes() {
                break;
            }
        }
    }
}

/// What a process that is leaving acknowledges is in its store, and nothing else.
async fn under_load(signal: &str) {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "1");
    })
    .await;
    let created = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(client(process.address(), Arc::clone(&created)));
    }
    eventually(PATIENCE, async || (created.load(Ordering::Relaxed) > 200).then_some(())).await;
    process.signal(signal);
    let (status, dir) = process.end().await;
    assert_eq!(status.code(), Some(0), "{}", read(&dir.path().join("stderr.log")));
    clients.join_all().await;

    let again = Process::on(dir, |_| {}).await;
    let kept: u64 = again.api.get("/usuarios?limite=1").await.header("X-Total-Count").parse().unwrap();
    assert_eq!(kept, created.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_user() {
    under_load("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_under_load_loses_no_user() {
    under_load("INT").await;
}

/// Creates users until the connection dies; gives the ids that were acknowledged.
async fn creator(api: Api) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while let Ok(answer) = api.post("/usuarios").json(json!({"nombre": "Ana", "saldo": 3})).attempt().await {
        acknowledged.push(answer.expect(201).json()["id"].as_u64().unwrap());
    }
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let mut process = Process::start(|_| {}).await;
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let mut creators = JoinSet::new();
        for _ in 0..8 {
            creators.spawn(creator(process.api.clone()));
        }
        let before = acknowledged.len();
        let api = process.api.clone();
        eventually(PATIENCE, async || {
            let list = api.get("/usuarios?limite=1").await;
            let n: usize = list.header("X-Total-Count").parse().unwrap();
            (n > before + 100).then_some(())
        })
        .await;
        process.signal("KILL");
        let (status, dir) = process.end().await;
        assert_eq!(status.code(), None, "a signal ended it");
        acknowledged.extend(creators.join_all().await.into_iter().flatten());
        process = Process::on(dir, |_| {}).await;
        // each id was given once, and is still there with its balance
        acknowledged.sort_unstable();
        let count = acknowledged.len();
        acknowledged.dedup();
        assert_eq!(acknowledged.len(), count);
        assert!(count > before + 50, "{count}");
        for id in &acknowledged {
            let path = format!("/usuarios/{id}");
            assert_eq!(process.api.get(&path).await.expect(200).json()["saldo"], 3);
        }
    }
}
