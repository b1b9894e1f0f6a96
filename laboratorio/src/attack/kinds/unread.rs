//! Requests for something large, one behind the other, of whose answers nothing is read.

use crate::attack::arena::{Arena, SERVICES};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let (connections, requests) = (15, arena.scale.pick(1_000, 10_000));
    let end = Instant::now() + arena.scale.time;
    let paths = ["/docs/swagger-ui-bundle.js", "/openapi.json", "/tokens?limite=1000", "/tokens/1/imagen"];
    let mut sending = Vec::new();
    for service in SERVICES {
        for n in 0..connections {
            // one behind the other on one connection, and one alone: what is held may be of either
            let one = raw::request("GET", paths[n % paths.len()], &[]);
            let bytes = one.repeat(if n % 2 == 0 { requests } else { 1 });
            let to = arena.public(service);
            sending.push(tokio::spawn(async move {
                let Ok(mut stream) = raw::narrow(to).await else { return 0 };
                let left = end.saturating_duration_since(Instant::now());
                // the market stops reading, and so this stands still
                let sent = tokio::time::timeout(left, stream.write_all(&bytes)).await;
                tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
                usize::from(sent.is_ok_and(|sent| sent.is_ok()))
            }));
        }
    }
    let all = sending.len();
    let mut taken = 0;
    for one in sending {
        taken += one.await.unwrap_or_default();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let what = t!(
        "{} conexiones con hasta {} peticiones y sin leer nada; {} lo enviaron todo",
        "{} connections with up to {} requests each and nothing read; {} sent all of it",
        all,
        requests,
        taken
    );
    Ok(Seen { what, ..Seen::default() })
}
