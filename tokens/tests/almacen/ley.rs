//! What each operation does, one after another. Each function is one test for each kind of store.

use crate::mundo::{
    TODOS, abierto, alta, con, confirmados, id, intento, libre, monto, pedido, pendientes, resumen, todos,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use market::contract::Digest;
use market::domain::MAX_ENTERO;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::almacen::{Almacen, Kind};
use tokens::domain::Estado;
use tokens::error::Error;
use tokens::store::{Cambio, Consulta, Hecho};

fn con_intento(token: Value, name: &str, vendido: bool, intento: &str) -> Value {
    let fecha = if vendido { "fecha" } else { "desde" };
    let mut token = token;
    token["vendido"] = vendido.into();
    token[name] = json!({"intento": intento, "usuarioId": 7, fecha: "2025-09-10T17:00:00Z"});
    token
}

pub async fn the_seed_is_taken_once_by_processes_that_start_together(kind: Kind) {
    let mut fuera = libre(4, "Fuera", 4);
    fuera["vendido"] = true.into();
    let seed = json!([
        libre(1, "Ñandú", 10),
        con_intento(libre(2, "Reservado", 20), "reserva", false, "r#1"),
        con_intento(libre(103, "Vendido", 30), "venta", true, "v#2"),
        fuera,
    ]);
    let almacen = Almacen::new(kind, &[("tokens", seed)]).await;
    let stores: Vec<_> = (0..4).map(|_| abierto(&almacen)).collect();
    for vista in join_all(stores.iter().map(todos)).await {
        let seen: Vec<_> = vista.page.rows.iter().map(|t| (t.id.get(), t.vendido())).collect();
        assert_eq!(seen, [(1, false), (2, false), (4, true), (103, true)]);
    }
    let (first, last) = (&stores[0], &stores[3]);
    let pending = pendientes(first).await;
    assert_eq!(pending.len(), 1);
    assert_eq!((&pending[0].intento, pending[0].monto), (&intento("r#1"), monto(20)));
    let sold = confirmados(first).await;
    assert_eq!((sold.len(), &sold[0].intento, sold[0].token_id), (1, &intento("v#2"), Some(id(103))));
    let digest = last.resumen().await.unwrap();
    assert_eq!((digest.pendientes, digest.confirmados), (1, resumen(&sold)));
    assert_eq!(last.token(id(103)).await.unwrap(), todos(first).await.page.rows[3]);
    assert_eq!(last.crear(alta("Nuevo", 1)).await.unwrap().id, id(104), "ids go on behind the seed's");
    for (query, total) in [(Some(true), 2), (Some(false), 3), (None, 5)] {
        let vista = abierto(&almacen).listar(Consulta { vendido: query, ..TODOS }).await.unwrap();
        assert_eq!((vista.page.total, vista.page.rows.len()), (total, total));
    }
}

pub async fn tokens_are_made_changed_and_deleted_and_their_ids_not_given_again(kind: Kind) {
    let almacen = Almacen::new(kind, &[]).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    assert_eq!(todos(&store).await.page.rows, []);
    assert!(matches!(store.token(id(1)).await, Err(Error::TokenNoEncontrado(n)) if n == id(1)));
    let one = store.crear(alta("Gato «Cósmico» 'x' \\", MAX_ENTERO)).await.unwrap();
    assert_eq!((one.id, &*one.imagen, one.precio), (id(1), "1.svg", monto(MAX_ENTERO)));
    assert_eq!(other.token(id(1)).await.unwrap(), one);
    let named = tokens::store::Alta { imagen: Some("luna.jpg".to_owned()), ..alta("Luna", 0) };
    let two = other.crear(named).await.unwrap();
    assert_eq!((two.id, &*two.imagen, &*two.nombre), (id(2), "luna.jpg", "Luna"));

    let cheaper = Cambio { precio: Some(monto(5)), ..Cambio::default() };
    let changed = other.cambiar(id(1), cheaper.clone()).await.unwrap();
    assert_eq!((&changed.nombre, &changed.imagen, changed.precio), (&one.nombre, &one.imagen, monto(5)));
    let (nombre, imagen) = (Some("Ñu".to_owned()), Some("nu.png".to_owned()));
    let renamed = store.cambiar(id(1), Cambio { nombre, imagen, precio: None }).await.unwrap();
    assert_eq!((&*renamed.nombre, &*renamed.imagen, renamed.precio), ("Ñu", "nu.png", monto(5)));
    assert_eq!(other.token(id(1)).await.unwrap(), renamed);
    let found = other.listar(Consulta { nombre: Some("nu".to_owned()), ..TODOS }).await.unwrap();
    assert_eq!(found.page.rows, [renamed]);
    assert!(matches!(store.cambiar(id(9), cheaper).await, Err(Error::TokenNoEncontrado(_))));

    store.borrar(id(2)).await.unwrap();
    for s in [&store, &other] {
        assert!(matches!(s.token(id(2)).await, Err(Error::TokenNoEncontrado(_))));
        assert!(matches!(s.borrar(id(2)).await, Err(Error::TokenNoEncontrado(_))));
    }
    assert_eq!(todos(&other).await.page.rows.len(), 1);
    assert_eq!(other.crear(alta("Otro", 1)).await.unwrap().id, id(3));
}

pub async fn a_token_is_held_once_and_ends_once(kind: Kind) {
    let almacen = con(kind, 3).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    let Hecho { valor, nuevo } = store.reservar(intento("a#1"), pedido(1, 7)).await.unwrap();
    assert_eq!((valor.precio, nuevo), (monto(10), true));
    for s in [&other, &store] {
        assert_eq!(s.reservar(intento("a#1"), pedido(1, 7)).await.unwrap(), Hecho { valor, nuevo: false });
        for (who, no) in [("b#1", 8), ("a#2", 7)] {
            let taken = s.reservar(intento(who), pedido(1, no)).await;
            assert!(matches!(taken, Err(Error::TokenReservado(n)) if n == id(1)), "{taken:?}");
        }
        assert!(!s.token(id(1)).await.unwrap().vendido());
    }
    for s in [&other, &store, &other] {
        s.confirmar(intento("a#1")).await.unwrap();
        assert!(matches!(s.cancelar(intento("a#1")).await, Err(Error::IntentoConfirmado(_))));
        assert_eq!(s.reservar(intento("a#1"), pedido(1, 7)).await.unwrap(), Hecho { valor, nuevo: false });
        let sold = s.reservar(intento("b#1"), pedido(1, 8)).await;
        assert!(matches!(sold, Err(Error::TokenVendido(n)) if n == id(1)), "{sold:?}");
        let Estado::Vendido(Some(venta)) = s.token(id(1)).await.unwrap().estado else { panic!() };
        assert_eq!((venta.intento, venta.usuario_id.get()), (intento("a#1"), 7));
    }
    assert!(store.reservar(intento("b#4294967295"), pedido(2, 8)).await.unwrap().nuevo);
    for s in [&store, &other, &store] {
        s.cancelar(intento("b#4294967295")).await.unwrap();
        assert_eq!(s.token(id(2)).await.unwrap().estado, Estado::Libre);
        assert!(matches!(s.confirmar(intento("b#4294967295")).await, Err(Error::IntentoNoEncontrado(_))));
    }
    assert!(other.reservar(intento("b#4294967295"), pedido(2, 8)).await.unwrap().nuevo);
}

pub async fn an_attempt_has_one_token(kind: Kind) {
    let almacen = con(kind, 3).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    assert!(store.reservar(intento("a#1"), pedido(1, 7)).await.unwrap().nuevo);
    for s in [&store, &other] {
        for wrong in [pedido(2, 7), pedido(1, 8), pedido(9, 7)] {
            let reused = s.reservar(intento("a#1"), wrong).await;
            assert!(matches!(&reused, Err(Error::ClaveReutilizada(i)) if *i == intento("a#1")), "{reused:?}");
        }
        s.confirmar(intento("a#1")).await.unwrap();
    }
    assert_eq!(store.token(id(2)).await.unwrap().estado, Estado::Libre);
}

pub async fn what_is_refused_leaves_no_trace(kind: Kind) {
    let almacen = con(kind, 1).await;
    let store = abierto(&almacen);
    let before = store.version().await.unwrap();
    assert!(matches!(store.reservar(intento("a#1"), pedido(9, 7)).await, Err(Error::TokenNoEncontrado(_))));
    assert!(matches!(store.confirmar(intento("a#1")).await, Err(Error::IntentoNoEncontrado(_))));
    assert!(matches!(store.confirmados(Some(intento("a#1"))).await, Err(Error::IntentoNoEncontrado(_))));
    store.cancelar(intento("a#1")).await.unwrap();
    assert!(matches!(store.borrar(id(9)).await, Err(Error::TokenNoEncontrado(_))));
    assert_eq!(store.resumen().await.unwrap(), Digest::default());
    assert_eq!(store.version().await.unwrap(), before);
}

pub async fn what_is_held_or_sold_does_not_change(kind: Kind) {
    let almacen = con(kind, 2).await;
    let store = abierto(&almacen);
    let cambio = Cambio { precio: Some(monto(1)), ..Cambio::default() };
    store.reservar(intento("a#1"), pedido(1, 7)).await.unwrap();
    assert!(matches!(store.cambiar(id(1), cambio.clone()).await, Err(Error::TokenReservado(_))));
    assert!(matches!(store.borrar(id(1)).await, Err(Error::TokenReservado(_))));
    store.confirmar(intento("a#1")).await.unwrap();
    assert!(matches!(store.cambiar(id(1), cambio.clone()).await, Err(Error::TokenVendido(_))));
    assert!(matches!(store.borrar(id(1)).await, Err(Error::TokenVendido(_))));
    assert_eq!(store.token(id(1)).await.unwrap().precio, monto(10));
    store.reservar(intento("b#1"), pedido(2, 7)).await.unwrap();
    store.cancelar(intento("b#1")).await.unwrap();
    assert_eq!(store.cambiar(id(2), cambio).await.unwrap().precio, monto(1));
    store.borrar(id(2)).await.unwrap();
}

pub async fn tries_are_listed_page_by_page(kind: Kind) {
    let almacen = con(kind, 7).await;
    let store = abierto(&almacen);
    let names = ["c#1", "a#2", "b#10", "a#10", "B#1", "~#1", "a:b#1"];
    for (n, name) in (1..).zip(names) {
        store.reservar(intento(name), pedido(n, 1 + n % 2)).await.unwrap();
    }
    let pending = pendientes(&store).await;
    assert_eq!(pending.len(), names.len());
    assert!(pending.is_sorted_by_key(|t| (t.desde, t.intento.clone())), "oldest first: {pending:?}");
    for (n, last) in pending.iter().enumerate() {
        let behind = store.pendientes(TimeDelta::zero(), Some((last.desde, last.intento.clone()))).await;
        assert_eq!(behind.unwrap(), pending[n + 1..]);
    }
    let b = pending.iter().find(|t| t.intento == intento("b#10")).unwrap();
    assert_eq!((b.usuario_id.get(), b.monto, b.token_id), (2, monto(30), Some(id(3))));
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
}

pub async fn the_digest_is_that_of_what_was_sold(kind: Kind) {
    // more than there are parts of tokens.cuentas
    let almacen = con(kind, 70).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    assert_eq!(store.resumen().await.unwrap(), Digest::default());
    for n in [1, 2, 65, 66] {
        store.reservar(intento(&format!("k#{n}")), pedido(n, 7)).await.unwrap();
    }
    assert_eq!(other.resumen().await.unwrap(), Digest { pendientes: 4, ..Digest::default() });
    for n in [65, 1] {
        store.confirmar(intento(&format!("k#{n}"))).await.unwrap();
        assert_eq!(other.resumen().await.unwrap().confirmados, resumen(&confirmados(&store).await));
    }
    store.cancelar(intento("k#2")).await.unwrap();
    let digest = store.resumen().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (2, 660));
    assert_eq!((digest.pendientes, digest.descuadrados), (1, 0));
    assert_eq!(other.resumen().await.unwrap(), digest);
}
