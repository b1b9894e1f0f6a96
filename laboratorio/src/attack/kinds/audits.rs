//! Clients that ask for the audit all the time.

use super::Arena;
use crate::attack::arena::Service;
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::Instant;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let clients = arena.scale.pick(32, 64);
    let end = Instant::now() + arena.scale.time;
    let to = arena.public(Service::Transacciones);
    let mut asking = Vec::new();
    for _ in 0..clients {
        asking.push(tokio::spawn(async move {
            let (mut right, mut busy, mut wrong) = (0_u64, 0_u64, Vec::new());
            // once at the least: a busy machine may begin after the end
            loop {
                match raw::get(to, "/transacciones/auditoria").await {
                    Ok(reply) if reply.status == 200 => {
                        let text = String::from_utf8_lossy(&reply.body).into_owned();
                        if text.contains("\"correcto\":true") { right += 1 } else { wrong.push(text) }
                    }
                    Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => busy += 1,
                    Ok(reply) => wrong.push(format!("{} {}", reply.status, reply.code())),
                    Err(e) => wrong.push(e.to_string()),
                }
                if Instant::now() >= end {
                    break;
                }
            }
            (right, busy, wrong)
        }));
    }
    let (mut right, mut busy, mut wrong) = (0, 0, Vec::new());
    for one in asking {
        let (r, b, w) = one.await.map_err(|e| e.to_string())?;
        (right, busy) = (right + r, busy + b);
        wrong.extend(w);
    }
    let mut seen = Seen {
        what: t!(
            "{} clientes: {} auditorías, todas correctas, {} veces 503",
            "{} clients: {} audits, all right, {} times 503",
            clients,
            right,
            busy
        ),
        ..Seen::default()
    };
    seen.rule(right > 0, || t!("ninguna auditoría", "no audit"));
    seen.rule(wrong.is_empty(), || {
        t!("{} respuestas malas: {}", "{} wrong answers: {}", wrong.len(), wrong[0])
    });
    Ok(seen)
}
