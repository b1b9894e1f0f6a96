//! What each operation does, one after another. Each function is one test for each kind of store.

use crate::world::{
    ALL, all_tokens, digest_of, free, id, intento, monto, new_token, open, pending_in, request, settled_in,
    with_field,
};
use chrono::TimeDelta;
use futures_util::future::join_all;
use market::contract::Digest;
use market::domain::MAX_INTEGER;
use market::participant::{HoldStore, Recorded};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::data::{Kind, TestData};
use tokens::domain::Availability;
use tokens::error::Error;
use tokens::store::{ListQuery, TokenChange};

fn with_intento(token: Value, name: &str, vendido: bool, intento: &str) -> Value {
    let fecha = if vendido { "fecha" } else { "desde" };
    let mut token = token;
    token["vendido"] = vendido.into();
    token[name] = json!({"intento": intento, "usuarioId": 7, fecha: "2025-09-10T17:00:00Z"});
    token
}

pub async fn the_seed_is_taken_once_by_processes_that_start_together(kind: Kind) {
    let mut outside = free(4, "Fuera", 4);
    outside["vendido"] = true.into();
    let seed = json!([
        free(1, "Ñandú", 10),
        with_intento(free(2, "Reservado", 20), "reserva", false, "r#1"),
        with_intento(free(103, "Vendido", 30), "venta", true, "v#2"),
        outside,
    ]);
    let data = TestData::new(kind, &[("tokens", seed)]).await;
    let stores: Vec<_> = (0..4).map(|_| open(&data)).collect();
    for page in join_all(stores.iter().map(all_tokens)).await {
        let seen: Vec<_> = page.page.rows.iter().map(|t| (t.id.get(), t.is_sold())).collect();
        assert_eq!(seen, [(1, false), (2, false), (4, true), (103, true)]);
    }
    let (first, last) = (&stores[0], &stores[3]);
    let pending = pending_in(first).await;
    assert_eq!(pending.len(), 1);
    assert_eq!((&pending[0].intento, pending[0].monto), (&intento("r#1"), monto(20)));
    let sold = settled_in(first).await;
    assert_eq!((sold.len(), &sold[0].intento, sold[0].token_id), (1, &intento("v#2"), Some(id(103))));
    let digest = last.digest().await.unwrap();
    assert_eq!((digest.pendientes, digest.confirmados), (1, digest_of(&sold)));
    assert_eq!(last.token(id(103)).await.unwrap(), all_tokens(first).await.page.rows[3]);
    assert_eq!(last.create(new_token("Nuevo", 1)).await.unwrap().id, id(104), "ids go on behind the seed's");
    for (query, total) in [(Some(true), 2), (Some(false), 3), (None, 5)] {
        let page = open(&data).list(ListQuery { vendido: query, ..ALL }).await.unwrap();
        assert_eq!((page.page.total, page.page.rows.len()), (total, total));
    }
}

pub async fn tokens_are_made_changed_and_deleted_and_their_ids_not_given_again(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let (store, other) = (open(&data), open(&data));
    assert_eq!(all_tokens(&store).await.page.rows, []);
    assert!(matches!(store.token(id(1)).await, Err(Error::TokenNotFound(n)) if n == id(1)));
    let one = store.create(new_token("Gato «Cósmico» 'x' \\", MAX_INTEGER)).await.unwrap();
    assert_eq!((one.id, &*one.imagen, one.precio), (id(1), "1.svg", monto(MAX_INTEGER)));
    assert_eq!(other.token(id(1)).await.unwrap(), one);
    let named = tokens::store::NewToken { imagen: Some("luna.jpg".to_owned()), ..new_token("Luna", 0) };
    let two = other.create(named).await.unwrap();
    assert_eq!((two.id, &*two.imagen, &*two.nombre), (id(2), "luna.jpg", "Luna"));

    let cheaper = TokenChange { precio: Some(monto(5)), ..TokenChange::default() };
    let changed = other.change(id(1), cheaper.clone()).await.unwrap();
    assert_eq!((&changed.nombre, &changed.imagen, changed.precio), (&one.nombre, &one.imagen, monto(5)));
    let (nombre, imagen) = (Some("Ñu".to_owned()), Some("nu.png".to_owned()));
    let renamed = store.change(id(1), TokenChange { nombre, imagen, precio: None }).await.unwrap();
    assert_eq!((&*renamed.nombre, &*renamed.imagen, renamed.precio), ("Ñu", "nu.png", monto(5)));
    assert_eq!(other.token(id(1)).await.unwrap(), renamed);
    let found = other.list(ListQuery { nombre: Some("ñu".to_owned()), ..ALL }).await.unwrap();
    assert_eq!(found.page.rows, [renamed]);
    assert!(matches!(store.change(id(9), cheaper).await, Err(Error::TokenNotFound(_))));

    store.delete(id(2)).await.unwrap();
    for s in [&store, &other] {
        assert!(matches!(s.token(id(2)).await, Err(Error::TokenNotFound(_))));
        assert!(matches!(s.delete(id(2)).await, Err(Error::TokenNotFound(_))));
    }
    assert_eq!(all_tokens(&other).await.page.rows.len(), 1);
    assert_eq!(other.create(new_token("Otro", 1)).await.unwrap().id, id(3));
}

