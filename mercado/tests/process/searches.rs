//! Many clients that search: a bounded number at once, and everything else is answered.

use crate::helpers::{Process, filled};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::Api;

const CLIENTS: u64 = 200;

/// Threads of a process.
fn threads(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_of_two_hundred_clients_leave_the_others_quick() {
    let market = Process::on(filled(1, 100_000), &[]).await;
    let (stop, found, away) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let before = threads(market.pid());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (api, stop, found, away) =
                (Api::new(market.address), Arc::clone(&stop), Arc::clone(&found), Arc::clone(&away));
            tokio::spawn(async move {
                let mut n = client;
                while !stop.load(Ordering::Relaxed) {
                    // in no cache
                    n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let answer = api.get(&format!("/tokens?nombre={}", n >> 40)).await;
                    if answer.status == 200 {
                        found.fetch_add(1, Ordering::Relaxed);
                    } else {
                        answer.assert_problem(503, "demasiadas-operaciones");
                        assert_eq!(answer.header("retry-after"), "1");
                        away.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            })
        })
        .collect();
    let api = Api::new(market.address);
    let (mut took, mut meanwhile, mut most) = (Vec::new(), Vec::new(), 0);
    while found.load(Ordering::Relaxed) < 20 || away.load(Ordering::Relaxed) == 0 || took.len() < 40 {
        for path in ["/livez", "/tokens/50000"] {
            let (start, earlier) = (Instant::now(), found.load(Ordering::Relaxed));
            api.get(path).await.expect(200);
            took.push(start.elapsed());
            meanwhile.push(found.load(Ordering::Relaxed) - earlier);
        }
        most = most.max(threads(market.pid()));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    took.sort_unstable();
    meanwhile.sort_unstable();
    let (median, searches) = (took[took.len() / 2], meanwhile[meanwhile.len() / 2]);
    println!(
        "median {median:?} and {searches} searches meanwhile; {found:?} searches, {away:?} turned away, {before} to {most} threads"
    );
    // half of the cores search: whoever does not wait for a search's turn sees a few end meanwhile, however slow the machine is
    assert!(searches < 8, "{meanwhile:?}");
    assert!(most <= before + 8, "{before} threads before, {most} while clients search");
}
