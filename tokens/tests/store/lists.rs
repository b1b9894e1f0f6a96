//! Lists. Each function is one test for each kind of store.

use crate::world::{ALL, all_tokens, free, id, intento, monto, new_token, open, pages, request, with_field};
use market::participant::HoldStore;
use testkit::data::{Kind, TestData};
use tokens::collation::{fold, sort_key};
use tokens::domain::Token;
use tokens::store::{ListQuery, SortBy, TokenChange};

/// Tokens that differ in everything, with equal prices, names that differ in accents and case only, and accents in either composition.
async fn catalogue(kind: Kind) -> TestData {
    let names =
        ["Gato Cósmico", "GATO co\u{301}smico", "Ñandú 100%", "nandu_ & co", "Éclair+", "a.b\\c", "猫 ネコ"];
    let tokens: Vec<_> = (1..=40_u64)
        .map(|n| {
            let mut token = free(n * 3, names[usize::try_from(n % 7).unwrap()], n * 37 % 11 * 10);
            token["vendido"] = (n % 4 == 0).into();
            token
        })
        .collect();
    TestData::new(kind, &[("tokens", tokens.into())]).await
}

/// What a list should be, the simple way.
fn naive(all: &[Token], q: &ListQuery) -> Vec<Token> {
    let mut rows: Vec<_> = all
        .iter()
        .filter(|t| {
            q.nombre.as_ref().is_none_or(|part| fold(&t.nombre).contains(part))
                && q.vendido.is_none_or(|v| t.is_sold() == v)
                && q.precio_min.is_none_or(|min| t.precio >= min)
                && q.precio_max.is_none_or(|max| t.precio <= max)
        })
        .cloned()
        .collect();
    rows.sort_by_key(|t| match q.sort_by {
        SortBy::Id => (monto(0), sort_key(""), t.id),
        SortBy::Precio => (t.precio, sort_key(""), t.id),
        SortBy::Name => (monto(0), sort_key(&t.nombre), t.id),
    });
    if q.descending {
        rows.reverse();
    }
    rows
}

pub async fn every_filter_in_every_order_pages_to_what_a_naive_filter_finds(kind: Kind) {
    let data = catalogue(kind).await;
    let store = open(&data);
    let all = all_tokens(&store).await.page.rows;
    assert_eq!(all.len(), 40);
    for sort_by in [SortBy::Id, SortBy::Precio, SortBy::Name] {
        for descending in [false, true] {
            for nombre in [None, Some("gato"), Some("n"), Some("nada")] {
                for (vendido, limit) in [(None, 7), (Some(true), 1000), (Some(false), 1000)] {
                    for (min, max) in [(None, None), (Some(30), None), (None, Some(50)), (Some(20), Some(20))]
                    {
                        let (precio_min, precio_max) = (min.map(monto), max.map(monto));
                        let nombre = nombre.map(str::to_owned);
                        let q = ListQuery {
                            nombre,
                            vendido,
                            precio_min,
                            precio_max,
                            sort_by,
                            descending,
                            after: None,
                            limit,
                        };
                        let expected = naive(&all, &q);
                        assert_eq!(pages(&store, &q, expected.len()).await, expected, "{q:?}");
                    }
                }
            }
        }
    }
}

pub async fn a_page_goes_on_behind_a_row_that_is_gone(kind: Kind) {
    let data = with_field(kind, 5).await;
    let (store, other) = (open(&data), open(&data));
    for (sort_by, descending) in [(SortBy::Id, false), (SortBy::Precio, false), (SortBy::Name, true)] {
        let q = ListQuery { sort_by, descending, limit: 1, ..ALL };
        let all = naive(&all_tokens(&store).await.page.rows, &q);
        let first = store.list(q.clone()).await.unwrap().page;
        assert_eq!(first.rows, all[..1]);
        let next = first.next.unwrap().replace("%20", " ");
        let behind = ListQuery { after: tokens::store::Cursor::parse(sort_by, &next), ..q };
        other.delete(all[0].id).await.unwrap();
        assert_eq!(store.list(behind).await.unwrap().page.rows, all[1..2]);
    }
}

pub async fn a_name_is_found_by_what_is_in_it_and_by_nothing_else(kind: Kind) {
    let data = catalogue(kind).await;
    let store = open(&data);
    let all = all_tokens(&store).await.page.rows;
    for part in ["%", "_", "\\", "\\%", "%%", "a%c", "100%", "u_ ", ".b\\c", "ネ", "'", "cosmico", "o c"] {
        let q = ListQuery { nombre: Some(fold(part)), ..ALL };
        let expected = naive(&all, &q);
        assert_eq!(pages(&store, &q, expected.len()).await, expected, "{part}");
    }
    // in the order of Spanish, page by page
    let names = ["z", "a", "Z1", "ñ", "n", "猫", "1", "!", "\u{10ffff}"];
    for nombre in names {
        store.create(new_token(nombre, 1)).await.unwrap();
    }
    for descending in [false, true] {
        let q = ListQuery { sort_by: SortBy::Name, descending, limit: 3, ..ALL };
        let expected = naive(&all_tokens(&store).await.page.rows, &q);
        assert_eq!(pages(&store, &q, 49).await, expected);
    }
}

pub async fn a_version_stands_for_one_state(kind: Kind) {
    let data = with_field(kind, 3).await;
    let (store, other) = (open(&data), open(&data));
    let mut last = store.version().await.unwrap();
    let mut newer = async |what: &str| {
        let (now, page) = (other.version().await.unwrap(), all_tokens(&store).await);
        assert!(now > last, "{what}: {now:?} after {last:?}");
        assert_eq!((store.version().await.unwrap(), page.version), (now, now), "{what}");
        last = now;
    };
    store.create(new_token("Otro", 1)).await.unwrap();
    newer("made").await;
    store.change(id(1), TokenChange { precio: Some(monto(1)), ..TokenChange::default() }).await.unwrap();
    newer("changed").await;
    store.delete(id(4)).await.unwrap();
    newer("deleted").await;
    store.hold(intento("a#1"), request(1, 7)).await.unwrap();
    store.confirm(intento("a#1")).await.unwrap();
    newer("sold").await;
    // a database that never was the same has none of these numbers
    if kind != Kind::Json {
        let twin = open(&with_field(kind, 3).await).version().await.unwrap();
        assert_ne!(twin, open(&with_field(kind, 3).await).version().await.unwrap());
    }
}