pub async fn a_token_is_held_once_and_ends_once(kind: Kind) {
    let data = with_field(kind, 3).await;
    let (store, other) = (open(&data), open(&data));
    let Recorded { value, is_new } = store.hold(intento("a#1"), request(1, 7)).await.unwrap();
    assert_eq!((value.precio, is_new), (monto(10), true));
    for s in [&other, &store] {
        assert_eq!(s.hold(intento("a#1"), request(1, 7)).await.unwrap(), Recorded { value, is_new: false });
        for (who, no) in [("b#1", 8), ("a#2", 7)] {
            let taken = s.hold(intento(who), request(1, no)).await;
            assert!(matches!(taken, Err(Error::TokenReserved(n)) if n == id(1)), "{taken:?}");
        }
        assert!(!s.token(id(1)).await.unwrap().is_sold());
    }
    for s in [&other, &store, &other] {
        s.confirm(intento("a#1")).await.unwrap();
        assert!(matches!(s.cancel(intento("a#1")).await, Err(Error::IntentoConfirmed(_))));
        assert_eq!(s.hold(intento("a#1"), request(1, 7)).await.unwrap(), Recorded { value, is_new: false });
        let sold = s.hold(intento("b#1"), request(1, 8)).await;
        assert!(matches!(sold, Err(Error::TokenSold(n)) if n == id(1)), "{sold:?}");
        let Availability::Sold(Some(venta)) = s.token(id(1)).await.unwrap().estado else { panic!() };
        assert_eq!((venta.intento, venta.usuario_id.get()), (intento("a#1"), 7));
    }
    assert!(store.hold(intento("b#4294967295"), request(2, 8)).await.unwrap().is_new);
    for s in [&store, &other, &store] {
        s.cancel(intento("b#4294967295")).await.unwrap();
        assert_eq!(s.token(id(2)).await.unwrap().estado, Availability::Free);
        assert!(matches!(s.confirm(intento("b#4294967295")).await, Err(Error::IntentoNotFound(_))));
    }
    assert!(other.hold(intento("b#4294967295"), request(2, 8)).await.unwrap().is_new);
}

pub async fn an_attempt_has_one_token(kind: Kind) {
    let data = with_field(kind, 3).await;
    let (store, other) = (open(&data), open(&data));
    assert!(store.hold(intento("a#1"), request(1, 7)).await.unwrap().is_new);
    for s in [&store, &other] {
        for wrong in [request(2, 7), request(1, 8), request(9, 7)] {
            let reused = s.hold(intento("a#1"), wrong).await;
            assert!(matches!(&reused, Err(Error::ClaveReused(i)) if *i == intento("a#1")), "{reused:?}");
        }
        s.confirm(intento("a#1")).await.unwrap();
    }
    assert_eq!(store.token(id(2)).await.unwrap().estado, Availability::Free);
}

