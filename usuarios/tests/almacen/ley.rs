//! The suite. Each function is one test for each kind of store.

use chrono::TimeDelta;
use futures_util::future::join_all;
use journal::StoreError;
use market::contract::{Digest, PedidoCargo, Try};
use market::domain::{Clave, Intento, MAX_ENTERO, Monto, Resumen, UsuarioId};
use serde_json::json;
use std::collections::BTreeSet;
use testkit::almacen::{Almacen, Kind};
use usuarios::domain::{Movimiento, Tipo, Usuario};
use usuarios::error::Error;
use usuarios::store::{Hecho, Store};

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

pub fn pedido(usuario: u64, cuanto: u64) -> PedidoCargo {
    PedidoCargo { usuario_id: id(usuario), monto: monto(cuanto) }
}

/// Ana (1) with 100 and Luis (2) with 150.
async fn dos(kind: Kind) -> Almacen {
    let personas =
        json!([{"id": 1, "nombre": "Ana", "saldo": 100}, {"id": 2, "nombre": "Luis", "saldo": 150}]);
    Almacen::new(kind, &[("usuarios", personas)]).await
}

fn abierto(almacen: &Almacen) -> Store {
    Store::new(almacen.open())
}

pub async fn saldo(store: &Store, usuario: u64) -> u64 {
    store.usuario(id(usuario)).await.unwrap().saldo.get()
}

/// A ledger, read in pages of two.
async fn libro(store: &Store, usuario: u64) -> Vec<Movimiento> {
    let (mut lines, mut despues) = (Vec::new(), 0);
    loop {
        let page = store.movimientos(id(usuario), despues, 2).await.unwrap();
        assert!(page.rows.len() <= 2 && page.total >= lines.len() + page.rows.len());
        lines.extend(page.rows);
        match page.next {
            Some(next) => despues = next.parse().unwrap(),
            None => break,
        }
    }
    assert!(lines.is_sorted_by(|a, b| a.id < b.id), "{lines:?}");
    lines
}

/// The balance, after checking that the ledger sums to it.
pub async fn cuadrado(store: &Store, usuario: u64) -> u64 {
    let lines = libro(store, usuario).await;
    let saldo = saldo(store, usuario).await;
    assert_eq!(lines.iter().map(Movimiento::efecto).sum::<i64>(), i64::try_from(saldo).unwrap(), "{lines:?}");
    saldo
}

/// All confirmed debits.
async fn confirmados(store: &Store) -> Vec<Try> {
    store.confirmados(None).await.unwrap()
}

async fn pendientes(store: &Store) -> Vec<Try> {
    store.pendientes(TimeDelta::zero(), None).await.unwrap()
}

fn resumen(tries: &[Try]) -> Resumen {
    let mut sum = Resumen::default();
    for t in tries {
        sum.agregar(&t.intento, t.usuario_id, t.token_id, t.monto);
    }
    sum
}

pub async fn the_seed_is_taken_once_by_processes_that_start_together(kind: Kind) {
    let almacen = dos(kind).await;
    let stores: Vec<_> = (0..4).map(|_| abierto(&almacen)).collect();
    let first = join_all(stores.iter().map(|s| s.usuarios(None, 10))).await;
    for page in first {
        let page = page.unwrap();
        assert_eq!(
            page.rows.iter().map(|u| (u.id.get(), u.saldo.get())).collect::<Vec<_>>(),
            [(1, 100), (2, 150)]
        );
    }
    let lines = libro(&stores[0], 1).await;
    assert!(matches!(&lines[..], [Movimiento { tipo: Tipo::Apertura, .. }]), "{lines:?}");
    let eva = stores[1].crear("Eva".to_owned(), monto(5)).await.unwrap();
    assert_eq!(eva.id, id(3), "ids go on behind the seed's");
    // a process that comes later finds it filled
    let late = abierto(&almacen);
    assert_eq!(late.usuarios(None, 10).await.unwrap().total, 3);
    assert_eq!(cuadrado(&late, 1).await, 100);
}

