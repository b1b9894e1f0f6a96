//! The suite. Each function is one test for each kind of store.

use chrono::TimeDelta;
use futures_util::future::join_all;
use journal::Need;
use market::domain::{Clave, Intento, MAX_INTEGER, Monto, TokenId, TransaccionId, UsuarioId};
use market::store::{ServiceStore, StoreUrl};
use serde_json::json;
use std::collections::BTreeSet;
use testkit::data::{Kind, TestData};
use testkit::{PATIENCE, eventually};
use transacciones::domain::{Aborted, Compra, Fate, PARTS, Transaccion, Word};
use transacciones::store::{Closing, Overtaken, Store};

fn clave(s: &str) -> Clave {
    s.parse().unwrap()
}

pub fn intento(s: &str) -> Intento {
    s.parse().unwrap()
}

fn usuario(n: u64) -> UsuarioId {
    UsuarioId::new(n).unwrap()
}

fn token(n: u64) -> TokenId {
    TokenId::new(n).unwrap()
}

pub fn compra(bajo: &str, buyer: u64, what: u64) -> Compra {
    Compra {
        clave: clave(bajo),
        clave_from_client: true,
        usuario_id: usuario(buyer),
        token_id: token(what),
        precio: None,
        session: None,
    }
}

/// Commits `clave#n` for a user and a token at 5.
pub async fn commit(store: &Store, i: &str, buyer: u64, what: u64) -> Result<Transaccion, Overtaken> {
    let i = intento(i);
    store.commit(i.clone(), &compra(i.clave.as_str(), buyer, what), Monto::new(5).unwrap()).await.unwrap()
}

pub async fn abort(store: &Store, i: &str) -> Result<(), Overtaken> {
    store.abort(Need::End, intento(i), usuario(1), Some(token(7))).await.unwrap()
}

pub async fn word(store: &Store, c: &str) -> Word {
    store.word(&clave(c)).await.unwrap()
}

/// All purchases, read in pages of three.
async fn all(store: &Store) -> Vec<Transaccion> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(None, None, after, 3).await.unwrap();
        assert!(page.total >= found.len() + page.rows.len());
        found.extend(page.rows);
        let Some(next) = page.next else { return found };
        after = TransaccionId::new(next.parse().unwrap());
    }
}

pub async fn a_clave_buys_once(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (Store::new(data.open()).signed("pod-a"), Store::new(data.open()));
    assert_eq!(word(&store, "k").await, Word::Nothing);
    let t = commit(&store, "k#1", 1, 7).await.unwrap();
    assert_eq!(t.pod.as_deref(), Some("pod-a"), "who committed it, for every process that reads it");
    assert_eq!((t.id.get(), t.usuario_id, t.token_id, t.precio.get()), (1, usuario(1), token(7), 5));
    assert_eq!(t.intento, Some(intento("k#1")));
    for s in [&store, &other] {
        assert_eq!(word(s, "k").await, Word::Bought(t.clone()));
        for again in ["k#1", "k#2", "k#4294967295"] {
            assert_eq!(commit(s, again, 1, 7).await, Err(Overtaken));
            assert_eq!(abort(s, again).await, Err(Overtaken));
        }
        assert_eq!(s.transaccion(t.id).await.unwrap().as_ref(), Some(&t));
        assert_eq!(all(s).await, std::slice::from_ref(&t));
    }
    assert_eq!(store.transaccion(TransaccionId::new(MAX_INTEGER).unwrap()).await.unwrap(), None);
}

pub async fn what_is_aborted_is_never_committed(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (Store::new(data.open()), Store::new(data.open()));
    for _ in 0..2 {
        assert_eq!(abort(&store, "k#2").await, Ok(()));
        assert_eq!(abort(&other, "k#1").await, Ok(()), "it is aborted already");
    }
    assert_eq!(word(&other, "k").await.fate(2), Fate::Lost);
    for dead in ["k#1", "k#2"] {
        assert_eq!(commit(&other, dead, 1, 7).await, Err(Overtaken));
    }
    assert_eq!(word(&store, "k").await.fate(3), Fate::Open);
    assert_eq!(all(&store).await, []);
    let t = commit(&store, "k#3", 1, 7).await.unwrap();
    assert_eq!(word(&other, "k").await, Word::Bought(t));
    assert_eq!(abort(&other, "k#1").await, Err(Overtaken), "bought beats aborted");
}

