//! A Redis that is none: it answers with anything, or not at all. What comes out of a real one that somebody else wrote
//! into is tested with the cache that reads it, in `tokens/tests/api/replicas.rs`.

use super::Arena;
use crate::attack::seen::Seen;
use crate::attack::{probes, raw};
use crate::child;
use crate::t;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What it says to whatever it is asked.
const LIES: [&[u8]; 7] = [
    b"",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$9000000000000\r\n",
    b"$-5\r\n",
    b"*1000000000\r\n",
    b"-ERR no\r\n",
    b"+OK\r\n$3\r\nabc\r\n:-7\r\n:9223372036854775807\r\n",
];
/// How a service ends whose port is taken.
const EX_UNAVAILABLE: i32 = 69;
/// Longer than the market waits for Redis (50 ms), on a machine that is busy.
const AT_MOST: Duration = Duration::from_secs(2);

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut asked = 0;
    let mut longest = Duration::ZERO;
    for lie in LIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|e| e.to_string())?;
        let redis = listener.local_addr().map_err(|e| e.to_string())?;
        let liar = tokio::spawn(lies(listener, lie));
        let begun = || -> std::io::Result<_> {
            let ports = free()?;
            Ok((start(arena, ports, redis)?, ports[0]))
        };
        let (mut tokens, mut to) = begun().map_err(|e| format!("tokens: {e}"))?;
        let begin = Instant::now();
        while raw::get(to, "/readyz").await.map_or(0, |r| r.status) != 200 {
            if let Some(ended) = tokens.try_wait().map_err(|e| e.to_string())? {
                // somebody else has taken one of its ports meanwhile
                if ended.code() != Some(EX_UNAVAILABLE) {
                    return Err(format!("{}: {ended}", lie.escape_ascii()));
                }
                (tokens, to) = begun().map_err(|e| format!("tokens: {e}"))?;
            }
            if begin.elapsed() > Duration::from_secs(20) {
                return Err(t!(
                    "tokens no está listo con una Redis falsa",
                    "tokens is not ready with a false Redis"
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for path in ["/hits", "/tokens", "/hits", "/", "/hits"] {
            let (reply, took, _) = probes::timed(raw::get(to, path)).await;
            let reply = reply.map_err(|e| format!("{path}: {e}"))?;
            longest = longest.max(took);
            seen.rule(reply.status == 200, || format!("{}: {path}: {}", lie.escape_ascii(), reply.status));
            asked += 1;
        }
        let ended = tokens.try_wait().map_err(|e| e.to_string())?;
        seen.rule(ended.is_none(), || format!("{}: {ended:?}", lie.escape_ascii()));
        tokens.kill().await.map_err(|e| e.to_string())?;
        liar.abort();
    }
    seen.rule(longest < AT_MOST, || {
        t!("una respuesta tardó {:.1} s", "an answer took {:.1} s", longest.as_secs_f64())
    });
    seen.what = t!(
        "{} mentiras de Redis, {} peticiones; la más lenta {:.0} ms",
        "{} lies of a Redis, {} requests; the slowest {:.0} ms",
        LIES.len(),
        asked,
        longest.as_secs_f64() * 1000.0
    );
    Ok(seen)
}

/// Two ports that were free a moment ago.
fn free() -> std::io::Result<[SocketAddr; 2]> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let two = [std::net::TcpListener::bind(any)?, std::net::TcpListener::bind(any)?];
    Ok([two[0].local_addr()?, two[1].local_addr()?])
}

/// A `tokens` of its own, with an empty store.
fn start(
    arena: &Arena,
    [public, internal]: [SocketAddr; 2],
    redis: SocketAddr,
) -> std::io::Result<tokio::process::Child> {
    let dir = arena.dir.join(format!("redis-{}", public.port()));
    let log = std::fs::File::create(arena.dir.join(format!("redis-{}.log", public.port())))?;
    child::command(arena.program("tokens"))
        .env_clear()
        .env("HOST", "127.0.0.1")
        .env("PORT", public.port().to_string())
        .env("INTERNAL_PORT", internal.port().to_string())
        .env("INTERNAL_TOKEN", "laboratorio-0123456789")
        .env("STORE", format!("json:{}", dir.display()))
        .env("REDIS_URL", format!("redis://{redis}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}

async fn lies(listener: TcpListener, lie: &'static [u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(n) = stream.read(&mut piece).await {
                if n == 0 || stream.write_all(lie).await.is_err() {
                    return;
                }
            }
        });
    }
}
