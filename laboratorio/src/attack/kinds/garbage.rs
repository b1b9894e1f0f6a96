//! Bytes that are no HTTP, on ever new connections; and what the log says of them.

use super::Arena;
use crate::attack::arena::SERVICES;
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Bytes of log that a second may cost: several lines, and what ends before the attack began.
const LOG_A_SECOND: f64 = 4096.0;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let size = |arena: &Arena| -> u64 {
        SERVICES.iter().map(|s| arena.log(*s).metadata().map_or(0, |m| m.len())).sum()
    };
    let (before, begin) = (size(arena), Instant::now());
    let end = begin + arena.scale.time;
    const GARBAGE: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
    ];
    let mut sending = Vec::new();
    for client in 0..8_usize {
        let to = arena.public(SERVICES[client % SERVICES.len()]);
        sending.push(tokio::spawn(async move {
            let mut sent = 0_u64;
            while Instant::now() < end {
                let Ok(mut stream) = TcpStream::connect(to).await else { continue };
                let _ = stream
                    .write_all(GARBAGE[usize::try_from(sent).unwrap_or_default() % GARBAGE.len()])
                    .await;
                let _ = raw::read(&mut stream).await;
                sent += 1;
            }
            sent
        }));
    }
    let mut sent = 0;
    for one in sending {
        sent += one.await.map_err(|e| e.to_string())?;
    }
    let (logged, seconds) = (size(arena) - before, begin.elapsed().as_secs_f64());
    let mut seen = Seen {
        what: t!(
            "{} conexiones con basura; {} bytes de registro",
            "{} connections with garbage; {} bytes of log",
            sent,
            logged
        ),
        ..Seen::default()
    };
    let most = LOG_A_SECOND * SERVICES.len() as f64 * (seconds + 1.0);
    seen.rule(logged as f64 <= most, || {
        t!("el registro creció {} bytes en {:.1} s", "the log grew by {} bytes in {:.1} s", logged, seconds)
    });
    Ok(seen)
}