pub async fn an_abort_keeps_what_was_known_of_the_token(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let store = Store::new(data.open());
    let is = |numero, token_id| {
        Word::Aborted(Aborted { clave: clave("k"), numero, usuario_id: usuario(1), token_id })
    };
    store.abort(Need::End, intento("k#1"), usuario(1), None).await.unwrap().unwrap();
    assert_eq!(word(&store, "k").await, is(1, None));
    store.abort(Need::End, intento("k#2"), usuario(1), Some(token(7))).await.unwrap().unwrap();
    store.abort(Need::End, intento("k#3"), usuario(1), None).await.unwrap().unwrap();
    assert_eq!(word(&store, "k").await, is(3, Some(token(7))));
    store.abort(Need::End, intento("k#1"), usuario(2), Some(token(8))).await.unwrap().unwrap();
    assert_eq!(word(&store, "k").await, is(3, Some(token(7))), "what was decided stays");
}

pub async fn an_abort_is_forgotten_after_its_eras_and_its_clave_is_used_anew(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let store = Store::new(data.open());
    let long = TimeDelta::hours(3);
    let now = async || store.era().await.unwrap();
    assert_eq!((store.forget(TimeDelta::zero()).await.unwrap(), now().await.attempt(1)), (0, Some(1)));
    for n in 0..1200 {
        abort(&store, &format!("k{n}#2")).await.unwrap();
    }
    let bought = commit(&store, "b#2", 1, 7).await.unwrap();
    // the first look notes when the first era began; afterwards one era begins with each look that finds it over
    for era in 0..PARTS + 2 {
        assert_eq!(store.forget(TimeDelta::zero()).await.unwrap(), 0, "in era {era}");
        assert_eq!(store.forget(long).await.unwrap(), 0, "this era is not over");
        assert_eq!(word(&store, "k0").await.fate(2), Fate::Lost);
        let first = now().await.attempt(1).unwrap();
        assert_eq!((first > 1, now().await.admits(2)), (era > 0, era < 2), "{era}");
    }
    // a coordinator that was stopped all the time, with a clave that nobody aborted
    assert_eq!(commit(&store, "late#1", 1, 7).await, Err(Overtaken));
    assert_eq!(store.forget(TimeDelta::zero()).await.unwrap(), 1200);
    for n in [0, 600, 1199] {
        let clave = format!("k{n}");
        assert_eq!(word(&store, &clave).await, Word::Nothing);
        assert_eq!(commit(&store, &format!("{clave}#2"), 1, 7).await, Err(Overtaken), "it stays aborted");
        assert_eq!(commit(&store, &format!("{clave}#3"), 1, 7).await, Err(Overtaken));
    }
    assert_eq!(word(&store, "b").await, Word::Bought(bought));
    // anew, for something else
    let numero = now().await.attempt(1).unwrap();
    let anew = commit(&store, &format!("k0#{numero}"), 2, 8).await.unwrap();
    assert_eq!(word(&store, "k0").await, Word::Bought(anew));
    // another process, or the next start, goes on in the same era
    let other = Store::new(data.open());
    assert_eq!(other.era().await.unwrap(), now().await);
    assert_eq!(commit(&other, "late#1", 1, 7).await, Err(Overtaken));
}

pub async fn commits_and_aborts_exclude_each_other(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let stores = [Store::new(data.open()), Store::new(data.open())];
    let mut bought = 0;
    for n in 0..30 {
        let i = format!("k{n}#1");
        let commits = join_all((0..3).map(|m| commit(&stores[m % 2], &i, 1, 7)));
        let aborts = join_all((0..3).map(|m| abort(&stores[m % 2], &i)));
        // which is polled first is not left to the runtime
        let (commits, aborts) = if n % 2 == 0 {
            tokio::join!(commits, aborts)
        } else {
            let (aborts, commits) = tokio::join!(aborts, commits);
            (commits, aborts)
        };
        let won = commits.iter().filter(|c| c.is_ok()).count();
        bought += won;
        let lost = aborts.iter().filter(|a| a.is_err()).count();
        match word(&stores[0], &format!("k{n}")).await {
            Word::Bought(t) => {
                assert_eq!((won, lost), (1, 3), "{commits:?} {aborts:?}");
                assert!(commits.contains(&Ok(t)));
            }
            Word::Aborted(a) => assert_eq!((won, lost, a.numero), (0, 0, 1), "{commits:?} {aborts:?}"),
            Word::Nothing => panic!("somebody must win: {commits:?} {aborts:?}"),
        }
    }
    assert_eq!(all(&stores[1]).await.len(), bought);
}

