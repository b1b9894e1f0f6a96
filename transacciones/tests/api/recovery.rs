//! What a coordinator left behind is settled by the store's word, by any number of replicas.

use crate::faults::Trouble;
use crate::helpers::{
    Looker, Service, fill, metric, number, person, statuses, token, tokens, transacciones, usuarios,
};
use crate::proxy::{Fault, Proxy, Step};
use ::transacciones::domain::Word;
use ::transacciones::store::state::State;
use futures_util::future::join_all;
use journal::{Journal, Options};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;
use testkit::files_only;
use testkit::{HttpAnswer, PATIENCE, eventually};

const SOON: [&str; 2] = ["--purchase-deadline-ms=2000", "--orphan-age-ms=2001"];

/// `PUT /interno/reservas/{intento}`.
async fn reserve(goods: &Service, intento: &str, usuario: u64, id: u64) -> HttpAnswer {
    let path = format!("/interno/reservas/{}", intento.replace('#', "%23"));
    goods.internal_api.put(&path).json(json!({"usuarioId": usuario, "tokenId": id})).await
}

/// `PUT /interno/cargos/{intento}`.
async fn charge(people: &Service, intento: &str, usuario: u64, monto: u64) -> HttpAnswer {
    let path = format!("/interno/cargos/{}", intento.replace('#', "%23"));
    people.internal_api.put(&path).json(json!({"usuarioId": usuario, "monto": monto})).await
}

/// The coordinator's word, read from its files by another process's means.
fn word(dir: &Path, clave: &str) -> Word {
    let journal = Journal::<State>::open(Options::new(dir)).unwrap();
    let now = journal.read().unwrap();
    now.word(&clave.parse().unwrap())
}

/// More than a page of holds on both sides, every third of them bought.
#[tokio::test]
async fn two_replicas_settle_more_than_a_page_of_tries() {
    files_only!("reads the journal");
    const HOLDS: u64 = 1_100;
    let dir = TempDir::new().unwrap();
    let users = json!([person(1, 100_000), person(2, 100_000)]);
    let catalogue: Vec<_> = (1..=HOLDS).map(|id| token(id, id % 50)).collect();
    let committed: Vec<_> = (1..=HOLDS)
        .filter(|id| id % 3 == 0)
        .map(|id| {
            let (intento, fecha) = (format!("c{id}#1"), "2025-09-10T17:00:00Z");
            json!({"id": id, "usuarioId": id % 2 + 1, "tokenId": id, "fecha": fecha, "precio": id % 50,
                   "intento": intento})
        })
        .collect();
    fill(
        dir.path(),
        &[("usuarios", &users), ("tokens", &json!(catalogue)), ("transacciones", &json!(committed))],
    );
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    let ids: Vec<_> = (1..=HOLDS).collect();
    for some in ids.chunks(100) {
        let made = join_all(some.iter().map(|&id| {
            let (goods, people) = (&goods, &people);
            async move {
                let intento = format!("c{id}#1");
                let held = reserve(goods, &intento, id % 2 + 1, id).await;
                [held, charge(people, &intento, id % 2 + 1, id % 50).await]
            }
        }))
        .await
        .concat();
        assert!(made.iter().all(|a| matches!(a.status, 200..=204)), "{:?}", statuses(&made));
    }
    assert_eq!(number(&goods.internal_api.get("/interno/resumen").await.json()["pendientes"]), HOLDS);
    // what a deadline cuts off is settled, and counted by nobody
    let unhurried = ["--purchase-deadline-ms=8000", "--orphan-age-ms=8001"];
    let [a, b] = [(); 2].map(|()| transacciones(dir.path(), people.internal, goods.internal, &unhurried));
    let looker = Looker::new(&people.api, &goods.api, &a.api, &users);
    eventually(3 * PATIENCE, async || (looker.audit().await["pendientes"] == 0).then_some(())).await;
    let bought = looker.check().await;
    assert_eq!(bought.len() as u64, HOLDS / 3);
    for api in [&a.api, &b.api] {
        eventually(PATIENCE, async || (metric(api, "recovery_backlog").await == 0).then_some(())).await;
    }
    let both = async |name: &str| metric(&a.api, name).await + metric(&b.api, name).await;
    // each was settled by one of them at least: both may have been at it
    assert!(both("recovery_confirmed_total").await >= 2 * (HOLDS / 3));
    assert!(both("recovery_cancelled_total").await >= 2 * (HOLDS - HOLDS / 3));
    a.stop().await;
    b.stop().await;
    assert!(matches!(word(dir.path(), "c3"), Word::Bought(_)));
    assert!(matches!(word(dir.path(), "c4"), Word::Aborted(a) if a.numero == 1));
}

