//! Names that nobody can see or read, in every place where a name goes.

use super::Arena;
use crate::attack::arena::{PICTURE, Service};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;

/// As they stand between the quotes of JSON.
const WRONG: [&str; 28] = [
    "\u{200b}",
    "a\u{200b}b",
    "\u{feff}",
    "\u{2060}x",
    "\u{202e}anA",
    "a\u{2066}b",
    "a\u{200f}b",
    "a\u{ad}b",
    "\u{3164}",
    "\u{115f}\u{1160}",
    "\u{2800}",
    "\u{ffa0}",
    "\u{180e}",
    "\u{34f}",
    "\u{fe0f}",
    "\u{200d}\u{200d}",
    "\u{e0041}\u{e0042}",
    "x\u{e0001}",
    "x\u{fff9}y\u{fffb}",
    "\\u0000",
    "\\ud800",
    "\\udc00x",
    "\\u200b",
    "   ",
    "\u{a0}\u{3000}",
    "x\u{2028}y",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "\u{1d159}",
];
const RIGHT: [&str; 6] = ["हिन्दी", "👩\u{200d}🚀", "O'Brien", "猫", "\\u00f1u", "שָׁלוֹם"];

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut tried = 0;
    let one_token = format!("/tokens/{PICTURE}");
    let places = [
        (Service::Tokens, "POST", "/tokens", ",\"precio\":1"),
        (Service::Tokens, "PATCH", one_token.as_str(), ""),
        (Service::Usuarios, "POST", "/usuarios", ",\"saldo\":1"),
        (Service::Usuarios, "PATCH", "/usuarios/45", ""),
    ];
    for (service, method, path, more) in places {
        for name in WRONG.iter().chain(&RIGHT) {
            let body = format!("{{\"nombre\":\"{name}\"{more}}}");
            let bytes = raw::json(method, path, &[("Connection", "close")], body.as_bytes());
            let reply =
                raw::exchange(arena.public(service), &bytes).await.map_err(|e| format!("{path}: {e}"))?;
            let good = if RIGHT.contains(name) {
                matches!(reply.status, 200 | 201)
            } else {
                matches!(reply.status, 400 | 422)
            };
            seen.rule(good, || format!("{method} {path} {}: {}", name.escape_unicode(), reply.status));
            tried += 1;
        }
    }
    seen.what = t!("{} nombres en {} sitios", "{} names in {} places", tried, places.len());
    Ok(seen)
}
