//! `GET /tokens`.

use crate::helpers::{Market, decoded, invalid};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokens::collation::{fold, sort_key};

#[tokio::test]
async fn seeds_are_listed_as_they_are_written() {
    let m = Market::start().await;
    let response = m.get("/tokens").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-total-count"], "2");
    assert!(!response.headers().contains_key("link"));
    let expected: Value = serde_json::from_str(crate::helpers::SEED).unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), expected);
}

/// Tokens that differ in everything, with equal prices, names that differ in accents and case only, and accents in either composition.
fn catalogue() -> Vec<Value> {
    let names =
        ["Gato Cósmico", "GATO co\u{301}smico", "Ñandú 100%", "nandu & co", "Éclair+", "a.b.c", "猫 ネコ"];
    (1..=60_u64)
        .map(|n| {
            let nombre = names[usize::try_from(n % 7).unwrap()];
            // scattered, with ties, and not in the order of the ids
            let precio = n * 37 % 11 * 10;
            json!({"id": n * 3, "nombre": nombre, "imagen": "a.png", "precio": precio, "vendido": n % 4 == 0})
        })
        .collect()
}

#[derive(Default)]
struct Filter<'a> {
    nombre: Option<&'a str>,
    vendido: Option<bool>,
    min: Option<u64>,
    max: Option<u64>,
}

/// What a list should be, the simple way.
fn naive(all: &[Value], f: &Filter<'_>, sort_by: &str) -> Vec<Value> {
    let mut rows: Vec<_> = all
        .iter()
        .filter(|t| {
            let precio = t["precio"].as_u64().unwrap();
            f.nombre.is_none_or(|n| fold(t["nombre"].as_str().unwrap()).contains(&fold(n)))
                && f.vendido.is_none_or(|v| t["vendido"] == v)
                && f.min.is_none_or(|min| precio >= min)
                && f.max.is_none_or(|max| precio <= max)
        })
        .cloned()
        .collect();
    rows.sort_by_key(|t| {
        let id = t["id"].as_u64().unwrap();
        match sort_by.trim_start_matches('-') {
            "precio" => (t["precio"].as_u64().unwrap(), sort_key(""), id),
            "nombre" => (0, sort_key(t["nombre"].as_str().unwrap()), id),
            _ => (0, sort_key(""), id),
        }
    });
    if sort_by.starts_with('-') {
        rows.reverse();
    }
    rows
}

fn next(response: &Response) -> Option<String> {
    let link = response.headers().get("link")?.to_str().unwrap();
    let (url, rel) = link.split_once('>').unwrap();
    assert_eq!(rel, "; rel=\"next\"");
    Some(url.strip_prefix('<').unwrap().to_owned())
}

/// All pages, by their links; the number of rows that each page says there are.
async fn walk(m: &Market, first: String, total: usize) -> Vec<Value> {
    let (mut rows, mut url) = (Vec::new(), Some(first));
    while let Some(path) = url {
        let response = m.get(&path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["x-total-count"].to_str().unwrap(), total.to_string(), "{path}");
        url = next(&response);
        let page: Vec<Value> = response.json().await.unwrap();
        assert!(!page.is_empty() || rows.is_empty(), "{path}: no empty page behind a link");
        rows.extend(page);
    }
    rows
}

#[tokio::test]
async fn every_filter_in_every_order_pages_to_what_a_naive_filter_finds() {
    let all = catalogue();
    let m = Market::with(&all).await;
    let query = |name: &str, value: Option<String>| value.map(|v| format!("&{name}={v}")).unwrap_or_default();
    for sort_by in ["id", "-id", "precio", "-precio", "nombre", "-nombre"] {
        for nombre in [None, Some("GATO"), Some("ñ"), Some("."), Some("ネ"), Some("nada")] {
            for vendido in [None, Some(true), Some(false)] {
                for (min, max) in [
                    (None, None),
                    (Some(30), None),
                    (None, Some(50)),
                    (Some(20), Some(20)),
                    (Some(0), Some(0)),
                ] {
                    let f = Filter { nombre, vendido, min, max };
                    let expected = naive(&all, &f, sort_by);
                    let encoded = nombre.map(|n| n.bytes().map(|b| format!("%{b:02X}")).collect());
                    let limit = if vendido.is_none() { 7 } else { 100 };
                    let first = format!(
                        "/tokens?limite={limit}&orden={sort_by}{}{}{}{}",
                        query("nombre", encoded),
                        query("vendido", vendido.map(|v| v.to_string())),
                        query("precioMin", min.map(|n| n.to_string())),
                        query("precioMax", max.map(|n| n.to_string())),
                    );
                    assert_eq!(walk(&m, first.clone(), expected.len()).await, expected, "{first}");
                }
            }
        }
    }
}