pub async fn users_are_made_renamed_and_listed(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let store = abierto(&almacen);
    let nobody = store.usuarios(None, 3).await.unwrap();
    assert_eq!((nobody.rows, nobody.next, nobody.total), (vec![], None, 0));
    assert!(matches!(store.usuario(id(1)).await, Err(Error::UsuarioNoEncontrado(n)) if n == id(1)));
    assert!(matches!(store.movimientos(id(1), 0, 3).await, Err(Error::UsuarioNoEncontrado(_))));
    assert!(matches!(store.renombrar(id(1), "x".to_owned()).await, Err(Error::UsuarioNoEncontrado(_))));
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(store.crear(format!("Persona «{n}» ñ 'x' \\"), monto(n)).await.unwrap());
    }
    assert_eq!(made[0].id, id(1));
    assert!(made.is_sorted_by(|a, b| a.id < b.id), "{made:?}");
    made[3] = store.renombrar(made[3].id, "Otra".to_owned()).await.unwrap();
    assert_eq!(made[3], Usuario { id: made[3].id, nombre: "Otra".to_owned(), saldo: monto(3) });
    assert_eq!(store.usuario(made[3].id).await.unwrap(), made[3]);
    let (mut seen, mut despues) = (Vec::new(), None);
    loop {
        let page = store.usuarios(despues, 3).await.unwrap();
        assert_eq!(page.total, 7);
        seen.extend(page.rows);
        let Some(next) = page.next else { break };
        despues = UsuarioId::new(next.parse().unwrap());
    }
    assert_eq!(seen, made);
    assert_eq!(store.usuarios(Some(made[6].id), 3).await.unwrap().rows, []);
    assert_eq!(store.usuarios(UsuarioId::new(MAX_ENTERO), 1000).await.unwrap().rows, []);
}

pub async fn an_abono_is_made_once(kind: Kind) {
    let almacen = dos(kind).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    let Hecho { valor: first, nuevo } = store.abonar(id(1), monto(5), clave("k")).await.unwrap();
    assert!(nuevo);
    assert_eq!((first.usuario_id, first.monto), (id(1), monto(5)));
    assert_eq!(first.tipo, Tipo::Abono { clave: clave("k") });
    for store in [&store, &other] {
        let again = store.abonar(id(1), monto(5), clave("k")).await.unwrap();
        assert_eq!(again, Hecho { valor: first.clone(), nuevo: false });
        for (usuario, cuanto) in [(1, 6), (2, 5), (9, 5)] {
            let reused = store.abonar(id(usuario), monto(cuanto), clave("k")).await;
            assert!(matches!(&reused, Err(Error::ClaveReutilizada(k)) if k == "k"), "{reused:?}");
        }
    }
    assert_eq!(cuadrado(&other, 1).await, 105);
    assert_eq!(libro(&other, 1).await.last(), Some(&first));
    assert!(matches!(store.abonar(id(9), monto(1), clave("l")).await, Err(Error::UsuarioNoEncontrado(_))));
    let room = MAX_ENTERO - 105;
    for _ in 0..2 {
        let full = store.abonar(id(1), monto(room + 1), clave("l")).await;
        assert!(matches!(full, Err(Error::SaldoExcedido { saldo, .. }) if saldo == monto(105)), "{full:?}");
    }
    assert!(
        store.abonar(id(1), monto(room), clave("l")).await.unwrap().nuevo,
        "a refusal does not use a key up"
    );
    assert_eq!(cuadrado(&store, 1).await, MAX_ENTERO);
    // the attempts of purchases are another space
    assert!(store.cargar(intento("k#1"), pedido(1, 1)).await.unwrap());
}

pub async fn a_cargo_is_made_once_and_ends_once(kind: Kind) {
    let almacen = dos(kind).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    assert!(store.cargar(intento("a#1"), pedido(1, 40)).await.unwrap());
    for s in [&store, &other] {
        assert!(!s.cargar(intento("a#1"), pedido(1, 40)).await.unwrap());
        for wrong in [pedido(1, 41), pedido(2, 40), pedido(9, 40)] {
            let reused = s.cargar(intento("a#1"), wrong).await;
            assert!(matches!(&reused, Err(Error::ClaveReutilizada(k)) if k == "a#1"), "{reused:?}");
        }
    }
    assert_eq!(cuadrado(&other, 1).await, 60);
    for s in [&other, &store, &other] {
        s.confirmar(intento("a#1")).await.unwrap();
        assert!(matches!(s.cancelar(intento("a#1")).await, Err(Error::IntentoConfirmado(_))));
        assert!(!s.cargar(intento("a#1"), pedido(1, 40)).await.unwrap());
    }
    assert_eq!(cuadrado(&store, 1).await, 60);
    assert!(store.cargar(intento("a#2"), pedido(1, 60)).await.unwrap(), "another attempt is another debit");
    assert_eq!(cuadrado(&store, 1).await, 0);
    for s in [&store, &other, &store] {
        s.cancelar(intento("a#2")).await.unwrap();
        assert_eq!(cuadrado(s, 1).await, 60);
        assert!(matches!(s.confirmar(intento("a#2")).await, Err(Error::IntentoNoEncontrado(_))));
    }
    assert!(store.cargar(intento("gratis#4294967295"), pedido(1, 0)).await.unwrap());
    store.confirmar(intento("gratis#4294967295")).await.unwrap();
    assert_eq!(cuadrado(&store, 1).await, 60);
    let lines = libro(&store, 1).await;
    assert!(lines.iter().all(|m| !matches!(m.tipo, Tipo::Cargo { confirmado: false, .. })), "{lines:?}");
}

