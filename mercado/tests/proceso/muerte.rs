//! `kill -9`, again and again, with clients that do not give up.

use crate::helpers::{Process, check, compra, filled};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use testkit::{Api, PATIENCE, eventually};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: u64 = 16;
const TIMES: [&str; 2] = ["--purchase-deadline-ms=1000", "--orphan-age-ms=1500"];

/// Buys token after token, each under a key of its own that is sent until there is an answer.
async fn buyer(
    of: u64,
    market: watch::Receiver<Api>,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<Value> {
    let mut bought = Vec::new();
    // two clients want each token
    let mut token = of / 2;
    while !stop.load(Ordering::Relaxed) {
        token += CLIENTS / 2;
        let clave = format!("de-{of}-{token}");
        let asked = Instant::now();
        loop {
            let api = market.borrow().clone();
            match compra(&api, of, token).header("Idempotency-Key", &clave).attempt().await {
                Ok(answer) if answer.status == 201 => {
                    bought.push(answer.json());
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(answer) if answer.codigo() == "token-no-disponible" => break,
                Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                Err(_) => tokio::task::yield_now().await,
            }
            assert!(asked.elapsed() < PATIENCE * 2, "{clave} never came to an end");
        }
    }
    bought
}

#[tokio::test]
async fn five_kills_lose_and_double_nothing() {
    let mut market = Process::on(filled(CLIENTS, 10_000), &TIMES).await;
    let (now, latest) = watch::channel(market.api.clone());
    let (acknowledged, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut buyers = JoinSet::new();
    for of in 1..=CLIENTS {
        buyers.spawn(buyer(of, latest.clone(), Arc::clone(&acknowledged), Arc::clone(&stop)));
    }
    for _ in 0..5 {
        let before = acknowledged.load(Ordering::Relaxed);
        eventually(PATIENCE, async || (acknowledged.load(Ordering::Relaxed) > before + 60).then_some(()))
            .await;
        let dir = market.dir.clone();
        market.kill();
        market = Process::on(dir, &TIMES).await;
        now.send(market.api.clone()).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let theirs: Vec<Value> = buyers.join_all().await.concat();
    let ours = check(&market.api, 1000).await;
    // every purchase belongs to a client that was told so: each kept asking until it was
    let mut theirs_by_id: Vec<_> = theirs.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    theirs_by_id.sort_unstable();
    assert_eq!(theirs_by_id, ours.iter().map(|t| t["id"].as_u64().unwrap()).collect::<Vec<_>>());
    for bought in &theirs {
        assert!(ours.contains(bought), "{bought}");
    }
}
