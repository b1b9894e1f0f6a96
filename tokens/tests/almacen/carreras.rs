//! Many at once, in two processes. Each function is one test for each kind of store.

use crate::mundo::{
    abierto, alta, con, confirmados, dice, id, intento, monto, pedido, pendientes, resumen, todos,
};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::almacen::Kind;
use tokens::domain::{Estado, Token};
use tokens::error::Error;
use tokens::store::{Cambio, Version};

pub async fn many_at_once_give_a_token_to_one(kind: Kind) {
    let almacen = con(kind, 5).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    for token in 1..=5 {
        let one = async |n: usize| {
            stores[n % 2].reservar(intento(&format!("k{n}#{token}")), pedido(token, 1 + n as u64)).await
        };
        let answers = join_all((0..16).map(one)).await;
        let won: Vec<_> = (0..16).filter(|&n| answers[n].is_ok()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        for no in answers.iter().filter(|a| a.is_err()) {
            assert!(matches!(no, Err(Error::TokenReservado(_))), "{no:?}");
        }
        let Estado::Reservado(held) = stores[1].token(id(token)).await.unwrap().estado else { panic!() };
        assert_eq!(held.intento, intento(&format!("k{}#{token}", won[0])));
        let ends = join_all((0..8).map(|n| stores[n % 2].confirmar(held.intento.clone()))).await;
        assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    }
    let digest = stores[0].resumen().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (5, 150), "each is counted once");
}

pub async fn one_attempt_at_many_tokens_gets_one(kind: Kind) {
    let almacen = con(kind, 8).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let one = async |n: u64| {
        stores[usize::from(n.is_multiple_of(2))].reservar(intento("a#1"), pedido(1 + n % 8, 7)).await
    };
    let answers = join_all((0..24).map(one)).await;
    assert_eq!(answers.iter().filter(|a| a.as_ref().is_ok_and(|h| h.nuevo)).count(), 1, "{answers:?}");
    for no in answers.iter().filter(|a| a.is_err()) {
        assert!(matches!(no, Err(Error::ClaveReutilizada(_))), "{no:?}");
    }
    assert_eq!(pendientes(&stores[0]).await.len(), 1);
}

pub async fn a_sale_and_a_release_exclude_each_other(kind: Kind) {
    let almacen = con(kind, 15).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    for n in 1..=15 {
        let i = intento(&format!("k#{n}"));
        stores[0].reservar(i.clone(), pedido(n, 7)).await.unwrap();
        let (yes, no) = tokio::join!(stores[0].confirmar(i.clone()), stores[1].cancelar(i.clone()));
        let estado = stores[1].token(id(n)).await.unwrap().estado;
        match (yes, no) {
            (Ok(()), Err(Error::IntentoConfirmado(_))) => assert!(matches!(estado, Estado::Vendido(Some(_)))),
            (Err(Error::IntentoNoEncontrado(_)), Ok(())) => assert_eq!(estado, Estado::Libre),
            both => panic!("{both:?}"),
        }
    }
    let digest = stores[0].resumen().await.unwrap();
    assert_eq!(digest.confirmados, resumen(&confirmados(&stores[0]).await));
}

pub async fn a_change_and_a_reservation_exclude_each_other(kind: Kind) {
    let almacen = con(kind, 20).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    for n in 1..=20 {
        let cambio = Cambio { precio: Some(monto(1)), ..Cambio::default() };
        let i = intento(&format!("k#{n}"));
        let held = stores[0].reservar(i, pedido(n, 7));
        if n % 2 == 0 {
            let (held, changed) = tokio::join!(held, stores[1].cambiar(id(n), cambio));
            let precio = stores[0].token(id(n)).await.unwrap().precio;
            assert_eq!(held.unwrap().valor.precio, precio, "what is held costs what was said");
            assert_eq!(changed.is_ok(), precio == monto(1), "{changed:?}");
        } else {
            let (held, gone) = tokio::join!(held, stores[1].borrar(id(n)));
            match (held, gone) {
                (Ok(_), Err(Error::TokenReservado(_))) => drop(stores[0].token(id(n)).await.unwrap()),
                (Err(Error::TokenNoEncontrado(_)), Ok(())) => {}
                both => panic!("{both:?}"),
            }
        }
    }
}

fn shown(tokens: &[Token]) -> Vec<(u64, u64, bool)> {
    tokens.iter().map(|t| (t.id.get(), t.precio.get(), t.vendido())).collect()
}