pub async fn what_is_refused_leaves_no_trace(kind: Kind) {
    let almacen = dos(kind).await;
    let store = abierto(&almacen);
    for cuanto in [101, MAX_ENTERO] {
        let poor = store.cargar(intento("a#1"), pedido(1, cuanto)).await;
        assert!(
            matches!(poor, Err(Error::SaldoInsuficiente { saldo, .. }) if saldo == monto(100)),
            "{poor:?}"
        );
    }
    assert!(matches!(store.cargar(intento("a#1"), pedido(9, 1)).await, Err(Error::UsuarioNoEncontrado(_))));
    assert!(matches!(store.confirmar(intento("a#1")).await, Err(Error::IntentoNoEncontrado(_))));
    store.cancelar(intento("a#1")).await.unwrap();
    assert_eq!(store.resumen().await.unwrap(), Digest::default());
    assert_eq!(libro(&store, 1).await.len(), 1);
    assert!(store.cargar(intento("a#1"), pedido(1, 100)).await.unwrap());
    assert_eq!(cuadrado(&store, 1).await, 0);
}

pub async fn a_refund_waits_for_room(kind: Kind) {
    let almacen = dos(kind).await;
    let store = abierto(&almacen);
    assert!(store.cargar(intento("a#1"), pedido(1, 10)).await.unwrap());
    store.abonar(id(1), monto(MAX_ENTERO - 90), clave("k")).await.unwrap();
    let full = store.cancelar(intento("a#1")).await;
    assert!(matches!(full, Err(Error::SaldoExcedido { monto: m, .. }) if m == monto(10)), "{full:?}");
    assert_eq!(cuadrado(&store, 1).await, MAX_ENTERO);
    assert_eq!(pendientes(&store).await.len(), 1);
    assert!(store.cargar(intento("b#1"), pedido(1, 10)).await.unwrap());
    store.cancelar(intento("a#1")).await.unwrap();
    assert_eq!(cuadrado(&store, 1).await, MAX_ENTERO);
}

pub async fn tries_are_listed_page_by_page(kind: Kind) {
    let almacen = dos(kind).await;
    let store = abierto(&almacen);
    let names = ["c#1", "a#2", "b#10", "a#10", "B#1", "~#1", "a:b#1"];
    for (n, name) in (1..).zip(names) {
        assert!(store.cargar(intento(name), pedido(1 + n % 2, n)).await.unwrap());
    }
    let pending = pendientes(&store).await;
    assert_eq!(pending.len(), names.len());
    assert!(pending.is_sorted_by_key(|t| (t.desde, t.intento.clone())), "oldest first: {pending:?}");
    for (n, last) in pending.iter().enumerate() {
        let behind =
            store.pendientes(TimeDelta::zero(), Some((last.desde, last.intento.clone()))).await.unwrap();
        assert_eq!(behind, pending[n + 1..]);
    }
    let b = pending.iter().find(|t| t.intento == intento("b#10")).unwrap();
    assert_eq!((b.usuario_id, b.monto, b.token_id), (id(2), monto(3), None));
    for age in [TimeDelta::minutes(1), TimeDelta::days(1), TimeDelta::MAX] {
        assert_eq!(store.pendientes(age, None).await.unwrap(), [], "none is {age} old");
    }
    assert_eq!(confirmados(&store).await, []);

    for name in &names[..4] {
        store.confirmar(intento(name)).await.unwrap();
    }
    store.cancelar(intento("B#1")).await.unwrap();
    assert_eq!(pendientes(&store).await.len(), 2);
    let settled = confirmados(&store).await;
    let found: BTreeSet<_> = settled.iter().map(|t| t.intento.to_string()).collect();
    assert_eq!(found, names[..4].iter().map(|&n| n.to_owned()).collect());
    for (n, last) in settled.iter().enumerate() {
        assert_eq!(store.confirmados(Some(last.intento.clone())).await.unwrap(), settled[n + 1..]);
    }
    for t in &settled {
        let before = pending.iter().find(|p| p.intento == t.intento).unwrap();
        assert_eq!((t.usuario_id, t.monto, t.desde), (before.usuario_id, before.monto, before.desde));
    }
}

pub async fn the_digest_is_that_of_what_was_confirmed(kind: Kind) {
    let almacen = dos(kind).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    assert_eq!(store.resumen().await.unwrap(), Digest::default());
    for (n, usuario) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        assert!(store.cargar(intento(&format!("k#{n}")), pedido(usuario, n)).await.unwrap());
    }
    assert_eq!(other.resumen().await.unwrap(), Digest { pendientes: 4, ..Digest::default() });
    for n in [3, 1] {
        store.confirmar(intento(&format!("k#{n}"))).await.unwrap();
        // what was posted before does not count again
        let digest = other.resumen().await.unwrap();
        assert_eq!(digest.confirmados, resumen(&confirmados(&store).await));
    }
    store.cancelar(intento("k#2")).await.unwrap();
    let digest = store.resumen().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (2, 4));
    assert_eq!((digest.pendientes, digest.descuadrados), (1, 0));
    assert_eq!(other.resumen().await.unwrap(), digest);
}