pub async fn what_is_refused_leaves_no_trace(kind: Kind) {
    let data = with_field(kind, 1).await;
    let store = open(&data);
    let before = store.version().await.unwrap();
    assert!(matches!(store.hold(intento("a#1"), request(9, 7)).await, Err(Error::TokenNotFound(_))));
    assert!(matches!(store.confirm(intento("a#1")).await, Err(Error::IntentoNotFound(_))));
    assert!(matches!(store.settled(Some(intento("a#1"))).await, Err(Error::IntentoNotFound(_))));
    store.cancel(intento("a#1")).await.unwrap();
    assert!(matches!(store.delete(id(9)).await, Err(Error::TokenNotFound(_))));
    assert_eq!(store.digest().await.unwrap(), Digest::default());
    assert_eq!(store.version().await.unwrap(), before);
}

pub async fn what_is_held_or_sold_does_not_change(kind: Kind) {
    let data = with_field(kind, 2).await;
    let store = open(&data);
    let change = TokenChange { precio: Some(monto(1)), ..TokenChange::default() };
    store.hold(intento("a#1"), request(1, 7)).await.unwrap();
    assert!(matches!(store.change(id(1), change.clone()).await, Err(Error::TokenReserved(_))));
    assert!(matches!(store.delete(id(1)).await, Err(Error::TokenReserved(_))));
    store.confirm(intento("a#1")).await.unwrap();
    assert!(matches!(store.change(id(1), change.clone()).await, Err(Error::TokenSold(_))));
    assert!(matches!(store.delete(id(1)).await, Err(Error::TokenSold(_))));
    assert_eq!(store.token(id(1)).await.unwrap().precio, monto(10));
    store.hold(intento("b#1"), request(2, 7)).await.unwrap();
    store.cancel(intento("b#1")).await.unwrap();
    assert_eq!(store.change(id(2), change).await.unwrap().precio, monto(1));
    store.delete(id(2)).await.unwrap();
}

pub async fn tries_are_listed_page_by_page(kind: Kind) {
    let data = with_field(kind, 7).await;
    let store = open(&data);
    let names = ["c#1", "a#2", "b#10", "a#10", "B#1", "~#1", "a:b#1"];
    for (n, name) in (1..).zip(names) {
        store.hold(intento(name), request(n, 1 + n % 2)).await.unwrap();
    }
    let pending = pending_in(&store).await;
    assert_eq!(pending.len(), names.len());
    assert!(pending.is_sorted_by_key(|t| (t.desde, t.intento.clone())), "oldest first: {pending:?}");
    for (n, last) in pending.iter().enumerate() {
        let behind = store.pending(TimeDelta::zero(), Some((last.desde, last.intento.clone()))).await;
        assert_eq!(behind.unwrap(), pending[n + 1..]);
    }
    let b = pending.iter().find(|t| t.intento == intento("b#10")).unwrap();
    assert_eq!((b.usuario_id.get(), b.monto, b.token_id), (2, monto(30), Some(id(3))));
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
}

pub async fn the_digest_is_that_of_what_was_sold(kind: Kind) {
    // more than there are parts of tokens.cuentas
    let data = with_field(kind, 70).await;
    let (store, other) = (open(&data), open(&data));
    assert_eq!(store.digest().await.unwrap(), Digest::default());
    for n in [1, 2, 65, 66] {
        store.hold(intento(&format!("k#{n}")), request(n, 7)).await.unwrap();
    }
    let mut pending = other.digest().await.unwrap();
    pending.in_flight.sort_by(|a, b| a.intento.cmp(&b.intento));
    let mut in_flight = store.pending(TimeDelta::zero(), None).await.unwrap();
    in_flight.sort_by(|a, b| a.intento.cmp(&b.intento));
    assert_eq!(in_flight.len(), 4);
    assert_eq!(pending, Digest { pendientes: 4, in_flight, ..Digest::default() });
    for n in [65, 1] {
        store.confirm(intento(&format!("k#{n}"))).await.unwrap();
        assert_eq!(other.digest().await.unwrap().confirmados, digest_of(&settled_in(&store).await));
    }
    store.cancel(intento("k#2")).await.unwrap();
    let digest = store.digest().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (2, 660));
    assert_eq!((digest.pendientes, digest.descuadrados), (1, 0));
    assert_eq!(other.digest().await.unwrap(), digest);
}
