//! The suite. Each function is one test for each kind of store.

pub use crate::accounts::{
    changes_of_an_account_at_once_are_all_made, processes_that_start_together_sign_with_one_key,
    two_accounts_have_two_names_and_two_usuarios,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use journal::StoreError;
use market::contract::{CargoRequest, Digest, Hold};
use market::domain::{Clave, Intento, MAX_INTEGER, Monto, RunningDigest, UsuarioId};
use market::participant::{HoldStore, Recorded};
use serde_json::json;
use std::collections::BTreeSet;
use testkit::data::{Kind, TestData};
use usuarios::domain::{Movimiento, MovimientoKind, Usuario};
use usuarios::error::Error;
use usuarios::store::Store;

pub fn id(n: u64) -> UsuarioId {
    UsuarioId::new(n).unwrap()
}

pub fn monto(n: u64) -> Monto {
    Monto::new(n).unwrap()
}

pub fn intento(s: &str) -> Intento {
    s.parse().unwrap()
}

fn clave(s: &str) -> Clave {
    s.parse().unwrap()
}

pub fn request(usuario: u64, amount: u64) -> CargoRequest {
    CargoRequest { usuario_id: id(usuario), monto: monto(amount), session: None }
}

/// Ana (1) with 100 and Luis (2) with 150.
pub async fn dos(kind: Kind) -> TestData {
    let people = json!([{"id": 1, "nombre": "Ana", "saldo": 100}, {"id": 2, "nombre": "Luis", "saldo": 150}]);
    TestData::new(kind, &[("usuarios", people)]).await
}

pub fn open(data: &TestData) -> Store {
    Store::new(data.open())
}

pub async fn saldo(store: &Store, usuario: u64) -> u64 {
    store.usuario(id(usuario)).await.unwrap().saldo.get()
}

/// A ledger, read in pages of two.
async fn ledger(store: &Store, usuario: u64) -> Vec<Movimiento> {
    let (mut lines, mut after) = (Vec::new(), 0);
    loop {
        let page = store.movimientos(id(usuario), after, 2).await.unwrap();
        assert!(page.rows.len() <= 2 && page.total >= lines.len() + page.rows.len());
        lines.extend(page.rows);
        match page.next {
            Some(next) => after = next.parse().unwrap(),
            None => break,
        }
    }
    assert!(lines.is_sorted_by(|a, b| a.id < b.id), "{lines:?}");
    lines
}

/// The balance, after checking that the ledger sums to it.
pub async fn balanced(store: &Store, usuario: u64) -> u64 {
    let lines = ledger(store, usuario).await;
    let saldo = saldo(store, usuario).await;
    assert_eq!(lines.iter().map(Movimiento::effect).sum::<i64>(), i64::try_from(saldo).unwrap(), "{lines:?}");
    saldo
}

/// All confirmed debits.
async fn settled_in(store: &Store) -> Vec<Hold> {
    store.settled(None).await.unwrap()
}

pub async fn pending_in(store: &Store) -> Vec<Hold> {
    store.pending(TimeDelta::zero(), None).await.unwrap()
}

fn digest_of(holds: &[Hold]) -> RunningDigest {
    let mut sum = RunningDigest::default();
    for t in holds {
        sum.add(&t.intento, t.usuario_id, t.token_id, t.monto);
    }
    sum
}

pub async fn the_seed_is_taken_once_by_processes_that_start_together(kind: Kind) {
    let data = dos(kind).await;
    let stores: Vec<_> = (0..4).map(|_| open(&data)).collect();
    let first = join_all(stores.iter().map(|s| s.usuarios(None, 10))).await;
    for page in first {
        let page = page.unwrap();
        assert_eq!(
            page.rows.iter().map(|u| (u.id.get(), u.saldo.get())).collect::<Vec<_>>(),
            [(1, 100), (2, 150)]
        );
    }
    let lines = ledger(&stores[0], 1).await;
    assert!(matches!(&lines[..], [Movimiento { tipo: MovimientoKind::Opening, .. }]), "{lines:?}");
    let eva = stores[1].create("Eva".to_owned(), monto(5)).await.unwrap();
    assert_eq!(eva.id, id(3), "ids go on behind the seed's");
    // a process that comes later finds it filled
    let late = open(&data);
    assert_eq!(late.usuarios(None, 10).await.unwrap().total, 3);
    assert_eq!(balanced(&late, 1).await, 100);
}

pub async fn users_are_made_renamed_and_listed(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let store = open(&data);
    let nobody = store.usuarios(None, 3).await.unwrap();
    assert_eq!((nobody.rows, nobody.next, nobody.total), (vec![], None, 0));
    assert!(matches!(store.usuario(id(1)).await, Err(Error::UsuarioNotFound(n)) if n == id(1)));
    assert!(matches!(store.movimientos(id(1), 0, 3).await, Err(Error::UsuarioNotFound(_))));
    assert!(matches!(store.rename(id(1), "x".to_owned()).await, Err(Error::UsuarioNotFound(_))));
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(store.create(format!("Persona «{n}» ñ 'x' \\"), monto(n)).await.unwrap());
    }
    assert_eq!(made[0].id, id(1));
    assert!(made.is_sorted_by(|a, b| a.id < b.id), "{made:?}");
    made[3] = store.rename(made[3].id, "Otra".to_owned()).await.unwrap();
    assert_eq!(made[3], Usuario { id: made[3].id, nombre: "Otra".to_owned(), saldo: monto(3) });
    assert_eq!(store.usuario(made[3].id).await.unwrap(), made[3]);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.usuarios(after, 3).await.unwrap();
        assert_eq!(page.total, 7);
        seen.extend(page.rows);
        let Some(next) = page.next else { break };
        after = UsuarioId::new(next.parse().unwrap());
    }
    assert_eq!(seen, made);
    assert_eq!(store.usuarios(Some(made[6].id), 3).await.unwrap().rows, []);
    assert_eq!(store.usuarios(UsuarioId::new(MAX_INTEGER), 1000).await.unwrap().rows, []);
}

