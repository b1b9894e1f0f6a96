//! Request headers.

use super::market::{self, MarketAnswer, TOKEN};
use std::io::Read;

/// Headers that mean something to us; others are taken for any text.
const NAMES: &[&str] = &[
    "accept-encoding",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "x-request-id",
];

/// Lines of `Name: value`. Whatever they say, an answer is whole and well-formed, the internal port opens to the one token only,
/// and a key is one that can be written down.
pub fn headers(data: &[u8]) {
    let mut given: Vec<(&str, &[u8])> = Vec::new();
    for line in data.split(|b| *b == b'\n').take(40) {
        let Some(at) = line.iter().position(|b| *b == b':') else { continue };
        let name = NAMES.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(&line[..at]));
        let value = line[at + 1..].trim_ascii();
        // what the HTTP parser lets through
        if value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f)) {
            given.push((name.unwrap_or(&"x-other"), value));
        }
    }
    let of = |name: &str| given.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect::<Vec<_>>();
    market::with(|market| {
        let plain = market.get("/tokens");
        let listed = market.ask("GET", "/tokens", &given, b"").unwrap();
        traced(&listed, &of("x-request-id"));
        if listed.status == 304 {
            let tag = plain.header("etag").trim_start_matches("W/");
            let named = |v: &&[u8]| {
                let value = String::from_utf8_lossy(v).into_owned();
                value.contains('*') || value.contains(tag)
            };
            assert!(of("if-none-match").iter().any(named) && listed.body.is_empty());
        } else {
            assert_eq!(listed.status, 200);
            assert_eq!(decoded(&listed, &of("accept-encoding")), plain.body, "another page");
        }
        assert_eq!(listed.header("etag"), plain.header("etag"));

        let inside = market.ask("GET", "/interno/resumen", &given, b"").unwrap();
        let first = of("authorization").first().copied().unwrap_or_default();
        let open = first == format!("Bearer {TOKEN}").as_bytes();
        assert_eq!(inside.status.as_u16(), if open { 200 } else { 401 });

        let added = market.ask("POST", "/usuarios/1/abonos", &given, br#"{"monto":1}"#).unwrap();
        let keys = of("idempotency-key");
        let media_type = of("content-type").first().copied().unwrap_or_default();
        let essence = media_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let json = media_type.is_ascii() && essence.eq_ignore_ascii_case(b"application/json");
        match added.status.as_u16() {
            201 => {
                assert!(json && keys.len() <= 1);
                if let [key] = keys[..] {
                    let bare = key.strip_prefix(b"\"").and_then(|k| k.strip_suffix(b"\"")).unwrap_or(key);
                    assert!((1..=255).contains(&bare.len()) && bare.iter().all(u8::is_ascii_graphic));
                    let again = market.ask("POST", "/usuarios/1/abonos", &given, br#"{"monto":1}"#).unwrap();
                    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
                    assert_eq!(again.body, added.body);
                }
            }
            415 => assert!(!json),
            422 => {
                // this one may be in use: the sum of the balance is
                if added.json()["codigo"] == "datos-invalidos" {
                    assert_eq!(added.problem(), ["Idempotency-Key"]);
                }
            }
            _ => panic!("{added:?}"),
        }
        traced(&added, &of("x-request-id"));
        if added.status != 201 {
            added.problem();
            let language = added.header("content-language");
            let asked =
                of("accept-language").iter().any(|v| v.to_ascii_lowercase().windows(2).any(|w| w == b"en"));
            assert!(language == "es" || (language == "en" && asked), "{language:?}");
        }

        let events = market.ask("HEAD", "/transacciones/eventos", &given, b"").unwrap();
        if events.status != 200 {
            assert_eq!(events.status, 422);
        }
    });
}

/// The request's id is the caller's where that is sane, and always one that can stand in a log.
fn traced(answer: &MarketAnswer, given: &[&[u8]]) {
    let id = answer.header("x-request-id");
    let sane = |id: &[u8]| {
        (1..=128).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    assert!(sane(id.as_bytes()), "{id:?}");
    if let Some(first) = given.first().filter(|id| sane(id)) {
        assert_eq!(id.as_bytes(), *first);
    }
}

fn decoded(answer: &MarketAnswer, accepted: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let encoding = answer.header("content-encoding");
    let named = |v: &&[u8]| {
        let value = v.to_ascii_lowercase();
        value.contains(&b'*') || super::files::find(&value, b"gzip").is_some()
    };
    assert!(encoding.is_empty() || accepted.iter().any(named), "{encoding} was not asked for");
    match encoding {
        "gzip" => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut out).unwrap()),
        "" => out.extend_from_slice(&answer.body),
        other => panic!("{other}"),
    }
    out
}
