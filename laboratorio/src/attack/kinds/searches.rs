//! Searches that no index serves, and lists of one buyer, on very many connections; somebody else wants one token.

use super::Arena;
use crate::attack::arena::{PICTURE, Service};
use crate::attack::seen::Seen;
use crate::attack::{probes, raw};
use crate::t;
use std::time::{Duration, Instant};

/// What somebody who wants one token bears.
const AT_MOST: Duration = Duration::from_secs(2);

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let clients = arena.scale.pick(48_u64, 200);
    let end = Instant::now() + arena.scale.time;
    let (tokens, transacciones) = (arena.public(Service::Tokens), arena.public(Service::Transacciones));
    let mut searching = Vec::new();
    for client in 0..clients {
        searching.push(tokio::spawn(async move {
            let (mut found, mut busy, mut wrong, mut n) = (0_u64, 0_u64, Vec::new(), client);
            // once at the least: a busy machine may begin after the end
            loop {
                n = n * 1_103_515_245 % 4_294_967_291 + 12_345;
                let (to, path) = match n % 4 {
                    0 => (transacciones, format!("/transacciones?usuarioId={}&limite=1", 1 + n % 4)),
                    1 => (tokens, format!("/tokens?nombre={}&orden=-nombre&limite=1", n % 10_000)),
                    2 => (tokens, format!("/tokens?nombre=x{n}&vendido=false")),
                    _ => (tokens, format!("/tokens?precioMin=1&precioMax={}&nombre=f&limite=1", 1 + n % 9)),
                };
                match raw::get(to, &path).await {
                    Ok(reply) if reply.status == 200 => found += 1,
                    Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => busy += 1,
                    Ok(reply) => wrong.push(format!("{path}: {} {}", reply.status, reply.code())),
                    Err(e) => wrong.push(format!("{path}: {e}")),
                }
                if Instant::now() >= end {
                    break;
                }
            }
            (found, busy, wrong)
        }));
    }
    let (mut longest, mut asked) = (Duration::ZERO, 0);
    let path = format!("/tokens/{PICTURE}");
    loop {
        let (one, took, _) = probes::timed(raw::get(tokens, &path)).await;
        if one.map_err(|e| e.to_string())?.status == 200 {
            asked += 1;
            longest = longest.max(took);
        }
        if Instant::now() >= end {
            break;
        }
    }
    let (mut found, mut busy, mut wrong) = (0, 0, Vec::new());
    for one in searching {
        let (f, b, w) = one.await.map_err(|e| e.to_string())?;
        (found, busy) = (found + f, busy + b);
        wrong.extend(w);
    }
    let mut seen = Seen {
        what: t!(
            "{} clientes: {} búsquedas, {} veces 503; un token suelto tardó {:.0} ms como mucho ({} veces)",
            "{} clients: {} searches, {} times 503; one token took {:.0} ms at most ({} times)",
            clients,
            found,
            busy,
            longest.as_secs_f64() * 1000.0,
            asked
        ),
        ..Seen::default()
    };
    seen.rule(found > 0 && asked > 0, || t!("nadie encontró nada", "nobody found anything"));
    seen.rule(longest < AT_MOST, || {
        t!("un token tardó {:.1} s", "one token took {:.1} s", longest.as_secs_f64())
    });
    seen.rule(wrong.is_empty(), || {
        t!("{} respuestas malas: {}", "{} wrong answers: {}", wrong.len(), wrong[0])
    });
    Ok(seen)
}
