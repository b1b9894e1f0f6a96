//! Lists. Each function is one test for each kind of store.

use crate::mundo::{TODOS, abierto, alta, con, id, intento, libre, monto, pages, pedido, todos};
use testkit::almacen::{Almacen, Kind};
use tokens::domain::{Token, plegar};
use tokens::store::{Cambio, Consulta, Orden};

/// Tokens that differ in everything, with equal prices, equal folded names, and accents in either composition.
async fn catalogo(kind: Kind) -> Almacen {
    let names =
        ["Gato Cósmico", "GATO co\u{301}smico", "Ñandú 100%", "nandu_ & co", "Éclair+", "a.b\\c", "猫 ネコ"];
    let tokens: Vec<_> = (1..=40_u64)
        .map(|n| {
            let mut token = libre(n * 3, names[usize::try_from(n % 7).unwrap()], n * 37 % 11 * 10);
            token["vendido"] = (n % 4 == 0).into();
            token
        })
        .collect();
    Almacen::new(kind, &[("tokens", tokens.into())]).await
}

/// What a list should be, the simple way.
fn naive(all: &[Token], q: &Consulta) -> Vec<Token> {
    let mut rows: Vec<_> = all
        .iter()
        .filter(|t| {
            q.nombre.as_ref().is_none_or(|part| plegar(&t.nombre).contains(part))
                && q.vendido.is_none_or(|v| t.vendido() == v)
                && q.precio_min.is_none_or(|min| t.precio >= min)
                && q.precio_max.is_none_or(|max| t.precio <= max)
        })
        .cloned()
        .collect();
    rows.sort_by_key(|t| match q.orden {
        Orden::Id => (monto(0), String::new(), t.id),
        Orden::Precio => (t.precio, String::new(), t.id),
        Orden::Nombre => (monto(0), plegar(&t.nombre), t.id),
    });
    if q.descendente {
        rows.reverse();
    }
    rows
}

pub async fn every_filter_in_every_order_pages_to_what_a_naive_filter_finds(kind: Kind) {
    let almacen = catalogo(kind).await;
    let store = abierto(&almacen);
    let all = todos(&store).await.page.rows;
    assert_eq!(all.len(), 40);
    for orden in [Orden::Id, Orden::Precio, Orden::Nombre] {
        for descendente in [false, true] {
            for nombre in [None, Some("gato"), Some("n"), Some("nada")] {
                for (vendido, limite) in [(None, 7), (Some(true), 1000), (Some(false), 1000)] {
                    for (min, max) in [(None, None), (Some(30), None), (None, Some(50)), (Some(20), Some(20))]
                    {
                        let (precio_min, precio_max) = (min.map(monto), max.map(monto));
                        let nombre = nombre.map(str::to_owned);
                        let q = Consulta {
                            nombre,
                            vendido,
                            precio_min,
                            precio_max,
                            orden,
                            descendente,
                            despues: None,
                            limite,
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
    let almacen = con(kind, 5).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    for (orden, descendente) in [(Orden::Id, false), (Orden::Precio, false), (Orden::Nombre, true)] {
        let q = Consulta { orden, descendente, limite: 1, ..TODOS };
        let all = naive(&todos(&store).await.page.rows, &q);
        let first = store.listar(q.clone()).await.unwrap().page;
        assert_eq!(first.rows, all[..1]);
        let next = first.next.unwrap().replace("%20", " ");
        let behind = Consulta { despues: tokens::store::Cursor::parse(orden, &next), ..q };
        other.borrar(all[0].id).await.unwrap();
        assert_eq!(store.listar(behind).await.unwrap().page.rows, all[1..2]);
    }
}

pub async fn a_name_is_found_by_what_is_in_it_and_by_nothing_else(kind: Kind) {
    let almacen = catalogo(kind).await;
    let store = abierto(&almacen);
    let all = todos(&store).await.page.rows;
    for part in ["%", "_", "\\", "\\%", "%%", "a%c", "100%", "u_ ", ".b\\c", "ネ", "'", "cosmico", "o c"] {
        let q = Consulta { nombre: Some(plegar(part)), ..TODOS };
        let expected = naive(&all, &q);
        assert_eq!(pages(&store, &q, expected.len()).await, expected, "{part}");
    }
    // in the order of code points, which is that of no language
    let names = ["z", "a", "Z1", "ñ", "n", "猫", "1", "!", "\u{10ffff}"];
    for nombre in names {
        store.crear(alta(nombre, 1)).await.unwrap();
    }
    for descendente in [false, true] {
        let q = Consulta { orden: Orden::Nombre, descendente, limite: 3, ..TODOS };
        let expected = naive(&todos(&store).await.page.rows, &q);
        assert_eq!(pages(&store, &q, 49).await, expected);
    }
}

pub async fn a_version_stands_for_one_state(kind: Kind) {
    let almacen = con(kind, 3).await;
    let (store, other) = (abierto(&almacen), abierto(&almacen));
    let mut last = store.version().await.unwrap();
    let mut newer = async |what: &str| {
        let (now, vista) = (other.version().await.unwrap(), todos(&store).await);
        assert!(now > last, "{what}: {now:?} after {last:?}");
        assert_eq!((store.version().await.unwrap(), vista.version), (now, now), "{what}");
        last = now;
    };
    store.crear(alta("Otro", 1)).await.unwrap();
    newer("made").await;
    store.cambiar(id(1), Cambio { precio: Some(monto(1)), ..Cambio::default() }).await.unwrap();
    newer("changed").await;
    store.borrar(id(4)).await.unwrap();
    newer("deleted").await;
    store.reservar(intento("a#1"), pedido(1, 7)).await.unwrap();
    store.confirmar(intento("a#1")).await.unwrap();
    newer("sold").await;
    // a database that never was the same has none of these numbers
    if kind != Kind::Json {
        let twin = abierto(&con(kind, 3).await).version().await.unwrap();
        assert_ne!(twin, abierto(&con(kind, 3).await).version().await.unwrap());
    }
}
