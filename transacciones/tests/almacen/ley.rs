//! The suite. Each function is one test for each kind of store.

use futures_util::future::join_all;
use market::domain::{Clave, Intento, MAX_ENTERO, Monto, TokenId, TransaccionId, UsuarioId};
use serde_json::json;
use std::collections::BTreeSet;
use testkit::almacen::{Almacen, Kind};
use testkit::{PATIENCE, eventually};
use transacciones::domain::{Abortado, Compra, Palabra, Suerte, Transaccion};
use transacciones::error::Error;
use transacciones::store::{Cierre, Overtaken, Store};

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

pub fn compra(bajo: &str, de: u64, que: u64) -> Compra {
    Compra {
        clave: clave(bajo),
        clave_del_cliente: true,
        usuario_id: usuario(de),
        token_id: token(que),
        precio: None,
    }
}

/// Commits `clave#n` for a user and a token at 5.
pub async fn commit(store: &Store, i: &str, de: u64, que: u64) -> Result<Transaccion, Overtaken> {
    let i = intento(i);
    store.commit(i.clone(), &compra(i.clave.as_str(), de, que), Monto::new(5).unwrap()).await.unwrap()
}

async fn abort(store: &Store, i: &str) -> Result<(), Overtaken> {
    store.abort(intento(i), usuario(1), Some(token(7))).await.unwrap()
}

async fn palabra(store: &Store, c: &str) -> Palabra {
    store.palabra(&clave(c)).await.unwrap()
}

/// All purchases, read in pages of three.
async fn todas(store: &Store) -> Vec<Transaccion> {
    let (mut found, mut despues) = (Vec::new(), None);
    loop {
        let page = store.lista(None, None, despues, 3).await.unwrap();
        assert!(page.total >= found.len() + page.rows.len());
        found.extend(page.rows);
        let Some(next) = page.next else { return found };
        despues = TransaccionId::new(next.parse().unwrap());
    }
}

pub async fn a_clave_buys_once(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (Store::new(almacen.open()), Store::new(almacen.open()));
    assert_eq!(palabra(&store, "k").await, Palabra::Nada);
    let t = commit(&store, "k#1", 1, 7).await.unwrap();
    assert_eq!((t.id.get(), t.usuario_id, t.token_id, t.precio.get()), (1, usuario(1), token(7), 5));
    assert_eq!(t.intento, Some(intento("k#1")));
    for s in [&store, &other] {
        assert_eq!(palabra(s, "k").await, Palabra::Comprado(t.clone()));
        for again in ["k#1", "k#2", "k#4294967295"] {
            assert_eq!(commit(s, again, 1, 7).await, Err(Overtaken));
            assert_eq!(abort(s, again).await, Err(Overtaken));
        }
        assert_eq!(s.transaccion(t.id).await.unwrap(), t);
        assert_eq!(todas(s).await, std::slice::from_ref(&t));
    }
    let missing = store.transaccion(TransaccionId::new(MAX_ENTERO).unwrap()).await;
    assert!(matches!(missing, Err(Error::TransaccionNoEncontrada(_))), "{missing:?}");
}

pub async fn what_is_aborted_is_never_committed(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (Store::new(almacen.open()), Store::new(almacen.open()));
    for _ in 0..2 {
        assert_eq!(abort(&store, "k#2").await, Ok(()));
        assert_eq!(abort(&other, "k#1").await, Ok(()), "it is aborted already");
    }
    assert_eq!(palabra(&other, "k").await.suerte(2), Suerte::Perdida);
    for dead in ["k#1", "k#2"] {
        assert_eq!(commit(&other, dead, 1, 7).await, Err(Overtaken));
    }
    assert_eq!(palabra(&store, "k").await.suerte(3), Suerte::Abierta);
    assert_eq!(todas(&store).await, []);
    let t = commit(&store, "k#3", 1, 7).await.unwrap();
    assert_eq!(palabra(&other, "k").await, Palabra::Comprado(t));
    assert_eq!(abort(&other, "k#1").await, Err(Overtaken), "bought beats aborted");
}