fn named(names: &[&str]) -> Vec<Value> {
    let token = |(n, nombre): (usize, &&str)| json!({"id": n + 1, "nombre": nombre, "imagen": "a.png", "precio": 1, "vendido": false});
    names.iter().enumerate().map(token).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|t| t["nombre"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_name_is_found_however_it_is_written_and_another_name_is_not() {
    let all = [
        "Gran Straße",
        "IŞIK",
        "El año del gato",
        "Ana y Anova",
        "हिन्दी",
        "ﬁnca Ⅳ",
        "ＮＥＫＯ",
        "N\u{303}u",
        "Ёж",
        "Йога",
    ];
    let m = Market::with(&named(&all)).await;
    for (part, found) in [
        ("STRASSE", &["Gran Straße"][..]),
        ("straße", &["Gran Straße"]),
        ("ışık", &["IŞIK"]),
        ("isik", &["IŞIK"]),
        ("año", &["El año del gato"]),
        ("AN\u{303}O", &["El año del gato"]),
        ("ano", &["Ana y Anova"]),
        ("हन्दी", &[]),
        ("हिन्दी", &["हिन्दी"]),
        ("FINCA iv", &["ﬁnca Ⅳ"]),
        ("neko", &["ＮＥＫＯ"]),
        ("ñ", &["El año del gato", "N\u{303}u"]),
        ("еж", &["Ёж"]),
        ("и", &[]),
    ] {
        let rows = walk(&m, format!("/tokens?limite=1&nombre={}", encoded(part)), found.len()).await;
        assert_eq!(names(&rows), found, "{part}");
    }
    // nothing is left of these without accents, and nothing is part of every name
    for nothing in ["´", "¨", " ´ ", "\u{301}", " "] {
        invalid(m.get(&format!("/tokens?nombre={}", encoded(nothing))).await, &["nombre"]).await;
    }
}

#[tokio::test]
async fn names_come_in_the_order_of_spanish_page_after_page() {
    let sorted = [
        "!", "2", "ábaco", "Abad", "cafe", "café", "Cafetera", "chal", "dado", "llama", "luz", "Nandú",
        "Nube", "ñame", "Ñandú", "ñu", "Ochoa", "Øre", "Zulú", "я", "猫",
    ];
    let mut mixed = sorted;
    mixed.reverse();
    mixed.swap(3, 11);
    let m = Market::with(&named(&mixed)).await;
    for limit in [1, 4, 100] {
        let rows = walk(&m, format!("/tokens?orden=nombre&limite={limit}"), sorted.len()).await;
        assert_eq!(names(&rows), sorted);
        let mut rows = walk(&m, format!("/tokens?orden=-nombre&limite={limit}"), sorted.len()).await;
        rows.reverse();
        assert_eq!(names(&rows), sorted);
    }
}

#[tokio::test]
async fn a_row_at_a_time_meets_every_row_once() {
    let all = catalogue();
    let m = Market::with(&all).await;
    for sort_by in ["id", "-id", "precio", "-precio", "nombre", "-nombre"] {
        let rows = walk(&m, format!("/tokens?orden={sort_by}&limite=1"), all.len()).await;
        assert_eq!(rows, naive(&all, &Filter::default(), sort_by), "{sort_by}");
    }
}

#[tokio::test]
async fn a_page_goes_on_where_it_was_also_when_its_last_row_is_gone_or_changed() {
    let m = Market::with(&catalogue()).await;
    let all = m.json("/tokens?orden=precio&limite=1000").await;
    // sold ones cannot be deleted
    let last = (19..).find(|n| all[*n]["vendido"] == false).unwrap();
    let limit = last + 1;
    let page = m.get(&format!("/tokens?orden=precio&limite={limit}")).await;
    let (precio, id) = (&all[last]["precio"], all[last]["id"].as_u64().unwrap());
    let link = next(&page).unwrap();
    assert_eq!(link, format!("/tokens?orden=precio&limite={limit}&despues={precio}.{id}"));
    m.patch(id, &json!({"precio": 100_000})).await;
    assert_eq!(m.json(&link).await[0], all[last + 1]);
    assert_eq!(m.delete(id).await.status(), 204);
    assert_eq!(m.json(&link).await[0], all[last + 1]);
}

#[tokio::test]
async fn the_limit_is_100_by_default_and_1000_at_most() {
    let many: Vec<_> = (1..=1100)
        .map(|n| json!({"id": n, "nombre": "a", "imagen": "a", "precio": n, "vendido": false}))
        .collect();
    let m = Market::with(&many).await;
    let response = m.get("/tokens").await;
    assert_eq!(next(&response).unwrap(), "/tokens?despues=100");
    assert_eq!(response.headers()["x-total-count"], "1100");
    assert_eq!(response.json::<Vec<Value>>().await.unwrap(), many[..100]);
    assert_eq!(m.json("/tokens?limite=1000").await.as_array().unwrap()[..], many[..1000]);
    for wrong in ["0", "1001", "-1", "x", ""] {
        invalid(m.get(&format!("/tokens?limite={wrong}")).await, &["limite"]).await;
    }
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let m = Market::start().await;
    for (query, campos) in [
        ("precioMin=71&precioMax=70", &["precioMax", "precioMin"][..]),
        ("precioMin=a&precioMax=70", &["precioMin"]),
        ("orden=color", &["orden"]),
        ("orden=color&despues=x&vendido=1", &["orden", "vendido"]),
        ("vendido=si", &["vendido"]),
        ("nombre=", &["nombre"]),
        ("nombre=%00", &["nombre"]),
        ("color=rojo", &["color"]),
        ("limite=1&limite=2", &["limite"]),
        ("despues=0", &["despues"]),
        ("despues=50.101", &["despues"]),
        ("orden=precio&despues=101", &["despues"]),
        ("orden=precio&despues=50.101.1", &["despues"]),
        ("orden=precio&despues=.101", &["despues"]),
        ("orden=precio&despues=9007199254740992.101", &["despues"]),
        ("orden=-precio&despues=50.", &["despues"]),
        ("orden=nombre&despues=gato", &["despues"]),
        ("orden=-nombre&despues=gato.0", &["despues"]),
    ] {
        invalid(m.get(&format!("/tokens?{query}")).await, campos).await;
    }
    assert_eq!(m.json("/tokens?orden=nombre&despues=gato.1&precioMin=50&precioMax=50").await[0]["id"], 101);
    assert_eq!(m.json("/tokens?orden=precio&despues=90.1&precioMax=70").await, json!([]));
}

#[tokio::test]
async fn a_page_is_304_until_anything_changes_and_never_old() {
    let m = Market::start().await;
    let mut etag = m.get("/tokens").await.headers()["etag"].clone();
    let conditional =
        |etag| async { m.call(Method::GET, "/tokens").header("if-none-match", etag).send().await.unwrap() };
    for precio in 1..50 {
        assert_eq!(conditional(etag.clone()).await.status(), 304);
        assert_eq!(m.patch(101, &json!({"precio": precio})).await.status(), 200);
        let fresh = conditional(etag).await;
        assert_eq!(fresh.status(), 200);
        etag = fresh.headers()["etag"].clone();
        let page: Value = fresh.json().await.unwrap();
        assert_eq!(page[0]["precio"], precio, "a page is never older than the last acknowledged write");
    }
    m.reserve("a#1", 101, 1).await;
    m.sell("a#1").await;
    assert_eq!(m.json("/tokens?vendido=true").await[0]["id"], 101);
    assert_eq!(m.json("/tokens?vendido=false").await[0]["id"], 102);
}

#[tokio::test]
async fn a_large_page_is_sent_compressed_to_who_takes_it() {
    let m = Market::with(&catalogue()).await;
    let plain = m.get("/tokens").await;
    assert!(!plain.headers().contains_key("content-encoding"));
    assert_eq!(plain.headers()["vary"], "accept-encoding");
    let etag = plain.headers()["etag"].clone();
    let plain = plain.bytes().await.unwrap();
    for accepts in ["gzip", "gzip, deflate, br", "br;q=0.1, gzip"] {
        // twice: made, and then remembered
        for _ in 0..2 {
            let packed =
                m.call(Method::GET, "/tokens").header("accept-encoding", accepts).send().await.unwrap();
            assert_eq!(packed.headers()["content-encoding"], "gzip", "{accepts}");
            assert_eq!(packed.headers()["etag"], etag);
            assert_eq!(decoded(packed).await, plain);
        }
    }
    let small = Market::start().await;
    let reply =
        small.call(Method::GET, "/tokens").header("accept-encoding", "gzip, br").send().await.unwrap();
    assert!(!reply.headers().contains_key("content-encoding"), "what is small already stays as it is");
}
