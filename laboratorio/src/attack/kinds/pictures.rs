//! A large picture, for very many who read slowly.

use super::Arena;
use crate::attack::arena::{PICTURE, PICTURE_BYTES, Service};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes that the service may take for all of them: less than five of the pictures.
const MOST_MIB: u64 = 40;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let clients = arena.scale.pick(24, 100);
    let end = Instant::now() + arena.scale.time;
    let to = arena.public(Service::Tokens);
    let memory =
        |arena: &Arena| arena.peaks().iter().find(|(s, _)| *s == Service::Tokens).map_or(0, |(_, m)| *m);
    memory(arena);
    let before = memory(arena);
    let path = format!("/tokens/{PICTURE}/imagen");
    let bytes = raw::request("GET", &path, &[("Connection", "close")]);
    let mut looking = Vec::new();
    for _ in 0..clients {
        let bytes = bytes.clone();
        looking.push(tokio::spawn(async move {
            let mut stream = raw::narrow(to).await?;
            stream.write_all(&bytes).await?;
            let mut piece = vec![0; 64 * 1024];
            while Instant::now() < end {
                if stream.read(&mut piece).await? == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            std::io::Result::Ok(())
        }));
    }
    let whole = raw::get(to, &path).await.map_err(|e| e.to_string())?;
    for one in looking {
        // who reads too slowly may be cut off
        let _ = one.await.map_err(|e| e.to_string())?;
    }
    let after = memory(arena);
    let mut seen = Seen {
        what: t!(
            "{} clientes lentos de {} MiB; tokens {} -> {} MiB",
            "{} slow clients of {} MiB; tokens {} -> {} MiB",
            clients,
            PICTURE_BYTES >> 20,
            before,
            after
        ),
        ..Seen::default()
    };
    seen.rule(whole.body.len() == PICTURE_BYTES, || {
        t!("llegaron {} bytes", "{} bytes came", whole.body.len())
    });
    seen.rule(after < before + MOST_MIB, || {
        t!("la memoria creció {} MiB", "the memory grew by {} MiB", after - before)
    });
    let etag = whole.header("etag").replacen("w/", "W/", 1);
    let again = raw::request("GET", &path, &[("If-None-Match", etag.as_str()), ("Connection", "close")]);
    let again = raw::exchange(to, &again).await.map_err(|e| e.to_string())?;
    seen.rule(again.status == 304, || format!("If-None-Match: {}", again.status));
    Ok(seen)
}