pub async fn an_abono_is_made_once(kind: Kind) {
    let data = dos(kind).await;
    let (store, other) = (open(&data), open(&data));
    let Recorded { value: first, is_new } = store.credit(id(1), monto(5), clave("k")).await.unwrap();
    assert!(is_new);
    assert_eq!((first.usuario_id, first.monto), (id(1), monto(5)));
    assert_eq!(first.tipo, MovimientoKind::Abono { clave: clave("k") });
    for store in [&store, &other] {
        let again = store.credit(id(1), monto(5), clave("k")).await.unwrap();
        assert_eq!(again, Recorded { value: first.clone(), is_new: false });
        for (usuario, amount) in [(1, 6), (2, 5), (9, 5)] {
            let reused = store.credit(id(usuario), monto(amount), clave("k")).await;
            assert!(matches!(&reused, Err(Error::ClaveReused(k)) if k == "k"), "{reused:?}");
        }
    }
    assert_eq!(balanced(&other, 1).await, 105);
    assert_eq!(ledger(&other, 1).await.last(), Some(&first));
    assert!(matches!(store.credit(id(9), monto(1), clave("l")).await, Err(Error::UsuarioNotFound(_))));
    let room = MAX_INTEGER - 105;
    for _ in 0..2 {
        let full = store.credit(id(1), monto(room + 1), clave("l")).await;
        assert!(matches!(full, Err(Error::SaldoTooHigh { saldo, .. }) if saldo == monto(105)), "{full:?}");
    }
    assert!(
        store.credit(id(1), monto(room), clave("l")).await.unwrap().is_new,
        "a refusal does not use a key up"
    );
    assert_eq!(balanced(&store, 1).await, MAX_INTEGER);
    // the attempts of purchases are another space
    assert!(store.hold(intento("k#1"), request(1, 1)).await.unwrap().is_new);
}

