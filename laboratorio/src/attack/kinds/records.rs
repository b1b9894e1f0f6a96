//! Records that are as large as may be, until the store is full: then it says so, sells what it has, and starts again.

use super::Arena;
use crate::attack::arena::Service;
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How long it may take until the store is full.
const AT_MOST: Duration = Duration::from_secs(120);

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let clients = arena.scale.pick(32, 64);
    let to = arena.public(Service::Tokens);
    let limit = AT_MOST.max(arena.scale.time);
    let end = Instant::now() + limit;
    let body =
        format!("{{\"nombre\":\"{}\",\"imagen\":\"{}.png\",\"precio\":1}}", "猫".repeat(85), "x".repeat(250));
    let bytes = raw::json("POST", "/tokens", &[], body.as_bytes());
    let mut posting = Vec::new();
    for _ in 0..clients {
        let bytes = bytes.clone();
        posting.push(tokio::spawn(async move { post(to, &bytes, end).await }));
    }
    let (mut made, mut full, mut wrong) = (Vec::new(), 0, Vec::new());
    for one in posting {
        let (ids, f, w) = one.await.map_err(|e| e.to_string())?;
        made.extend(ids);
        full += f;
        wrong.extend(w);
    }
    made.sort_unstable();
    let mut seen = Seen {
        what: t!(
            "{} tokens creados, luego {} veces 507",
            "{} tokens made, then {} times 507",
            made.len(),
            full
        ),
        ..Seen::default()
    };
    seen.rule(!made.is_empty(), || t!("ningún token creado", "no token was made"));
    // a market without a budget says so by not measuring one
    let metrics = raw::get(to, "/metrics").await.map_err(|e| e.to_string())?;
    let budget = String::from_utf8_lossy(&metrics.body).contains("store_memory_budget_bytes");
    seen.rule(full > 0 || !budget, || t!("nunca 507 en {} s", "never 507 within {} s", limit.as_secs()));
    seen.rule(wrong.is_empty(), || {
        t!("{} respuestas malas: {}", "{} wrong answers: {}", wrong.len(), wrong[0])
    });
    arena.made.extend(made);
    Ok(seen)
}

/// Posts until it is told a few times that there is no room: the ids that were made, how often it was told, what else.
async fn post(to: std::net::SocketAddr, bytes: &[u8], end: Instant) -> (Vec<u64>, u64, Vec<String>) {
    let (mut made, mut full, mut wrong) = (Vec::new(), 0, Vec::new());
    let mut connection: Option<TcpStream> = None;
    while Instant::now() < end && full < 5 && wrong.len() < 5 {
        let stream = match connection.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(to).await,
        };
        let Ok(mut stream) = stream else { continue };
        if stream.write_all(bytes).await.is_err() {
            continue;
        }
        match raw::read(&mut stream).await {
            Ok(reply) if reply.status == 201 => {
                let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                made.extend(json["id"].as_u64());
            }
            Ok(reply) if reply.status == 507 && reply.code() == "almacen-lleno" => full += 1,
            Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => {}
            Ok(reply) if reply.status == 0 => continue,
            Ok(reply) => wrong.push(format!("{} {}", reply.status, reply.code())),
            Err(_) => continue,
        }
        connection = Some(stream);
    }
    (made, full, wrong)
}
