//! Requests in which everything is wrong, as often as fits.

use super::Arena;
use crate::attack::arena::SERVICES;
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;

/// More than any error needs.
const MOST: usize = 32 * 1024;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let (mut tried, mut largest) = (0, 0);
    let many: Vec<_> = (0..3_000).map(|n| format!("{n}=x")).collect();
    let long = "n".repeat(8_000);
    let members: Vec<_> = (0..700).map(|n| format!("\"{n}\":1")).collect();
    for service in SERVICES {
        let list = format!("/{}", service.name());
        let queries = [
            many.join("&"),
            many[..900].join("&"),
            format!("{long}={long}"),
            format!("limite={long}"),
            "limite=1&".repeat(800),
            "%00=%00&".repeat(700),
            "=&".repeat(3_000),
        ];
        for query in queries {
            let bytes = raw::request("GET", &format!("{list}?{query}"), &[("Connection", "close")]);
            if let Ok(reply) = raw::exchange(arena.public(service), &bytes).await {
                let good = matches!(reply.status, 400 | 414 | 422 | 431);
                seen.rule(good, || format!("{list}?{}…: {}", &query[..20], reply.status));
                largest = largest.max(reply.body.len());
            }
            tried += 1;
        }
        let nested = format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000));
        for body in
            [format!("{{{}}}", members.join(",")), format!("{{\"{long}\":1}}"), nested, "[".repeat(8_000)]
        {
            let bytes = raw::json("POST", &list, &[("Connection", "close")], body.as_bytes());
            if let Ok(reply) = raw::exchange(arena.public(service), &bytes).await {
                let good = matches!(reply.status, 400 | 422);
                seen.rule(good, || format!("POST {list} {}…: {}", &body[..20], reply.status));
                largest = largest.max(reply.body.len());
            }
            tried += 1;
        }
    }
    seen.rule(largest <= MOST, || t!("una respuesta de {} bytes", "an answer of {} bytes", largest));
    seen.what = t!(
        "{} peticiones; la mayor respuesta {} bytes",
        "{} requests; the largest answer {} bytes",
        tried,
        largest
    );
    Ok(seen)
}
