//! Clients that stop in the middle: of a head, of a body, of a second head, of reading an answer; or send a byte now and
//! then. None may hold its connection for longer than a client has for a phase.

use crate::attack::arena::{Arena, SERVICES};
use crate::attack::raw;
use crate::attack::seen::Seen;
use crate::t;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Beyond the time that a client has: a machine that is busy.
const SLACK: Duration = Duration::from_secs(6);

/// Where a client stops.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Head,
    DrippingHead,
    Body,
    DrippingBody,
    SecondHead,
    ChunkedBody,
    Answer,
}

const STOPS: [Stop; 7] = [
    Stop::Head,
    Stop::DrippingHead,
    Stop::Body,
    Stop::DrippingBody,
    Stop::SecondHead,
    Stop::ChunkedBody,
    Stop::Answer,
];

pub(super) async fn attack(arena: &mut Arena) -> Result<Seen, String> {
    let each = arena.scale.pick(10, 90);
    let limit = Duration::from_secs(arena.scale.client_seconds);
    let mut at_work = Vec::new();
    for service in SERVICES {
        let to = arena.public(service);
        let path = format!("/{}", service.name());
        for stop in STOPS {
            for _ in 0..each {
                let path = path.clone();
                at_work.push(tokio::spawn(async move { (stop, held(to, &path, stop, limit + SLACK).await) }));
            }
        }
    }
    let all = at_work.len();
    let (mut longest, mut late) = (Duration::ZERO, Vec::new());
    for one in at_work {
        match one.await.map_err(|e| e.to_string())? {
            (_, Some(time)) => longest = longest.max(time),
            (stop, None) => late.push(stop),
        }
    }
    let mut seen = Seen {
        what: t!(
            "{} clientes que se paran a medias de {} maneras; cerrados tras {:.1} s como mucho",
            "{} clients that stop half-way in {} ways; closed after {:.1} s at most",
            all,
            STOPS.len(),
            longest.as_secs_f64()
        ),
        ..Seen::default()
    };
    seen.rule(late.is_empty(), || {
        t!(
            "{} siguen abiertos tras {} s, el primero {:?}",
            "{} still open after {} s, the first {:?}",
            late.len(),
            (limit + SLACK).as_secs(),
            late[0]
        )
    });
    Ok(seen)
}

/// How long the connection was held after the last byte that counts; `None` where longer than that.
async fn held(to: SocketAddr, path: &str, stop: Stop, most: Duration) -> Option<Duration> {
    let mut stream = raw::narrow(to).await.ok()?;
    let body = "Host: localhost\r\nContent-Type: application/json\r\n";
    let start = match stop {
        Stop::Head | Stop::DrippingHead => format!("GET {path} HTTP/1.1\r\nHost: local"),
        Stop::Body | Stop::DrippingBody => {
            format!("POST {path} HTTP/1.1\r\n{body}Content-Length: 500\r\n\r\n{{\"nombre\":")
        }
        Stop::ChunkedBody => {
            format!("POST {path} HTTP/1.1\r\n{body}Transfer-Encoding: chunked\r\n\r\n10\r\n{{\"nombre\":")
        }
        Stop::SecondHead => format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET {path} HTTP/1.1\r\n"),
        // more than the kernels at both ends take
        Stop::Answer => "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(60),
    };
    stream.write_all(start.as_bytes()).await.ok()?;
    let begin = Instant::now();
    let drips = matches!(stop, Stop::DrippingHead | Stop::DrippingBody);
    let ended = async {
        if matches!(stop, Stop::Answer) {
            // it must not read; a write finds out that the other end has closed
            while alive(&mut stream).await {}
            return;
        }
        let mut piece = [0; 1024];
        loop {
            tokio::select! {
                read = stream.read(&mut piece) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = tokio::time::sleep(Duration::from_millis(300)), if drips => {
                    if stream.write_all(b"a").await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::time::timeout(most, ended).await.ok().map(|()| begin.elapsed())
}

/// Whether the connection is there, found out without reading.
async fn alive(stream: &mut TcpStream) -> bool {
    tokio::time::sleep(Duration::from_millis(100)).await;
    // a reset shows as an error of the socket, the end of a full queue does not
    matches!(stream.take_error(), Ok(None))
        && stream.try_write(b"G").map_or_else(|e| e.kind() == std::io::ErrorKind::WouldBlock, |_| true)
}