pub async fn many_at_once_take_what_is_there_and_no_more(kind: Kind) {
    let almacen = dos(kind).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let one = async |n: usize| stores[n % 2].cargar(intento(&format!("k{n}#1")), pedido(1, 15)).await;
    let answers = join_all((0..24).map(one)).await;
    let taken = answers.iter().filter(|a| matches!(a, Ok(true))).count();
    assert_eq!(taken, 6, "6 x 15 fit into 100: {answers:?}");
    for no in answers.iter().filter(|a| !matches!(a, Ok(true))) {
        assert!(matches!(no, Err(Error::SaldoInsuficiente { .. })), "{no:?}");
    }
    assert_eq!(cuadrado(&stores[0], 1).await, 10);
    assert_eq!(stores[1].resumen().await.unwrap().pendientes, 6);
}

pub async fn one_key_from_many_at_once_is_done_once(kind: Kind) {
    let almacen = dos(kind).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let cargos = join_all((0..24).map(|n| stores[n % 2].cargar(intento("k#1"), pedido(1, 70)))).await;
    let news: Vec<_> = cargos.into_iter().map(Result::unwrap).collect();
    assert_eq!(news.iter().filter(|&&nuevo| nuevo).count(), 1, "{news:?}");
    let abonos = join_all((0..24).map(|n| stores[n % 2].abonar(id(1), monto(7), clave("k")))).await;
    let abonos: Vec<_> = abonos.into_iter().map(Result::unwrap).collect();
    assert_eq!(abonos.iter().filter(|a| a.nuevo).count(), 1);
    assert!(abonos.iter().all(|a| a.valor == abonos[0].valor), "{abonos:?}");
    assert_eq!(cuadrado(&stores[0], 1).await, 37);
    let ends = join_all((0..24).map(|n| stores[n % 2].cancelar(intento("k#1")))).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    assert_eq!(cuadrado(&stores[1], 1).await, 107);
}

pub async fn a_confirmation_and_a_refund_exclude_each_other(kind: Kind) {
    let almacen = dos(kind).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    for n in 0..20 {
        let i = intento(&format!("k{n}#1"));
        assert!(stores[0].cargar(i.clone(), pedido(2, 1)).await.unwrap());
        let before = cuadrado(&stores[0], 2).await;
        let (yes, no) = tokio::join!(stores[0].confirmar(i.clone()), stores[1].cancelar(i.clone()));
        let after = cuadrado(&stores[1], 2).await;
        match (yes, no) {
            (Ok(()), Err(Error::IntentoConfirmado(_))) => assert_eq!(after, before),
            (Err(Error::IntentoNoEncontrado(_)), Ok(())) => assert_eq!(after, before + 1),
            both => panic!("{both:?}"),
        }
    }
}

/// One that a seed makes: the next.
fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

pub async fn whatever_is_done_at_once_the_ledgers_sum_to_the_balances(kind: Kind) {
    let almacen = dos(kind).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let client = async |seed: u64| {
        let mut state = seed;
        for _ in 0..25 {
            let store = &stores[usize::from(dice(&mut state).is_multiple_of(2))];
            let (usuario, cuanto) = (1 + dice(&mut state) % 2, dice(&mut state) % 40);
            let i = intento(&format!("k{}#{}", dice(&mut state) % 6, 1 + dice(&mut state) % 2));
            let done = match dice(&mut state) % 6 {
                0 => store.abonar(id(usuario), monto(cuanto), i.clave).await.map(|_| ()),
                1..=3 => store.cargar(i, pedido(usuario, cuanto)).await.map(|_| ()),
                4 => store.confirmar(i).await,
                _ => store.cancelar(i).await,
            };
            assert!(!matches!(done, Err(Error::Store(_) | Error::SinIds)), "{done:?}");
        }
    };
    join_all((0..16).map(client)).await;
    let digest = stores[0].resumen().await.unwrap();
    assert_eq!(digest.descuadrados, 0);
    assert_eq!(digest.confirmados, resumen(&confirmados(&stores[1]).await));
    assert_eq!(digest.pendientes, pendientes(&stores[1]).await.len() as u64);
    for usuario in [1, 2] {
        cuadrado(&stores[0], usuario).await;
    }
}

/// The store's trouble, and no refusal.
pub fn trouble<T: std::fmt::Debug>(answer: Result<T, Error>) -> StoreError {
    match answer {
        Err(Error::Store(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}