/// What makes a page under its number good for ever: nobody ever sees another page under that number, and who asks after
/// a sale was acknowledged never gets a number from before it.
pub async fn readers_beside_writers_see_one_state_for_each_version(kind: Kind) {
    let almacen = con(kind, 40).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let done = AtomicBool::new(false);
    let writer = async |n: u64| {
        let store = &stores[usize::from(n.is_multiple_of(2))];
        for token in (1..=40).filter(|token| token % 4 == n) {
            let i = intento(&format!("k#{token}"));
            let cambio = Cambio { precio: Some(monto(token)), ..Cambio::default() };
            store.cambiar(id(token), cambio).await.unwrap();
            store.reservar(i.clone(), pedido(token, 7)).await.unwrap();
            let before = store.version().await.unwrap();
            store.confirmar(i).await.unwrap();
            // through the other process, as the buyer's next request may go
            let other = &stores[usize::from(!n.is_multiple_of(2))];
            assert!(other.version().await.unwrap() > before);
            let vista = todos(other).await;
            assert!(
                vista.version > before && vista.page.rows.iter().any(|t| t.id == id(token) && t.vendido())
            );
        }
    };
    let reader = async |n: usize| {
        let (mut seen, mut last) = (BTreeMap::<Version, Vec<_>>::new(), Version::default());
        while !done.load(Ordering::Acquire) {
            // files answer at once, and the writers are in this task
            tokio::task::yield_now().await;
            let before = stores[n % 2].version().await.unwrap();
            let vista = todos(&stores[n % 2]).await;
            assert!(last <= before && before <= vista.version, "time goes on");
            last = vista.version;
            seen.insert(vista.version, shown(&vista.page.rows));
        }
        seen
    };
    let writers = async {
        join_all((0..4).map(writer)).await;
        done.store(true, Ordering::Release);
    };
    let ((), seen) = tokio::join!(writers, join_all((0..4).map(reader)));
    let mut states = BTreeMap::new();
    for (version, rows) in seen.into_iter().flatten() {
        let known = states.entry(version).or_insert_with(|| rows.clone());
        assert_eq!(*known, rows, "two states with one number");
    }
    assert!(states.len() > 10, "{} states were seen", states.len());
}

pub async fn whatever_is_done_at_once_the_sums_are_those_of_the_rows(kind: Kind) {
    let almacen = con(kind, 12).await;
    let stores = [abierto(&almacen), abierto(&almacen)];
    let client = async |seed: u64| {
        let mut state = seed;
        for _ in 0..25 {
            let store = &stores[usize::from(dice(&mut state).is_multiple_of(2))];
            let (token, usuario, precio) =
                (1 + dice(&mut state) % 14, 1 + dice(&mut state) % 3, dice(&mut state) % 9);
            let i = intento(&format!("k{}#{}", dice(&mut state) % 8, 1 + dice(&mut state) % 3));
            let done = match dice(&mut state) % 10 {
                0 => store.crear(alta("x", precio)).await.map(drop),
                1 => store.borrar(id(token)).await,
                2 => {
                    let precio = Some(monto(precio));
                    store.cambiar(id(token), Cambio { precio, ..Cambio::default() }).await.map(drop)
                }
                3..=6 => store.reservar(i, pedido(token, usuario)).await.map(drop),
                7 => store.confirmar(i).await,
                _ => store.cancelar(i).await,
            };
            assert!(!matches!(done, Err(Error::Store(_) | Error::SinIds)), "{done:?}");
        }
    };
    join_all((0..16).map(client)).await;
    let (digest, sold, pending) =
        (stores[0].resumen().await.unwrap(), confirmados(&stores[1]).await, pendientes(&stores[1]).await);
    assert_eq!(digest.confirmados, resumen(&sold));
    assert_eq!(digest.pendientes, pending.len() as u64);
    // the total is that of the rows
    let all = todos(&stores[0]).await.page.rows;
    assert_eq!(all.iter().filter(|t| t.vendido()).count(), sold.len());
    let vendidos = tokens::store::Consulta { vendido: Some(true), ..crate::mundo::TODOS };
    assert_eq!(stores[1].listar(vendidos).await.unwrap().page.total, sold.len());
    for t in sold.iter().chain(&pending) {
        let token = all.iter().find(|token| Some(token.id) == t.token_id).unwrap();
        assert_eq!((token.as_try().as_ref(), token.precio), (Some(t), t.monto));
    }
}