pub async fn one_attempt_from_many_at_once_is_committed_once(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let stores = [Store::new(data.open()), Store::new(data.open())];
    let commits = join_all((0..24).map(|n| commit(&stores[n % 2], "k#1", 1, 7))).await;
    assert_eq!(commits.iter().filter(|c| c.is_ok()).count(), 1, "{commits:?}");
    assert_eq!(all(&stores[0]).await.len(), 1);
}

pub async fn lists_have_the_order_of_commits(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (Store::new(data.open()), Store::new(data.open()));
    let empty = store.list(None, None, None, 3).await.unwrap();
    assert_eq!((empty.rows, empty.next, empty.total), (vec![], None, 0));
    assert_eq!(store.last().await.unwrap(), None);
    let mut made = Vec::new();
    for n in 1..=11 {
        let s = if n % 2 == 0 { &store } else { &other };
        made.push(commit(s, &format!("k{n}#1"), 1 + n % 2, 1 + n % 4).await.unwrap());
        // the buyer's next read shows it, wherever he reads
        assert_eq!(store.following(None, 100).await.unwrap(), made);
        assert_eq!(other.last().await.unwrap(), Some(made.last().unwrap().id));
    }
    assert_eq!(all(&store).await, made);
    for (n, t) in made.iter().enumerate() {
        assert_eq!(store.following(Some(t.id), 100).await.unwrap(), made[n + 1..]);
        assert_eq!(
            store.following(Some(t.id), 2).await.unwrap(),
            made[n + 1..].iter().take(2).cloned().collect::<Vec<_>>()
        );
    }
    assert_eq!(store.following(TransaccionId::new(MAX_INTEGER), 100).await.unwrap(), []);
    for (buyer, what) in [
        (Some(1), None),
        (Some(2), None),
        (None, Some(2)),
        (Some(1), Some(3)),
        (Some(2), Some(3)),
        (Some(9), None),
    ] {
        let (buyer, what) = (buyer.map(usuario), what.map(token));
        let expected: Vec<_> = made
            .iter()
            .filter(|t| buyer.is_none_or(|d| t.usuario_id == d) && what.is_none_or(|q| t.token_id == q))
            .cloned()
            .collect();
        let page = other.list(buyer, what, None, 100).await.unwrap();
        assert_eq!((page.rows, page.next, page.total), (expected.clone(), None, expected.len()));
        if let [first, .., last] = &expected[..] {
            let page = other.list(buyer, what, Some(first.id), 1).await.unwrap();
            assert_eq!((page.rows.first(), page.total), (expected.get(1), expected.len()));
            assert_eq!(page.next.is_some(), expected.len() > 2);
            assert_eq!(other.list(buyer, what, Some(last.id), 1).await.unwrap().rows, []);
        }
    }
    let claves: Vec<_> = ["k3", "nada", "k7"].map(clave).into();
    let mut bajo = store.under(&claves).await.unwrap();
    bajo.sort_by_key(|t| t.id);
    assert_eq!(bajo, [made[2].clone(), made[6].clone()]);
    assert_eq!(store.under(&[]).await.unwrap(), []);
}

pub async fn the_seed_is_taken_once_and_goes_on(kind: Kind) {
    let transacciones = json!([
        {"id": 4, "usuarioId": 1, "tokenId": 101, "fecha": "2025-09-10T17:00:00Z"},
        {"id": 9, "usuarioId": 2, "tokenId": 102, "fecha": "2025-09-10T17:00:00.123Z", "precio": 70, "intento": "k#2", "pod": "vieja"},
    ]);
    let intentos = json!([
        {"clave": "k", "numero": 1, "usuarioId": 2, "tokenId": 102},
        {"clave": "l", "numero": 3, "usuarioId": 2},
    ]);
    let data = TestData::new(kind, &[("transacciones", transacciones), ("intentos", intentos)]).await;
    let stores: Vec<_> = (0..4).map(|_| Store::new(data.open())).collect();
    for found in join_all(stores.iter().map(all)).await {
        assert_eq!(found.iter().map(|t| t.id.get()).collect::<Vec<_>>(), [4, 9]);
        assert_eq!((found[0].intento.clone(), found[0].precio), (None, Monto::ZERO));
        assert_eq!((found[1].intento.clone(), found[1].precio.get()), (Some(intento("k#2")), 70));
        assert_eq!((found[0].pod.as_deref(), found[1].pod.as_deref()), (None, Some("vieja")));
        assert_eq!(
            found[1].fecha.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            "2025-09-10T17:00:00.123Z"
        );
    }
    let store = &stores[0];
    assert!(matches!(word(store, "k").await, Word::Bought(t) if t.id.get() == 9));
    assert!(matches!(word(store, "l").await, Word::Aborted(a) if a.numero == 3 && a.token_id.is_none()));
    assert_eq!(commit(store, "l#3", 2, 1).await, Err(Overtaken));
    assert!(commit(store, "l#4", 2, 1).await.unwrap().id.get() > 9, "ids go on behind the seed's");
    let mut closing = Closing::default();
    all(store).await.iter().for_each(|t| closing.add(t));
    assert_eq!(store.closing().await.unwrap(), closing);
    assert_eq!((closing.transacciones, closing.cargos.cuenta, closing.ventas.suma), (3, 2, 75));
    assert_eq!(Store::new(data.open()).closing().await.unwrap(), closing);
}

