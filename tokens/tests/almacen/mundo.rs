//! What the tests of the suite have in common.

use chrono::TimeDelta;
use journal::StoreError;
use market::contract::{PedidoReserva, Try};
use market::domain::{Intento, Monto, Resumen, TokenId, UsuarioId};
use serde_json::{Value, json};
use testkit::almacen::{Almacen, Kind};
use tokens::domain::Token;
use tokens::error::Error;
use tokens::store::{Alta, Consulta, Cursor, Orden, Store, Vista};

pub fn id(n: u64) -> TokenId {
    TokenId::new(n).unwrap()
}

pub fn monto(n: u64) -> Monto {
    Monto::new(n).unwrap()
}

pub fn intento(s: &str) -> Intento {
    s.parse().unwrap()
}

pub fn pedido(token: u64, usuario: u64) -> PedidoReserva {
    PedidoReserva { token_id: id(token), usuario_id: UsuarioId::new(usuario).unwrap() }
}

pub fn alta(nombre: &str, precio: u64) -> Alta {
    Alta { nombre: nombre.to_owned(), precio: monto(precio), imagen: None }
}

/// A free token of a seed.
pub fn libre(id: u64, nombre: &str, precio: u64) -> Value {
    json!({"id": id, "nombre": nombre, "imagen": "a.png", "precio": precio, "vendido": false})
}

/// Data of so many tokens, with the prices 10, 20, …
pub async fn con(kind: Kind, n: u64) -> Almacen {
    let tokens: Vec<_> = (1..=n).map(|id| libre(id, &format!("Token {id}"), id * 10)).collect();
    Almacen::new(kind, &[("tokens", tokens.into())]).await
}

pub fn abierto(almacen: &Almacen) -> Store {
    Store::new(almacen.open())
}

/// All tokens by id.
pub const TODOS: Consulta = Consulta {
    nombre: None,
    vendido: None,
    precio_min: None,
    precio_max: None,
    orden: Orden::Id,
    descendente: false,
    despues: None,
    limite: 1000,
};

pub async fn todos(store: &Store) -> Vista {
    let vista = store.listar(TODOS).await.unwrap();
    assert_eq!(vista.page.total, vista.page.rows.len());
    vista
}

/// All pages of a list.
pub async fn pages(store: &Store, consulta: &Consulta, total: usize) -> Vec<Token> {
    let (mut rows, mut consulta) = (Vec::new(), consulta.clone());
    loop {
        let Vista { page, .. } = store.listar(consulta.clone()).await.unwrap();
        assert_eq!(page.total, total, "{consulta:?}");
        assert!(page.rows.len() <= consulta.limite);
        assert!(rows.is_empty() || !page.rows.is_empty(), "an empty page behind a full one: {consulta:?}");
        rows.extend(page.rows);
        let Some(next) = page.next else { return rows };
        consulta.despues = Some(Cursor::parse(consulta.orden, &decoded(&next)).unwrap());
    }
}

/// As a browser sends a link's query back.
fn decoded(next: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = next.bytes();
    while let Some(b) = rest.next() {
        bytes.push(if b == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
        } else {
            b
        });
    }
    String::from_utf8(bytes).unwrap()
}

pub async fn pendientes(store: &Store) -> Vec<Try> {
    store.pendientes(TimeDelta::zero(), None).await.unwrap()
}

pub async fn confirmados(store: &Store) -> Vec<Try> {
    store.confirmados(None).await.unwrap()
}

pub fn resumen(tries: &[Try]) -> Resumen {
    let mut sum = Resumen::default();
    for t in tries {
        sum.agregar(&t.intento, t.usuario_id, t.token_id, t.monto);
    }
    sum
}

/// The store's trouble, and no refusal.
pub fn trouble<T: std::fmt::Debug>(answer: Result<T, Error>) -> StoreError {
    match answer {
        Err(Error::Store(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}

/// One that a seed makes: the next.
pub fn dice(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