pub async fn a_cargo_is_made_once_and_ends_once(kind: Kind) {
    let data = dos(kind).await;
    let (store, other) = (open(&data), open(&data));
    assert!(store.hold(intento("a#1"), request(1, 40)).await.unwrap().is_new);
    for s in [&store, &other] {
        assert!(!s.hold(intento("a#1"), request(1, 40)).await.unwrap().is_new);
        for wrong in [request(1, 41), request(2, 40), request(9, 40)] {
            let reused = s.hold(intento("a#1"), wrong).await;
            assert!(matches!(&reused, Err(Error::ClaveReused(k)) if k == "a#1"), "{reused:?}");
        }
    }
    assert_eq!(balanced(&other, 1).await, 60);
    for s in [&other, &store, &other] {
        s.confirm(intento("a#1")).await.unwrap();
        assert!(matches!(s.cancel(intento("a#1")).await, Err(Error::IntentoConfirmed(_))));
        assert!(!s.hold(intento("a#1"), request(1, 40)).await.unwrap().is_new);
    }
    assert_eq!(balanced(&store, 1).await, 60);
    assert!(
        store.hold(intento("a#2"), request(1, 60)).await.unwrap().is_new,
        "another attempt is another debit"
    );
    assert_eq!(balanced(&store, 1).await, 0);
    for s in [&store, &other, &store] {
        s.cancel(intento("a#2")).await.unwrap();
        assert_eq!(balanced(s, 1).await, 60);
        assert!(matches!(s.confirm(intento("a#2")).await, Err(Error::IntentoNotFound(_))));
    }
    assert!(store.hold(intento("gratis#4294967295"), request(1, 0)).await.unwrap().is_new);
    store.confirm(intento("gratis#4294967295")).await.unwrap();
    assert_eq!(balanced(&store, 1).await, 60);
    let lines = ledger(&store, 1).await;
    assert!(
        lines.iter().all(|m| !matches!(m.tipo, MovimientoKind::Cargo { confirmado: false, .. })),
        "{lines:?}"
    );
}

pub async fn what_is_refused_leaves_no_trace(kind: Kind) {
    let data = dos(kind).await;
    let store = open(&data);
    for amount in [101, MAX_INTEGER] {
        let poor = store.hold(intento("a#1"), request(1, amount)).await;
        assert!(matches!(poor, Err(Error::SaldoTooLow { saldo, .. }) if saldo == monto(100)), "{poor:?}");
    }
    assert!(matches!(store.hold(intento("a#1"), request(9, 1)).await, Err(Error::UsuarioNotFound(_))));
    assert!(matches!(store.confirm(intento("a#1")).await, Err(Error::IntentoNotFound(_))));
    store.cancel(intento("a#1")).await.unwrap();
    assert_eq!(store.digest().await.unwrap(), Digest::default());
    assert_eq!(ledger(&store, 1).await.len(), 1);
    assert!(store.hold(intento("a#1"), request(1, 100)).await.unwrap().is_new);
    assert_eq!(balanced(&store, 1).await, 0);
}

pub async fn a_refund_waits_for_room(kind: Kind) {
    let data = dos(kind).await;
    let store = open(&data);
    assert!(store.hold(intento("a#1"), request(1, 10)).await.unwrap().is_new);
    store.credit(id(1), monto(MAX_INTEGER - 90), clave("k")).await.unwrap();
    let full = store.cancel(intento("a#1")).await;
    assert!(matches!(full, Err(Error::SaldoTooHigh { monto: m, .. }) if m == monto(10)), "{full:?}");
    assert_eq!(balanced(&store, 1).await, MAX_INTEGER);
    assert_eq!(pending_in(&store).await.len(), 1);
    assert!(store.hold(intento("b#1"), request(1, 10)).await.unwrap().is_new);
    store.cancel(intento("a#1")).await.unwrap();
    assert_eq!(balanced(&store, 1).await, MAX_INTEGER);
}