pub async fn the_digests_are_those_of_the_list(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (Store::new(data.open()), Store::new(data.open()));
    assert_eq!(store.closing().await.unwrap(), Closing::default());
    let mut expected = Closing::default();
    for n in 0..7 {
        expected.add(&commit(&store, &format!("k{n}#{}", n + 1), 1 + n % 3, 1 + n).await.unwrap());
        abort(&store, &format!("no{n}#1")).await.unwrap();
        assert_eq!(other.closing().await.unwrap(), expected);
        assert_eq!(store.closing().await.unwrap(), expected);
    }
}

/// Who asks again and again for what is behind the last that he has seen, sees all of it, once, in one order.
pub async fn who_follows_skips_nothing_that_commits_late(kind: Kind) {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 25;
    let data = TestData::new(kind, &[]).await;
    let stores: Vec<_> = (0..3).map(|_| Store::new(data.open())).collect();
    let client = async |c: u64| {
        for n in 0..EACH {
            let store = &stores[usize::try_from(c % 2).unwrap()];
            commit(store, &format!("k{c}-{n}#1"), 1 + c, 1 + n).await.unwrap();
        }
    };
    let follow = async |store: &Store| {
        let mut seen = Vec::<Transaccion>::new();
        let total = usize::try_from(CLIENTS * EACH).unwrap();
        eventually(PATIENCE, async || {
            let more = store.following(seen.last().map(|t| t.id), 10).await.unwrap();
            seen.extend(more);
            (seen.len() >= total).then_some(())
        })
        .await;
        seen
    };
    let clients = join_all((0..CLIENTS).map(client));
    let (_, one, two) = tokio::join!(clients, follow(&stores[2]), follow(&stores[0]));
    assert_eq!(one, two, "one order for all");
    assert_eq!(one, all(&stores[1]).await);
    let ids: BTreeSet<_> = one.iter().map(|t| t.id).collect();
    assert_eq!(ids.len(), one.len());
}

pub async fn a_follower_is_woken_by_other_processes(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (Store::new(data.open()), Store::new(data.open()));
    for n in 0..3 {
        let mut changed = store.changed();
        let t = commit(&other, &format!("k{n}#1"), 1, 7).await.unwrap();
        let woken = async {
            while store.last().await.unwrap() != Some(t.id) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, woken).await.expect("to be woken");
    }
}

#[tokio::test]
async fn what_is_forgotten_gives_memory_and_disk_back() {
    let data = TestData::new(Kind::Json, &[]).await;
    let opened = data.open();
    let ServiceStore::Json(journal) = &opened else { panic!("files") };
    let store = Store::new(opened.clone());
    let abort_all = async || {
        join_all((0..500).map(|n| store.abort(Need::Add, intento(&format!("k{n}#1")), usuario(1), None)))
            .await
    };
    abort_all().await.into_iter().for_each(|done| done.unwrap().unwrap());
    let full = journal.stats().memory;
    assert!(full > 500 * 100, "{full}");
    for _ in 0..PARTS + 3 {
        store.forget(TimeDelta::zero()).await.unwrap();
    }
    assert_eq!(journal.stats().memory, 0);
    journal.close().unwrap();
    let StoreUrl::Json(dir) = &data.options().store else { panic!("files") };
    for array in ["transacciones", "intentos"] {
        assert_eq!(std::fs::read_to_string(dir.join(format!("{array}.json"))).unwrap(), "[\n]\n");
    }
}
