//! Many at once, in two processes. Each function is one test for each kind of store.

use crate::world::{
    all_tokens, dice, digest_of, id, intento, monto, new_token, open, pending_in, request, settled_in,
    with_field,
};
use futures_util::future::join_all;
use market::participant::HoldStore;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::data::Kind;
use tokens::domain::{Availability, Token};
use tokens::error::Error;
use tokens::store::{TokenChange, Version};

pub async fn many_at_once_give_a_token_to_one(kind: Kind) {
    let data = with_field(kind, 5).await;
    let stores = [open(&data), open(&data)];
    for token in 1..=5 {
        let one = async |n: usize| {
            stores[n % 2].hold(intento(&format!("k{n}#{token}")), request(token, 1 + n as u64)).await
        };
        let answers = join_all((0..16).map(one)).await;
        let won: Vec<_> = (0..16).filter(|&n| answers[n].is_ok()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        for no in answers.iter().filter(|a| a.is_err()) {
            assert!(matches!(no, Err(Error::TokenReserved(_))), "{no:?}");
        }
        let Availability::Reserved(held) = stores[1].token(id(token)).await.unwrap().estado else { panic!() };
        assert_eq!(held.intento, intento(&format!("k{}#{token}", won[0])));
        let ends = join_all((0..8).map(|n| stores[n % 2].confirm(held.intento.clone()))).await;
        assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    }
    let digest = stores[0].digest().await.unwrap();
    assert_eq!((digest.confirmados.cuenta, digest.confirmados.suma), (5, 150), "each is counted once");
}

pub async fn one_attempt_at_many_tokens_gets_one(kind: Kind) {
    let data = with_field(kind, 8).await;
    let stores = [open(&data), open(&data)];
    let one = async |n: u64| {
        stores[usize::from(n.is_multiple_of(2))].hold(intento("a#1"), request(1 + n % 8, 7)).await
    };
    let answers = join_all((0..24).map(one)).await;
    assert_eq!(answers.iter().filter(|a| a.as_ref().is_ok_and(|h| h.is_new)).count(), 1, "{answers:?}");
    for no in answers.iter().filter(|a| a.is_err()) {
        assert!(matches!(no, Err(Error::ClaveReused(_))), "{no:?}");
    }
    assert_eq!(pending_in(&stores[0]).await.len(), 1);
}

pub async fn a_sale_and_a_release_exclude_each_other(kind: Kind) {
    let data = with_field(kind, 15).await;
    let stores = [open(&data), open(&data)];
    for n in 1..=15 {
        let i = intento(&format!("k#{n}"));
        stores[0].hold(i.clone(), request(n, 7)).await.unwrap();
        let (yes, no) = tokio::join!(stores[0].confirm(i.clone()), stores[1].cancel(i.clone()));
        let estado = stores[1].token(id(n)).await.unwrap().estado;
        match (yes, no) {
            (Ok(()), Err(Error::IntentoConfirmed(_))) => {
                assert!(matches!(estado, Availability::Sold(Some(_))));
            }
            (Err(Error::IntentoNotFound(_)), Ok(())) => assert_eq!(estado, Availability::Free),
            both => panic!("{both:?}"),
        }
    }
    let digest = stores[0].digest().await.unwrap();
    assert_eq!(digest.confirmados, digest_of(&settled_in(&stores[0]).await));
}

/// Other processes have moved the reservations since the one that sells made them.
pub async fn a_sale_is_of_what_is_held_now(kind: Kind) {
    let data = with_field(kind, 4).await;
    let stores = [open(&data), open(&data)];
    let [gone, moved, dearer] = ["gone#1", "moved#1", "dearer#1"].map(intento);
    for (token, i) in [(1, &gone), (2, &moved), (3, &dearer)] {
        stores[0].hold(i.clone(), request(token, 7)).await.unwrap();
        stores[1].cancel(i.clone()).await.unwrap();
    }
    let price = TokenChange { precio: Some(monto(1)), ..TokenChange::default() };
    stores[1].change(id(3), price).await.unwrap();
    let other = intento("other#1");
    for (token, i) in [(1, &other), (4, &moved), (3, &dearer)] {
        stores[1].hold(i.clone(), request(token, 8)).await.unwrap();
    }
    let answers =
        join_all([&gone, &moved, &dearer, &other, &moved].map(|i| stores[0].confirm(i.clone()))).await;
    assert!(matches!(answers[0], Err(Error::IntentoNotFound(_))), "{answers:?}");
    assert!(answers[1..].iter().all(Result::is_ok), "{answers:?}");
    let sold = settled_in(&stores[1]).await;
    let facts: BTreeMap<_, _> =
        sold.iter().map(|h| (h.intento.to_string(), (h.token_id.map(|t| t.get()), h.monto.get()))).collect();
    let expected = [("other#1", (Some(1), 10)), ("moved#1", (Some(4), 40)), ("dearer#1", (Some(3), 1))];
    assert_eq!(facts, expected.map(|(i, fact)| (i.to_owned(), fact)).into());
    assert_eq!(stores[0].digest().await.unwrap().confirmados, digest_of(&sold));
}

pub async fn a_change_and_a_reservation_exclude_each_other(kind: Kind) {
    let data = with_field(kind, 20).await;
    let stores = [open(&data), open(&data)];
    for n in 1..=20 {
        let change = TokenChange { precio: Some(monto(1)), ..TokenChange::default() };
        let i = intento(&format!("k#{n}"));
        let held = stores[0].hold(i, request(n, 7));
        if n % 2 == 0 {
            let (held, changed) = tokio::join!(held, stores[1].change(id(n), change));
            let precio = stores[0].token(id(n)).await.unwrap().precio;
            assert_eq!(held.unwrap().value.precio, precio, "what is held costs what was said");
            assert_eq!(changed.is_ok(), precio == monto(1), "{changed:?}");
        } else {
            let (held, gone) = tokio::join!(held, stores[1].delete(id(n)));
            match (held, gone) {
                (Ok(_), Err(Error::TokenReserved(_))) => drop(stores[0].token(id(n)).await.unwrap()),
                (Err(Error::TokenNotFound(_)), Ok(())) => {}
                both => panic!("{both:?}"),
            }
        }
    }
}

fn shown(tokens: &[Token]) -> Vec<(u64, u64, bool)> {
    tokens.iter().map(|t| (t.id.get(), t.precio.get(), t.is_sold())).collect()
}

/// What makes a page under its number good for ever: nobody ever sees another page under that number, and who asks after
/// a sale was acknowledged never gets a number from before it.
pub async fn readers_beside_writers_see_one_state_for_each_version(kind: Kind) {
    let data = with_field(kind, 40).await;
    let stores = [open(&data), open(&data)];
    let done = AtomicBool::new(false);
    let writer = async |n: u64| {
        let store = &stores[usize::from(n.is_multiple_of(2))];
        for token in (1..=40).filter(|token| token % 4 == n) {
            let i = intento(&format!("k#{token}"));
            let change = TokenChange { precio: Some(monto(token)), ..TokenChange::default() };
            store.change(id(token), change).await.unwrap();
            store.hold(i.clone(), request(token, 7)).await.unwrap();
            let before = store.version().await.unwrap();
            store.confirm(i).await.unwrap();
            // through the other process, as the buyer's next request may go
            let other = &stores[usize::from(!n.is_multiple_of(2))];
            assert!(other.version().await.unwrap() > before);
            let page = all_tokens(other).await;
            assert!(page.version > before && page.page.rows.iter().any(|t| t.id == id(token) && t.is_sold()));
        }
    };
    let reader = async |n: usize| {
        let (mut seen, mut last) = (BTreeMap::<Version, Vec<_>>::new(), Version::default());
        while !done.load(Ordering::Acquire) {
            // files answer at once, and the writers are in this task
            tokio::task::yield_now().await;
            let before = stores[n % 2].version().await.unwrap();
            let page = all_tokens(&stores[n % 2]).await;
            assert!(last <= before && before <= page.version, "time goes on");
            last = page.version;
            seen.insert(page.version, shown(&page.page.rows));
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
    let data = with_field(kind, 12).await;
    let stores = [open(&data), open(&data)];
    let client = async |seed: u64| {
        let mut state = seed;
        for _ in 0..25 {
            let store = &stores[usize::from(dice(&mut state).is_multiple_of(2))];
            let (token, usuario, precio) =
                (1 + dice(&mut state) % 14, 1 + dice(&mut state) % 3, dice(&mut state) % 9);
            let i = intento(&format!("k{}#{}", dice(&mut state) % 8, 1 + dice(&mut state) % 3));
            let done = match dice(&mut state) % 10 {
                0 => store.create(new_token("x", precio)).await.map(drop),
                1 => store.delete(id(token)).await,
                2 => {
                    let precio = Some(monto(precio));
                    store.change(id(token), TokenChange { precio, ..TokenChange::default() }).await.map(drop)
                }
                3..=6 => store.hold(i, request(token, usuario)).await.map(drop),
                7 => store.confirm(i).await,
                _ => store.cancel(i).await,
            };
            assert!(!matches!(done, Err(Error::Store(_) | Error::NoIdsLeft)), "{done:?}");
        }
    };
    join_all((0..16).map(client)).await;
    let (digest, sold, pending) =
        (stores[0].digest().await.unwrap(), settled_in(&stores[1]).await, pending_in(&stores[1]).await);
    assert_eq!(digest.confirmados, digest_of(&sold));
    assert_eq!(digest.pendientes, pending.len() as u64);
    // the total is that of the rows
    let all = all_tokens(&stores[0]).await.page.rows;
    assert_eq!(all.iter().filter(|t| t.is_sold()).count(), sold.len());
    let vendidos = tokens::store::ListQuery { vendido: Some(true), ..crate::world::ALL };
    assert_eq!(stores[1].list(vendidos).await.unwrap().page.total, sold.len());
    for t in sold.iter().chain(&pending) {
        let token = all.iter().find(|token| Some(token.id) == t.token_id).unwrap();
        assert_eq!((token.as_hold().as_ref(), token.precio), (Some(t), t.monto));
    }
}
