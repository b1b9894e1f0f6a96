//! What the tests of the suite have in common.

use chrono::TimeDelta;
use journal::StoreError;
use market::contract::{Hold, ReservaRequest};
use market::domain::{Intento, Monto, RunningDigest, TokenId, UsuarioId};
use market::participant::HoldStore;
use serde_json::{Value, json};
use testkit::data::{Kind, TestData};
use tokens::domain::Token;
use tokens::error::Error;
use tokens::store::{Cursor, ListQuery, NewToken, SortBy, Store, VersionedPage};

pub fn id(n: u64) -> TokenId {
    TokenId::new(n).unwrap()
}

pub fn monto(n: u64) -> Monto {
    Monto::new(n).unwrap()
}

pub fn intento(s: &str) -> Intento {
    s.parse().unwrap()
}

pub fn request(token: u64, usuario: u64) -> ReservaRequest {
    ReservaRequest { token_id: id(token), usuario_id: UsuarioId::new(usuario).unwrap() }
}

pub fn new_token(nombre: &str, precio: u64) -> NewToken {
    NewToken { nombre: nombre.to_owned(), precio: monto(precio), imagen: None }
}

/// A free token of a seed.
pub fn free(id: u64, nombre: &str, precio: u64) -> Value {
    json!({"id": id, "nombre": nombre, "imagen": "a.png", "precio": precio, "vendido": false})
}

/// Data of so many tokens, with the prices 10, 20, …
pub async fn with_field(kind: Kind, n: u64) -> TestData {
    let tokens: Vec<_> = (1..=n).map(|id| free(id, &format!("Token {id}"), id * 10)).collect();
    TestData::new(kind, &[("tokens", tokens.into())]).await
}

pub fn open(data: &TestData) -> Store {
    Store::new(data.open())
}

/// All tokens by id.
pub const ALL: ListQuery = ListQuery {
    nombre: None,
    vendido: None,
    precio_min: None,
    precio_max: None,
    sort_by: SortBy::Id,
    descending: false,
    after: None,
    limit: 1000,
};

pub async fn all_tokens(store: &Store) -> VersionedPage {
    let page = store.list(ALL).await.unwrap();
    assert_eq!(page.page.total, page.page.rows.len());
    page
}

/// All pages of a list.
pub async fn pages(store: &Store, query: &ListQuery, total: usize) -> Vec<Token> {
    let (mut rows, mut query) = (Vec::new(), query.clone());
    loop {
        let VersionedPage { page, .. } = store.list(query.clone()).await.unwrap();
        assert_eq!(page.total, total, "{query:?}");
        assert!(page.rows.len() <= query.limit);
        assert!(rows.is_empty() || !page.rows.is_empty(), "an empty page behind a full one: {query:?}");
        rows.extend(page.rows);
        let Some(next) = page.next else { return rows };
        query.after = Some(Cursor::parse(query.sort_by, &decoded(&next)).unwrap());
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

pub async fn pending_in(store: &Store) -> Vec<Hold> {
    store.pending(TimeDelta::zero(), None).await.unwrap()
}

pub async fn settled_in(store: &Store) -> Vec<Hold> {
    store.settled(None).await.unwrap()
}

pub fn digest_of(holds: &[Hold]) -> RunningDigest {
    let mut sum = RunningDigest::default();
    for t in holds {
        sum.add(&t.intento, t.usuario_id, t.token_id, t.monto);
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
