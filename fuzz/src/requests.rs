//! JSON bodies and paths of both APIs.

use super::market::{self, Market, MarketAnswer, TOKEN};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

const MAX: u64 = (1 << 53) - 1;

/// `METHOD /path`, a line end, and the body. What is accepted is in its ranges and comes back with the same meaning; what is
/// refused names a field of the request; nothing is a 5xx.
pub fn bodies(data: &[u8]) {
    let (line, body) = data.split_at(data.iter().position(|b| *b == b'\n').unwrap_or(data.len()));
    let body = body.get(1..).unwrap_or_default();
    let Some((method, target)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')) else {
        return;
    };
    let method =
        if matches!(method, "POST" | "PATCH" | "PUT" | "DELETE" | "GET" | "HEAD") { method } else { "POST" };
    market::with(|market| {
        let headers: [(&str, &[u8]); 2] = [
            ("content-type", b"application/json"),
            ("authorization", &[b"Bearer ", TOKEN.as_bytes()].concat()),
        ];
        let Some(answer) = market.ask(method, target, &headers, body) else { return };
        let members = Members::read(body);
        match answer.status.as_u16() {
            400 => {
                answer.problem();
                assert!(
                    members.is_none() || serde_json::from_slice::<Value>(body).is_err(),
                    "JSON, and refused as none"
                );
            }
            401 | 415 => panic!("{answer:?}"),
            413 => assert!(body.len() > 8 << 10),
            422 => {
                let names = answer.problem();
                for name in names {
                    let sent =
                        members.as_ref().is_some_and(|m| m.0.iter().any(|(n, _)| market::names(&name, n)));
                    assert!(
                        sent || known(&name) || target.contains('?'),
                        "{name:?} is no field of {target} {body:?}"
                    );
                }
            }
            404 | 405 | 409 => drop(answer.problem()),
            _ if matches!(method, "POST" | "PATCH" | "PUT")
                && !target.ends_with("/venta")
                && !target.ends_with("/confirmacion") =>
            {
                let members = members.expect("what is no object was accepted");
                accepted(market, method, target, &members, &answer);
            }
            200 | 204 | 304 => {}
            _ => panic!("{answer:?}"),
        }
    });
}

fn known(name: &str) -> bool {
    [
        "",
        "id",
        "intento",
        "nombre",
        "saldo",
        "precio",
        "imagen",
        "monto",
        "usuarioId",
        "tokenId",
        "pendientes",
    ]
    .contains(&name)
}

fn accepted(market: &mut Market, method: &str, target: &str, members: &Members, answer: &MarketAnswer) {
    let mut names: Vec<_> = members.0.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "a member that comes twice was accepted: {names:?}");
    let shown = answer.json();
    if target.starts_with("/interno/") {
        assert!(members.number("usuarioId").is_some_and(|n| (1..=MAX).contains(&n)));
        let other = if target.starts_with("/interno/cargos") { ("monto", 0) } else { ("tokenId", 1) };
        assert!(members.number(other.0).is_some_and(|n| (other.1..=MAX).contains(&n)));
        assert_eq!(names.len(), 2, "{names:?}");
        return;
    }
    let fields: &[&str] = match (method, target.trim_end_matches(|c: char| c.is_ascii_digit())) {
        ("POST", "/usuarios") => &["nombre", "saldo"],
        ("PATCH", "/usuarios/") => &["nombre"],
        ("POST" | "PATCH", t) if t.starts_with("/tokens") => &["imagen", "nombre", "precio"],
        ("POST", "/transacciones") => &["precio", "tokenId", "usuarioId"],
        ("POST", t) if t.ends_with("/abonos") => &["monto"],
        _ => panic!("{method} {target} was accepted"),
    };
    for name in names {
        assert!(fields.contains(&name), "{name} was accepted");
        match name {
            "nombre" => {
                let nombre = members.text(name);
                assert!((1..=100).contains(&nombre.chars().count()) && !nombre.chars().any(char::is_control));
                assert_eq!(shown[name], nombre.trim().nfc().collect::<String>());
                assert!(shown[name].as_str().is_some_and(|name| name.len() <= 256));
            }
            "imagen" => assert_eq!(shown[name], members.text(name)),
            _ => {
                let number = members.number(name).unwrap_or_else(|| panic!("{name} is no number"));
                let least = u64::from(matches!(name, "monto" | "tokenId" | "usuarioId"));
                assert!((least..=MAX).contains(&number), "{name} is {number}");
                assert_eq!(shown[name], number, "{name} came back as another number");
            }
        }
    }
    // who looks afterwards finds what was answered
    let location = answer.header("location").to_owned();
    if answer.status == 201 && !location.ends_with("/movimientos") {
        assert_eq!(market.get(&location).json(), shown);
    } else if method == "PATCH" {
        assert_eq!(market.get(target).json(), shown);
    }
}

/// An object's members as they came, those that come twice included.
struct Members(Vec<(String, Value)>);

impl Members {
    fn read(body: &[u8]) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let members = json.deserialize_map(Pairs).ok()?;
        json.end().ok().map(|()| members)
    }

    fn get(&self, name: &str) -> &Value {
        &self
            .0
            .iter()
            .find(|(n, _)| n == name)
            .unwrap_or_else(|| panic!("{name} is missing, and was accepted"))
            .1
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_else(|| panic!("{name} is no text, and was accepted"))
    }

    /// A whole number, by the double that JSON readers take it for.
    fn number(&self, name: &str) -> Option<u64> {
        let value = self.get(name);
        let double = value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0 && *x <= MAX as f64);
        value.as_u64().or(double.map(|x| x as u64))
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
