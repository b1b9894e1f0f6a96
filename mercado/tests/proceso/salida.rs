//! Leaving with clients at work.

use crate::helpers::{Process, array, check, compra, filled};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::{PATIENCE, eventually};
use tokio::task::JoinSet;

/// Purchases in a closed loop until the port is closed, each connection kept for as long as it is let; gives how many
/// were acknowledged. A connection that was taken answers its request.
async fn buyer(
    market: &Process,
    of: u64,
    step: u64,
    bought: Arc<AtomicU64>,
) -> impl Future<Output = u64> + use<> {
    let api = market.api.clone();
    async move {
        let mut mine = 0;
        for token in (of..=20_000).step_by(usize::try_from(step).unwrap()) {
            match compra(&api, of, token).attempt().await {
                Ok(answer) => {
                    answer.expect(201);
                    mine += 1;
                    bought.fetch_add(1, Ordering::Relaxed);
                }
                Err(e) if e.is_connect() => return mine,
                Err(e) => panic!("a request was taken and not answered: {e:?}"),
            }
        }
        panic!("all is sold, and the market is still there");
    }
}

async fn under_load(signal: &str) {
    let market = Process::on(filled(16, 20_000), &["--drain-seconds=1"]).await;
    let bought = Arc::new(AtomicU64::new(0));
    let mut buyers = JoinSet::new();
    for of in 1..=16 {
        buyers.spawn(buyer(&market, of, 16, Arc::clone(&bought)).await);
    }
    eventually(PATIENCE, async || (bought.load(Ordering::Relaxed) > 200).then_some(())).await;
    let dir = market.dir.clone();
    market.signal(signal);
    assert_eq!(market.end().await.code(), Some(0));
    let acknowledged: u64 = buyers.join_all().await.iter().sum();
    assert_eq!(array(dir.path(), "transacciones").len() as u64, acknowledged, "these and no other");
    let again = Process::on(dir, &[]).await;
    assert_eq!(check(&again.api, 1000).await.len() as u64, acknowledged);
}

#[tokio::test]
async fn sigterm_under_load_drops_no_purchase() {
    under_load("TERM").await;
}

#[tokio::test]
async fn ctrl_c_under_load_drops_no_purchase() {
    under_load("INT").await;
}
