//! Another site's page that has given its own name this machine's address, or writes across sites.

use super::Arena;
use crate::attack::arena::{SERVICES, Service};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;

const NAMES: [&str; 16] = [
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example#localhost",
    "localhost@evil.example",
    "10.0.0.1",
    "[::2]:80",
    "0.0.0.0",
    "localhost.",
    "LOCALHOST.evil.example",
    "evil.example, localhost",
    "2130706433",
    "0x7f.1",
    "localhost:80:80",
    "xn--lcalhost-0pa",
];
const ORIGINS: [&str; 7] = [
    "http://evil.example",
    "https://localhost.evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "http://localhost@evil.example",
    "localhost",
    "file://",
];

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut tried = 0;
    let token = arena.customers.fresh_token();
    let body = format!("{{\"usuarioId\":1,\"tokenId\":{token}}}");
    for service in SERVICES {
        let to = arena.public(service);
        for name in NAMES {
            let bytes = raw::request("GET", "/", &[("Host", name), ("Connection", "close")]);
            let reply = raw::exchange(to, &bytes).await.map_err(|e| format!("{name}: {e}"))?;
            seen.rule(matches!(reply.status, 400 | 421), || format!("Host: {name}: {}", reply.status));
            tried += 1;
        }
        // a name in the request's own line counts instead of the header's
        let bytes = b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let reply = raw::exchange(to, bytes).await.map_err(|e| e.to_string())?;
        seen.rule(matches!(reply.status, 400 | 421), || {
            format!("GET http://evil.example/: {}", reply.status)
        });
        let two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
        let reply = raw::exchange(to, two).await.map_err(|e| e.to_string())?;
        seen.rule(matches!(reply.status, 400 | 421), || format!("Host x 2: {}", reply.status));
        let none = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let reply = raw::exchange(to, none).await.map_err(|e| e.to_string())?;
        seen.rule(reply.status < 500, || format!("no Host: {}", reply.status));
        for name in ["localhost", "127.0.0.1:1", "[::1]", "LocalHost:8080"] {
            let bytes = raw::request("GET", "/livez", &[("Host", name), ("Connection", "close")]);
            let reply = raw::exchange(to, &bytes).await.map_err(|e| format!("{name}: {e}"))?;
            seen.rule(reply.status == 200, || format!("Host: {name}: {}", reply.status));
        }
        tried += 7;
    }
    let to = arena.public(Service::Transacciones);
    for origin in ORIGINS {
        let bytes = raw::json(
            "POST",
            "/transacciones",
            &[("Origin", origin), ("Connection", "close")],
            body.as_bytes(),
        );
        let reply = raw::exchange(to, &bytes).await.map_err(|e| format!("{origin}: {e}"))?;
        seen.rule(reply.status == 403, || format!("Origin: {origin}: {}", reply.status));
        tried += 1;
    }
    // a form of another site sends no JSON, and no preflight
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        let length = body.len().to_string();
        let mut bytes = raw::request(
            "POST",
            "/transacciones",
            &[("Content-Type", kind), ("Content-Length", &length), ("Connection", "close")],
        );
        bytes.extend_from_slice(body.as_bytes());
        let reply = raw::exchange(to, &bytes).await.map_err(|e| format!("{kind}: {e}"))?;
        seen.rule(reply.status == 415, || format!("Content-Type: {kind}: {}", reply.status));
        tried += 1;
    }
    let reply = raw::get(arena.public(Service::Tokens), &format!("/tokens/{token}"))
        .await
        .map_err(|e| e.to_string())?;
    let sold = !String::from_utf8_lossy(&reply.body).contains("\"vendido\":false");
    seen.rule(!sold, || t!("se compró el token {}", "token {} was bought", token));
    seen.what = t!(
        "{} peticiones con otros nombres, orígenes y tipos; nada se compró",
        "{} requests with other names, origins and types; nothing was bought",
        tried
    );
    Ok(seen)
}
