//! The coordinator is killed in the middle of a purchase, at each of its calls, before and after the call arrives.

use crate::helpers::{Looker, compra, fill, insist, persona, token, tokens, usuarios};
use crate::process::Process;
use crate::proxy::{Fault, Proxy, Step};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use testkit::{PATIENCE, eventually};

/// Long: what is killed gives up nothing by itself before.
const PATIENT: [&str; 2] = ["--purchase-deadline-ms=30000", "--orphan-age-ms=31000"];
/// Short: its successor takes over at once.
const HASTY: [&str; 2] = ["--purchase-deadline-ms=1000", "--orphan-age-ms=1001"];

#[derive(Clone, Copy, Debug)]
enum Side {
    Goods,
    People,
}

/// Kills at a call; whether the purchase was committed then.
async fn killed_at(side: Side, step: Step, fault: Fault, committed: bool) {
    let what = format!("{side:?} {step:?} {fault:?}");
    let dir = TempDir::new().unwrap();
    let personas = json!([persona(1, 100)]);
    fill(dir.path(), &[("usuarios", &personas), ("tokens", &json!([token(1, 60)]))]);
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    let proxies = (Proxy::before(people.internal).await, Proxy::before(goods.internal).await);
    let at = match side {
        Side::Goods => &proxies.1,
        Side::People => &proxies.0,
    };
    at.fault(step, fault);
    let start =
        async |times: &[&str]| Process::start(dir.path(), proxies.0.address, proxies.1.address, times).await;
    let first = start(&PATIENT).await;
    let api = first.api.clone();
    let client =
        tokio::spawn(async move { compra(&api, 1, 1).header("Idempotency-Key", "k").attempt().await });
    eventually(PATIENCE, async || (at.met(step) > 0).then_some(())).await;
    first.kill();
    // the debit is confirmed behind the answer, which the client may have by then
    if let Ok(answer) = client.await.unwrap() {
        assert!(committed && answer.status == 201, "{what}: {answer:?}");
    }
    at.heal();

    let second = start(&HASTY).await;
    let looker = Looker::new(&people.api, &goods.api, &second.api, &personas);
    assert_eq!(looker.check().await.len(), usize::from(committed), "{what}");
    let again = insist(&second.api, "k", 1, 1).await.expect(201);
    assert_eq!(again.header("Idempotency-Replayed"), if committed { "true" } else { "" }, "{what}");
    assert_eq!(looker.check().await, [again.json()], "{what}");
    assert_eq!(looker.saldo(1).await, 40, "{what}");
}

#[tokio::test]
async fn killed_before_the_commit_it_has_not_bought() {
    join_all([
        killed_at(Side::Goods, Step::Try, Fault::Hang, false),
        killed_at(Side::Goods, Step::Try, Fault::Mute, false),
        killed_at(Side::People, Step::Try, Fault::Hang, false),
        killed_at(Side::People, Step::Try, Fault::Mute, false),
    ])
    .await;
}

#[tokio::test]
async fn killed_after_the_commit_it_has_bought() {
    join_all([
        killed_at(Side::Goods, Step::Confirm, Fault::Hang, true),
        killed_at(Side::Goods, Step::Confirm, Fault::Mute, true),
        killed_at(Side::People, Step::Confirm, Fault::Hang, true),
        killed_at(Side::People, Step::Confirm, Fault::Mute, true),
    ])
    .await;
}