pub async fn an_abort_keeps_what_was_known_of_the_token(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let store = Store::new(almacen.open());
    let is = |numero, token_id| {
        Palabra::Abortado(Abortado { clave: clave("k"), numero, usuario_id: usuario(1), token_id })
    };
    store.abort(intento("k#1"), usuario(1), None).await.unwrap().unwrap();
    assert_eq!(palabra(&store, "k").await, is(1, None));
    store.abort(intento("k#2"), usuario(1), Some(token(7))).await.unwrap().unwrap();
    store.abort(intento("k#3"), usuario(1), None).await.unwrap().unwrap();
    assert_eq!(palabra(&store, "k").await, is(3, Some(token(7))));
    store.abort(intento("k#1"), usuario(2), Some(token(8))).await.unwrap().unwrap();
    assert_eq!(palabra(&store, "k").await, is(3, Some(token(7))), "what was decided stays");
}

pub async fn commits_and_aborts_exclude_each_other(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let stores = [Store::new(almacen.open()), Store::new(almacen.open())];
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
        match palabra(&stores[0], &format!("k{n}")).await {
            Palabra::Comprado(t) => {
                assert_eq!((won, lost), (1, 3), "{commits:?} {aborts:?}");
                assert!(commits.contains(&Ok(t)));
            }
            Palabra::Abortado(a) => assert_eq!((won, lost, a.numero), (0, 0, 1), "{commits:?} {aborts:?}"),
            Palabra::Nada => panic!("somebody must win: {commits:?} {aborts:?}"),
        }
    }
    assert_eq!(todas(&stores[1]).await.len(), bought);
}

pub async fn one_attempt_from_many_at_once_is_committed_once(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let stores = [Store::new(almacen.open()), Store::new(almacen.open())];
    let commits = join_all((0..24).map(|n| commit(&stores[n % 2], "k#1", 1, 7))).await;
    assert_eq!(commits.iter().filter(|c| c.is_ok()).count(), 1, "{commits:?}");
    assert_eq!(todas(&stores[0]).await.len(), 1);
}

pub async fn lists_have_the_order_of_commits(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (Store::new(almacen.open()), Store::new(almacen.open()));
    let empty = store.lista(None, None, None, 3).await.unwrap();
    assert_eq!((empty.rows, empty.next, empty.total), (vec![], None, 0));
    assert_eq!(store.ultima().await.unwrap(), None);
    let mut made = Vec::new();
    for n in 1..=11 {
        let s = if n % 2 == 0 { &store } else { &other };
        made.push(commit(s, &format!("k{n}#1"), 1 + n % 2, 1 + n % 4).await.unwrap());
        // the buyer's next read shows it, wherever he reads
        assert_eq!(store.siguientes(None, 100).await.unwrap(), made);
        assert_eq!(other.ultima().await.unwrap(), Some(made.last().unwrap().id));
    }
    assert_eq!(todas(&store).await, made);
    for (n, t) in made.iter().enumerate() {
        assert_eq!(store.siguientes(Some(t.id), 100).await.unwrap(), made[n + 1..]);
        assert_eq!(
            store.siguientes(Some(t.id), 2).await.unwrap(),
            made[n + 1..].iter().take(2).cloned().collect::<Vec<_>>()
        );
    }
    assert_eq!(store.siguientes(TransaccionId::new(MAX_ENTERO), 100).await.unwrap(), []);
    for (de, que) in [
        (Some(1), None),
        (Some(2), None),
        (None, Some(2)),
        (Some(1), Some(3)),
        (Some(2), Some(3)),
        (Some(9), None),
    ] {
        let (de, que) = (de.map(usuario), que.map(token));
        let expected: Vec<_> = made
            .iter()
            .filter(|t| de.is_none_or(|d| t.usuario_id == d) && que.is_none_or(|q| t.token_id == q))
            .cloned()
            .collect();
        let page = other.lista(de, que, None, 100).await.unwrap();
        assert_eq!((page.rows, page.next, page.total), (expected.clone(), None, expected.len()));
        if let [first, .., last] = &expected[..] {
            let page = other.lista(de, que, Some(first.id), 1).await.unwrap();
            assert_eq!((page.rows.first(), page.total), (expected.get(1), expected.len()));
            assert_eq!(page.next.is_some(), expected.len() > 2);
            assert_eq!(other.lista(de, que, Some(last.id), 1).await.unwrap().rows, []);
        }
    }
    let claves: Vec<_> = ["k3", "nada", "k7"].map(clave).into();
    let mut bajo = store.bajo(&claves).await.unwrap();
    bajo.sort_by_key(|t| t.id);
    assert_eq!(bajo, [made[2].clone(), made[6].clone()]);
    assert_eq!(store.bajo(&[]).await.unwrap(), []);
}

