//! Query strings of the lists.

use super::market::{self, Market};
use serde_json::Value;
use std::collections::BTreeMap;
use tokens::collation::{fold, sort_key};

/// Of a list with many pages, only so many are asked for.
const PAGES: usize = 5;

/// A path and a query. What is accepted lists exactly what it asks for, in order, page after page; what is refused names a
/// parameter.
pub fn lists(data: &[u8]) {
    let Ok(target) = std::str::from_utf8(data) else { return };
    let target = target.trim_end_matches('\n');
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let lists = [
        "/tokens",
        "/usuarios",
        "/transacciones",
        "/usuarios/1/movimientos",
        "/interno/reservas",
        "/interno/cargos",
    ];
    if !lists.contains(&path) {
        return;
    }
    market::with(|market| {
        let headers = [("authorization", format!("Bearer {}", market::TOKEN))];
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let Some(answer) = market.ask("GET", target, &headers, b"") else { return };
        let asked = parameters(query);
        if answer.status == 404 && path.starts_with("/interno") {
            return drop(answer.problem());
        }
        if answer.status != 200 {
            assert_eq!(answer.status, 422);
            for name in answer.problem() {
                let sent = asked.iter().any(|(n, _)| market::names(&name, n));
                assert!(sent || name == "?" || name == "pendientes", "{name:?} is no parameter of {target}");
            }
            return;
        }
        let asked_for: BTreeMap<_, _> = asked.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(asked_for.len(), asked.len(), "a parameter that comes twice was accepted");
        if path.starts_with("/interno") {
            return;
        }
        let (rows, total, all_of_them) = walk(market, target, &asked_for);
        let all = walk(market, &format!("{path}?limite=1000"), &BTreeMap::from([("limite", "1000")])).0;
        let expected = naive(path, all, &asked_for);
        assert!(
            asked_for.contains_key("despues") || expected.len() == total,
            "{total} are counted of {target}"
        );
        assert!(rows.len() <= total);
        assert_eq!(all_of_them, rows.len() == expected.len(), "{target}");
        assert_eq!(ids(&rows), ids(&expected[..rows.len().min(expected.len())]), "{target}");
    });
}

fn ids(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

/// The pages from this one on, the count that the first names, and whether these are all.
fn walk(market: &mut Market, target: &str, asked: &BTreeMap<&str, &str>) -> (Vec<Value>, usize, bool) {
    let limit: usize = asked.get("limite").map_or(100, |n| n.parse().unwrap());
    let (mut rows, mut total, mut next) = (Vec::new(), None, Some(target.to_owned()));
    for _ in 0..PAGES {
        let Some(target) = next else { return (rows, total.unwrap(), true) };
        let answer = market.get(&target);
        assert_eq!(answer.status, 200, "the next page: {target}");
        let page = answer.json();
        let page = page.as_array().unwrap();
        total.get_or_insert_with(|| answer.header("x-total-count").parse().unwrap());
        assert!(page.len() <= limit);
        let link = answer.header("link");
        assert!(link.is_empty() || page.len() == limit);
        rows.extend(page.iter().cloned());
        next = link.strip_prefix('<').and_then(|link| Some(link.split_once('>')?.0.to_owned()));
    }
    (rows, total.unwrap(), next.is_none())
}

/// What a query asks for, looked for by hand.
fn naive(path: &str, mut rows: Vec<Value>, asked: &BTreeMap<&str, &str>) -> Vec<Value> {
    let number = |name: &str| asked.get(name).map(|n| n.parse::<u64>().unwrap());
    let nombre = |row: &Value| fold(row["nombre"].as_str().unwrap_or_default());
    if path != "/tokens" {
        rows.retain(|row| number("usuarioId").is_none_or(|id| row["usuarioId"] == id));
        rows.retain(|row| number("tokenId").is_none_or(|id| row["tokenId"] == id));
        rows.retain(|row| number("despues").is_none_or(|id| row["id"].as_u64().unwrap() > id));
        return rows;
    }
    rows.retain(|row| asked.get("vendido").is_none_or(|v| row["vendido"].as_bool() == v.parse().ok()));
    rows.retain(|row| number("precioMin").is_none_or(|min| row["precio"].as_u64().unwrap() >= min));
    rows.retain(|row| number("precioMax").is_none_or(|max| row["precio"].as_u64().unwrap() <= max));
    rows.retain(|row| asked.get("nombre").is_none_or(|part| nombre(row).contains(&fold(part.trim()))));
    let sort_by = asked.get("orden").copied().unwrap_or("id");
    let (by, back) = sort_by.strip_prefix('-').map_or((sort_by, false), |by| (by, true));
    let key = |row: &Value| {
        let id = row["id"].as_u64().unwrap();
        match by {
            "precio" => (row["precio"].as_u64().unwrap(), sort_key(""), id),
            "nombre" => (0, sort_key(row["nombre"].as_str().unwrap_or_default()), id),
            _ => (0, sort_key(""), id),
        }
    };
    rows.sort_by_key(|row| key(row));
    if back {
        rows.reverse();
    }
    if let Some(after) = asked.get("despues") {
        let (head, id) = after.rsplit_once('.').unwrap_or(("", after));
        let id = id.parse().unwrap();
        let last = match by {
            "precio" => (head.parse().unwrap(), sort_key(""), id),
            "nombre" => (0, sort_key(head), id),
            _ => (0, sort_key(""), id),
        };
        rows.retain(|row| if back { key(row) < last } else { key(row) > last });
    }
    rows
}

/// `application/x-www-form-urlencoded`, by hand.
fn parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((first, tail)) = rest.split_first() {
            let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
            let hex = hex
                .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|h| u8::from_str_radix(h, 16).ok());
            (rest, _) = match (first, hex) {
                (b'%', Some(byte)) => (&tail[2..], out.push(byte)),
                (b'+', _) => (tail, out.push(b' ')),
                _ => (tail, out.push(*first)),
            };
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect()
}
