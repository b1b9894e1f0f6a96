//! Purchases that are refused, each under a new key of the greatest length.

use super::Arena;
use crate::attack::arena::{DEAR, Service};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let clients = arena.scale.pick(16, 64);
    let end = Instant::now() + arena.scale.time;
    let to = arena.public(Service::Transacciones);
    let memory = |arena: &Arena| {
        arena.peaks().iter().find(|(s, _)| *s == Service::Transacciones).map_or(0, |(_, m)| *m)
    };
    let before = memory(arena);
    let mut buying = Vec::new();
    for client in 0..clients {
        buying.push(tokio::spawn(async move {
            let (mut refused, mut full, mut wrong) = (0_u64, 0_u64, Vec::new());
            let mut connection = None;
            let body = format!("{{\"usuarioId\":1,\"tokenId\":{DEAR}}}");
            let mut n = 0_u64;
            while n == 0 || Instant::now() < end {
                n += 1;
                let key = format!("{client:05}-{n:0>249}");
                let bytes =
                    raw::json("POST", "/transacciones", &[("Idempotency-Key", &key)], body.as_bytes());
                let mut stream: TcpStream = match connection.take() {
                    Some(stream) => stream,
                    None => match TcpStream::connect(to).await {
                        Ok(stream) => stream,
                        Err(_) => continue,
                    },
                };
                if stream.write_all(&bytes).await.is_err() {
                    continue;
                }
                match raw::read(&mut stream).await {
                    Ok(reply) if reply.status == 409 => refused += 1,
                    Ok(reply) if matches!(reply.status, 503 | 507) => full += 1,
                    Ok(reply) if reply.status == 0 => continue,
                    Ok(reply) => wrong.push(format!("{} {}", reply.status, reply.code())),
                    Err(_) => continue,
                }
                connection = Some(stream);
            }
            (refused, full, wrong)
        }));
    }
    let (mut refused, mut full, mut wrong) = (0, 0, Vec::new());
    for one in buying {
        let (r, f, w) = one.await.map_err(|e| e.to_string())?;
        (refused, full) = (refused + r, full + f);
        wrong.extend(w);
    }
    let after = memory(arena);
    let mut seen = Seen {
        what: t!(
            "{} claves de 255 caracteres rechazadas, {} veces lleno; transacciones {} -> {} MiB",
            "{} keys of 255 characters refused, {} times full; transacciones {} -> {} MiB",
            refused,
            full,
            before,
            after
        ),
        ..Seen::default()
    };
    seen.rule(refused > 0, || t!("ningún rechazo", "nothing was refused"));
    seen.rule(wrong.is_empty(), || {
        t!("{} respuestas malas: {}", "{} wrong answers: {}", wrong.len(), wrong[0])
    });
    Ok(seen)
}