pub async fn tries_are_listed_page_by_page(kind: Kind) {
    let data = dos(kind).await;
    let store = open(&data);
    let names = ["c#1", "a#2", "b#10", "a#10", "B#1", "~#1", "a:b#1"];
    for (n, name) in (1..).zip(names) {
        assert!(store.hold(intento(name), request(1 + n % 2, n)).await.unwrap().is_new);
    }
    let pending = pending_in(&store).await;
    assert_eq!(pending.len(), names.len());
    assert!(pending.is_sorted_by_key(|t| (t.desde, t.intento.clone())), "oldest first: {pending:?}");
    for (n, last) in pending.iter().enumerate() {
        let behind =
            store.pending(TimeDelta::zero(), Some((last.desde, last.intento.clone()))).await.unwrap();
        assert_eq!(behind, pending[n + 1..]);
    }
    let b = pending.iter().find(|t| t.intento == intento("b#10")).unwrap();
    assert_eq!((b.usuario_id, b.monto, b.token_id), (id(2), monto(3), None));
    for age in [TimeDelta::minutes(1), TimeDelta::days(1), TimeDelta::MAX] {
        assert_eq!(store.pending(age, None).await.unwrap(), [], "none is {age} old");
    }
    assert_eq!(settled_in(&store).await, []);

    for name in &names[..4] {
        store.confirm(intento(name)).await.unwrap();
    }
    store.cancel(intento("B#1")).await.unwrap();
    assert_eq!(pending_in(&store).await.len(), 2);
    let settled = settled_in(&store).await;
    let found: BTreeSet<_> = settled.iter().map(|t| t.intento.to_string()).collect();
    assert_eq!(found, names[..4].iter().map(|&n| n.to_owned()).collect());
    for (n, last) in settled.iter().enumerate() {
        assert_eq!(store.settled(Some(last.intento.clone())).await.unwrap(), settled[n + 1..]);
    }
    for t in &settled {
        let before = pending.iter().find(|p| p.intento == t.intento).unwrap();
        assert_eq!((t.usuario_id, t.monto, t.desde), (before.usuario_id, before.monto, before.desde));
    }
}

pub async fn the_digest_is_that_of_what_was_confirmed(kind: Kind) {
    let data = dos(kind).await;
    let (store, other) = (open(&data), open(&data));
    assert_eq!(store.digest().await.unwrap(), Digest::default());
    for (n, usuario) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        assert!(store.hold(intento(&format!("k#{n}")), request(usuario, n)).await.unwrap().is_new);
    }
    let mut pending = other.digest().await.unwrap();
    pending.in_flight.sort_by(|a, b| a.intento.cmp(&b.intento));
    let mut in_flight = store.pending(TimeDelta::zero(), None).await.unwrap();
    in_flight.sort_by(|a, b| a.intento.cmp(&b.intento));
    assert_eq!(in_flight.len(), 4);
    assert_eq!(pending, Digest { pendientes: 4, in_flight, ..Digest::default() });
    for n in [3, 1] {
        store.confirm(intento(&format!("k#{n}"))).await.unwrap();
        // what was posted before does not count again
        let digest = other.digest().await.unwrap();
        assert_eq!(digest.confirmados, digest_of(&settled_in(&store).await));
    }
    store.cancel(intento("k#2")).await.unwrap();
    let digest = store.digest().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (2, 4));
    assert_eq!((digest.pendientes, digest.descuadrados), (1, 0));
    assert_eq!(other.digest().await.unwrap(), digest);
}

pub async fn many_at_once_take_what_is_there_and_no_more(kind: Kind) {
    let data = dos(kind).await;
    let stores = [open(&data), open(&data)];
    let one = async |n: usize| {
        let held = stores[n % 2].hold(intento(&format!("k{n}#1")), request(1, 15)).await;
        held.map(|held| held.is_new)
    };
    let answers = join_all((0..24).map(one)).await;
    let taken = answers.iter().filter(|a| matches!(a, Ok(true))).count();
    assert_eq!(taken, 6, "6 x 15 fit into 100: {answers:?}");
    for no in answers.iter().filter(|a| !matches!(a, Ok(true))) {
        assert!(matches!(no, Err(Error::SaldoTooLow { .. })), "{no:?}");
    }
    assert_eq!(balanced(&stores[0], 1).await, 10);
    assert_eq!(stores[1].digest().await.unwrap().pendientes, 6);
}