#[tokio::test]
async fn the_abort_is_on_disk_before_anything_is_cancelled() {
    files_only!("reads the journal");
    let t = Trouble::start().await;
    let [people, goods] = &t.services;
    for (n, proxy) in [&t.goods, &t.people].into_iter().enumerate() {
        let (clave, id) = (format!("k{n}"), n as u64 + 1);
        let met = proxy.met(Step::Cancel);
        proxy.fault(Step::Cancel, Fault::Hang);
        // both holds are held, and no coordinator knows it
        reserve(goods, &format!("{clave}#1"), 1, id).await.expect(201);
        charge(people, &format!("{clave}#1"), 1, 10).await;
        eventually(PATIENCE, async || (proxy.met(Step::Cancel) > met).then_some(())).await;
        assert!(matches!(word(t.dir.path(), &clave), Word::Aborted(a) if a.numero == 1));
        let backlog = async || (metric(&t.mine.api, "recovery_backlog").await > 0).then_some(());
        eventually(PATIENCE, backlog).await;
        t.people.heal();
        t.goods.heal();
        assert!(t.looker.check().await.is_empty());
        eventually(PATIENCE, async || (metric(&t.mine.api, "recovery_backlog").await == 0).then_some(()))
            .await;
    }
    assert_eq!(t.looker.saldo(1).await, 1000);
}

#[tokio::test]
async fn a_try_of_another_attempt_than_the_bought_one_is_given_back() {
    let dir = TempDir::new().unwrap();
    let users = json!([person(1, 100)]);
    let fecha = "2025-09-10T17:00:00Z";
    let done = json!({"id": 1, "usuarioId": 1, "tokenId": 1, "fecha": fecha, "precio": 10, "intento": "k#2"});
    fill(
        dir.path(),
        &[
            ("usuarios", &users),
            ("tokens", &json!([token(1, 10), token(2, 10)])),
            ("transacciones", &json!([done])),
        ],
    );
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    // late calls of the first attempt, and the second's that nobody confirmed
    for (intento, id) in [("k#1", 2), ("k#2", 1)] {
        reserve(&goods, intento, 1, id).await.expect(201);
        charge(&people, intento, 1, 10).await;
    }
    assert_eq!(people.api.get("/usuarios/1").await.json()["saldo"], 80);
    let mine = transacciones(dir.path(), people.internal, goods.internal, &SOON);
    let looker = Looker::new(&people.api, &goods.api, &mine.api, &users);
    assert_eq!(looker.check().await.len(), 1);
    assert_eq!(looker.saldo(1).await, 90);
}

#[tokio::test]
async fn recovery_never_gives_up() {
    files_only!("has half a second for a call");
    let dir = TempDir::new().unwrap();
    let users = json!([person(1, 100)]);
    fill(dir.path(), &[("usuarios", &users), ("tokens", &json!([token(1, 10)]))]);
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    reserve(&goods, "k#1", 1, 1).await.expect(201);
    charge(&people, "k#1", 1, 10).await;
    let (before_people, before_goods) =
        (Proxy::before(people.internal).await, Proxy::before(goods.internal).await);
    before_people.every(Fault::Refuse);
    before_goods.every(Fault::Refuse);
    let times = ["--purchase-deadline-ms=500", "--orphan-age-ms=501"];
    let mine = transacciones(dir.path(), before_people.address, before_goods.address, &times);
    // through the first pass, which has some seven tries, and into another
    eventually(PATIENCE, async || (before_goods.met(Step::Look) > 12).then_some(())).await;
    eventually(PATIENCE, async || (metric(&mine.api, "recovery_backlog").await == 2).then_some(())).await;
    assert_eq!(people.api.get("/usuarios/1").await.json()["saldo"], 90);
    before_people.heal();
    before_goods.heal();
    let looker = Looker::new(&people.api, &goods.api, &mine.api, &users);
    eventually(PATIENCE, async || (looker.saldo(1).await == 100).then_some(())).await;
    assert_eq!(looker.check_with(&BTreeMap::new()).await.len(), 0);
    eventually(PATIENCE, async || (metric(&mine.api, "recovery_backlog").await == 0).then_some(())).await;
}
