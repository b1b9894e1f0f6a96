//! Clients that listen for purchases: some read, some do not.

use crate::attack::arena::{Arena, PATIENCE, Service};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    // half of them read; together more than there may be
    let listeners = arena.scale.pick(300, 1_200);
    let end = Instant::now() + arena.scale.time;
    let to = arena.public(Service::Transacciones);
    let (heard, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let bytes: Arc<[u8]> = raw::request("GET", "/transacciones/eventos", &[]).into();
    let mut listening = Vec::new();
    for n in 0..listeners {
        let (heard, refused, bytes) = (Arc::clone(&heard), Arc::clone(&refused), Arc::clone(&bytes));
        listening.push(tokio::spawn(async move {
            let Ok(mut stream) = raw::narrow(to).await else { return };
            let _ = stream.write_all(&bytes).await;
            let mut piece = [0; 4096];
            // the first one listens until something was heard, however busy the machine is
            let until = if n == 0 { end + PATIENCE } else { end };
            let left = until.saturating_duration_since(Instant::now());
            let first = tokio::time::timeout(left, stream.read(&mut piece));
            match first.await {
                Ok(Ok(n)) if piece[..n].starts_with(b"HTTP/1.1 200") => {}
                Ok(Ok(n)) if piece[..n].starts_with(b"HTTP/1.1 503") => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                _ => return,
            }
            if n % 2 == 0 {
                hear(&mut stream, &heard, end, until).await;
            }
            tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
        }));
    }
    for one in listening {
        let _ = one.await;
    }
    let (heard, refused) = (heard.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    let mut seen = Seen {
        what: t!(
            "{} oyentes, la mitad sin leer; {} rechazados con 503; {} KiB oídos",
            "{} listeners, half of which do not read; {} refused with 503; {} KiB heard",
            listeners,
            refused,
            heard >> 10
        ),
        ..Seen::default()
    };
    seen.rule(heard > 0, || t!("los que leen no oyeron nada", "those who read heard nothing"));
    seen.rule(listeners <= 1000 || refused > 0, || t!("nadie fue rechazado", "nobody was refused"));
    Ok(seen)
}

/// Reads until the end, or where nobody has heard anything, for longer.
async fn hear(stream: &mut TcpStream, heard: &AtomicU64, end: Instant, until: Instant) {
    let mut piece = [0; 4096];
    loop {
        let last = if heard.load(Ordering::Relaxed) > 0 { end } else { until };
        let left = last.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, stream.read(&mut piece)).await {
            Ok(Ok(n)) if n > 0 => heard.fetch_add(n as u64, Ordering::Relaxed),
            _ => return,
        };
    }
}
