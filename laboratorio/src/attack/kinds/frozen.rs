//! A participant stands still (SIGSTOP) while very many buy.

use crate::attack::arena::{Arena, POOR, Service};
use crate::attack::seen::Seen;
use crate::attack::{probes, raw};
use crate::t;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::time::Duration;

/// A purchase's deadline: one that was begun is not answered sooner while the participant stands still.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longer than that.
const AT_MOST: Duration = Duration::from_secs(8);

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let pid =
        arena.pid(Service::Tokens).and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("no process")?;
    kill_process(pid, Signal::STOP).map_err(|e| format!("SIGSTOP: {e}"))?;
    let seen = match stands(pid).await {
        Ok(()) => rush(arena).await,
        Err(e) => Err(e),
    };
    kill_process(pid, Signal::CONT).map_err(|e| format!("SIGCONT: {e}"))?;
    seen
}

/// Waits until the last thread has stopped: on a busy machine some of them answer for a while after the signal was sent.
async fn stands(pid: Pid) -> Result<(), String> {
    // or until it has died, which is judged later
    let stop = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let waited = tokio::task::spawn_blocking(move || waitid(WaitId::Pid(pid), stop)).await;
    waited.map_err(|e| e.to_string())?.map(drop).map_err(|e| format!("waitid: {e}"))
}

async fn rush(arena: &Arena) -> Result<Seen, String> {
    let buyers = arena.scale.pick(1_500, 8_000);
    let at_once = 1_800;
    let to = arena.public(Service::Transacciones);
    let body = format!("{{\"usuarioId\":{POOR},\"tokenId\":{}}}", arena.customers.fresh_token());
    let bytes = raw::json("POST", "/transacciones", &[("Connection", "close")], body.as_bytes());
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(at_once));
    let mut buying = Vec::new();
    for _ in 0..buyers {
        let (bytes, room) = (bytes.clone(), std::sync::Arc::clone(&room));
        buying.push(tokio::spawn(async move {
            let _room = room.acquire_owned().await;
            let (reply, time, _) = probes::timed(raw::exchange(to, &bytes)).await;
            (reply, time)
        }));
    }
    let (mut refused, mut at_once, mut longest, mut wrong) = (0, 0, Duration::ZERO, Vec::new());
    for one in buying {
        let (reply, time) = one.await.map_err(|e| e.to_string())?;
        longest = longest.max(time);
        match reply {
            Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => {
                refused += 1;
                at_once += usize::from(time < DEADLINE);
            }
            // more connections than a port takes
            Err(_) => {}
            Ok(reply) => wrong.push(format!("{} {}", reply.status, reply.code())),
        }
    }
    let mut seen = Seen {
        what: t!(
            "{} compras con tokens parado: {} veces 503, {} de ellas antes del plazo de una compra; la más lenta {:.1} s",
            "{} purchases while tokens stands still: {} times 503, {} of them before a purchase's deadline; the slowest {:.1} s",
            buyers,
            refused,
            at_once,
            longest.as_secs_f64()
        ),
        ..Seen::default()
    };
    seen.rule(refused > 0, || t!("ningún 503", "no 503"));
    seen.rule(at_once > 0, || t!("ningún 503 enseguida", "no 503 at once"));
    seen.rule(longest < AT_MOST, || t!("una tardó {:.1} s", "one took {:.1} s", longest.as_secs_f64()));
    seen.rule(wrong.is_empty(), || {
        t!("{} respuestas malas: {}", "{} wrong answers: {}", wrong.len(), wrong[0])
    });
    Ok(seen)
}