pub async fn the_seed_is_taken_once_and_goes_on(kind: Kind) {
    let transacciones = json!([
        {"id": 4, "usuarioId": 1, "tokenId": 101, "fecha": "2025-09-10T17:00:00Z"},
        {"id": 9, "usuarioId": 2, "tokenId": 102, "fecha": "2025-09-10T17:00:00.123Z", "precio": 70, "intento": "k#2"},
    ]);
    let intentos = json!([
        {"clave": "k", "numero": 1, "usuarioId": 2, "tokenId": 102},
        {"clave": "l", "numero": 3, "usuarioId": 2},
    ]);
    let almacen = Almacen::new(kind, &[("transacciones", transacciones), ("intentos", intentos)]).await;
    let stores: Vec<_> = (0..4).map(|_| Store::new(almacen.open())).collect();
    for found in join_all(stores.iter().map(todas)).await {
        assert_eq!(found.iter().map(|t| t.id.get()).collect::<Vec<_>>(), [4, 9]);
        assert_eq!((found[0].intento.clone(), found[0].precio), (None, Monto::CERO));
        assert_eq!((found[1].intento.clone(), found[1].precio.get()), (Some(intento("k#2")), 70));
        assert_eq!(
            found[1].fecha.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            "2025-09-10T17:00:00.123Z"
        );
    }
    let store = &stores[0];
    assert!(matches!(palabra(store, "k").await, Palabra::Comprado(t) if t.id.get() == 9));
    assert!(
        matches!(palabra(store, "l").await, Palabra::Abortado(a) if a.numero == 3 && a.token_id.is_none())
    );
    assert_eq!(commit(store, "l#3", 2, 1).await, Err(Overtaken));
    assert!(commit(store, "l#4", 2, 1).await.unwrap().id.get() > 9, "ids go on behind the seed's");
    let mut cierre = Cierre::default();
    todas(store).await.iter().for_each(|t| cierre.agregar(t));
    assert_eq!(store.cierre().await.unwrap(), cierre);
    assert_eq!((cierre.transacciones, cierre.cargos.cuenta, cierre.ventas.suma), (3, 2, 75));
    assert_eq!(Store::new(almacen.open()).cierre().await.unwrap(), cierre);
}

pub async fn the_digests_are_those_of_the_list(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (Store::new(almacen.open()), Store::new(almacen.open()));
    assert_eq!(store.cierre().await.unwrap(), Cierre::default());
    let mut expected = Cierre::default();
    for n in 0..7 {
        expected.agregar(&commit(&store, &format!("k{n}#{}", n + 1), 1 + n % 3, 1 + n).await.unwrap());
        abort(&store, &format!("no{n}#1")).await.unwrap();
        assert_eq!(other.cierre().await.unwrap(), expected);
        assert_eq!(store.cierre().await.unwrap(), expected);
    }
}

/// Who asks again and again for what is behind the last that he has seen, sees all of it, once, in one order.
pub async fn who_follows_skips_nothing_that_commits_late(kind: Kind) {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 25;
    let almacen = Almacen::new(kind, &[]).await;
    let stores: Vec<_> = (0..3).map(|_| Store::new(almacen.open())).collect();
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
            let more = store.siguientes(seen.last().map(|t| t.id), 10).await.unwrap();
            seen.extend(more);
            (seen.len() >= total).then_some(())
        })
        .await;
        seen
    };
    let clients = join_all((0..CLIENTS).map(client));
    let (_, one, two) = tokio::join!(clients, follow(&stores[2]), follow(&stores[0]));
    assert_eq!(one, two, "one order for all");
    assert_eq!(one, todas(&stores[1]).await);
    let ids: BTreeSet<_> = one.iter().map(|t| t.id).collect();
    assert_eq!(ids.len(), one.len());
}

pub async fn a_follower_is_woken_by_other_processes(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (Store::new(almacen.open()), Store::new(almacen.open()));
    for n in 0..3 {
        let mut changed = store.changed();
        let t = commit(&other, &format!("k{n}#1"), 1, 7).await.unwrap();
        let woken = async {
            while store.ultima().await.unwrap() != Some(t.id) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, woken).await.expect("to be woken");
    }
}