pub async fn one_key_from_many_at_once_is_done_once(kind: Kind) {
    let data = dos(kind).await;
    let stores = [open(&data), open(&data)];
    let cargos = join_all((0..24).map(|n| stores[n % 2].hold(intento("k#1"), request(1, 70)))).await;
    let news: Vec<_> = cargos.into_iter().map(Result::unwrap).collect();
    assert_eq!(news.iter().filter(|held| held.is_new).count(), 1, "{news:?}");
    let abonos = join_all((0..24).map(|n| stores[n % 2].credit(id(1), monto(7), clave("k")))).await;
    let abonos: Vec<_> = abonos.into_iter().map(Result::unwrap).collect();
    assert_eq!(abonos.iter().filter(|a| a.is_new).count(), 1);
    assert!(abonos.iter().all(|a| a.value == abonos[0].value), "{abonos:?}");
    assert_eq!(balanced(&stores[0], 1).await, 37);
    let ends = join_all((0..24).map(|n| stores[n % 2].cancel(intento("k#1")))).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    assert_eq!(balanced(&stores[1], 1).await, 107);
}

pub async fn a_confirmation_and_a_refund_exclude_each_other(kind: Kind) {
    let data = dos(kind).await;
    let stores = [open(&data), open(&data)];
    for n in 0..20 {
        let i = intento(&format!("k{n}#1"));
        assert!(stores[0].hold(i.clone(), request(2, 1)).await.unwrap().is_new);
        let before = balanced(&stores[0], 2).await;
        let (yes, no) = tokio::join!(stores[0].confirm(i.clone()), stores[1].cancel(i.clone()));
        let after = balanced(&stores[1], 2).await;
        match (yes, no) {
            (Ok(()), Err(Error::IntentoConfirmed(_))) => assert_eq!(after, before),
            (Err(Error::IntentoNotFound(_)), Ok(())) => assert_eq!(after, before + 1),
            both => panic!("{both:?}"),
        }
    }
}

/// One that a seed makes: the next.
pub fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

pub async fn whatever_is_done_at_once_the_ledgers_sum_to_the_balances(kind: Kind) {
    let data = dos(kind).await;
    let stores = [open(&data), open(&data)];
    let client = async |seed: u64| {
        let mut state = seed;
        for _ in 0..25 {
            let store = &stores[usize::from(dice(&mut state).is_multiple_of(2))];
            let (usuario, amount) = (1 + dice(&mut state) % 2, dice(&mut state) % 40);
            let i = intento(&format!("k{}#{}", dice(&mut state) % 6, 1 + dice(&mut state) % 2));
            let done = match dice(&mut state) % 6 {
                0 => store.credit(id(usuario), monto(amount), i.clave).await.map(|_| ()),
                1..=3 => store.hold(i, request(usuario, amount)).await.map(|_| ()),
                4 => store.confirm(i).await,
                _ => store.cancel(i).await,
            };
            assert!(!matches!(done, Err(Error::Store(_) | Error::NoIdsLeft)), "{done:?}");
        }
    };
    join_all((0..16).map(client)).await;
    let digest = stores[0].digest().await.unwrap();
    assert_eq!(digest.descuadrados, 0);
    assert_eq!(digest.confirmados, digest_of(&settled_in(&stores[1]).await));
    assert_eq!(digest.pendientes, pending_in(&stores[1]).await.len() as u64);
    for usuario in [1, 2] {
        balanced(&stores[0], usuario).await;
    }
}

/// The store's trouble, and no refusal.
pub fn trouble<T: std::fmt::Debug>(answer: Result<T, Error>) -> StoreError {
    match answer {
        Err(Error::Store(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}
