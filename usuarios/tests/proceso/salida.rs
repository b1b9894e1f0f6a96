//! Leaving: nothing accepted is lost, and it does not take long.

use crate::ayuda::{Process, read};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::{Api, PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[tokio::test]
async fn both_signals_end_it_well_with_whole_arrays() {
    for signal in ["TERM", "INT"] {
        let process = Process::start(|c| {
            c.env("DRAIN_SECONDS", "0");
        })
        .await;
        let made = process.api.post("/usuarios").json(json!({"nombre": "Ana", "saldo": 70})).await;
        made.expect(201);
        let dir = process.ends_well(signal, 3_000).await;
        let array = |name: &str| serde_json::from_str::<Value>(&read(&dir.path().join(name))).unwrap();
        assert_eq!(array("usuarios.json"), json!([{"id": 1, "nombre": "Ana", "saldo": 70}]));
        assert_eq!(array("movimientos.json")[0]["monto"], 70);

        let again = Process::on(dir, |_| {}).await;
        assert_eq!(again.api.get("/usuarios/1").await.json()["saldo"], 70);
    }
}

#[tokio::test]
async fn a_signal_right_behind_the_first_answer_is_heard() {
    for round in 0..16 {
        let process = Process::start(|c| {
            c.env("DRAIN_SECONDS", "0");
        })
        .await;
        process.ends_well(if round % 2 == 0 { "TERM" } else { "INT" }, 5_000).await;
    }
}

#[tokio::test]
async fn ctrl_c_does_not_wait_for_idle_clients() {
    let process = Process::start(|_| {}).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut client = TcpStream::connect(process.address()).await.unwrap();
        assert_eq!(exchange(&mut client, "/livez").await.unwrap().0, 200);
        idle.push(client);
    }
    // and some that never said a word
    for _ in 0..5 {
        idle.push(TcpStream::connect(process.address()).await.unwrap());
    }
    process.ends_well("INT", 900).await;
    for mut client in idle {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"", "an idle client is told nothing, and politely");
    }
}

#[tokio::test]
async fn readyz_fails_at_once_while_the_rest_goes_on() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "1");
    })
    .await;
    process.signal("TERM");
    let not_ready = eventually(PATIENCE, async || {
        let answer = process.api.get("/readyz").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    not_ready.assert_problem(503, "no-listo");
    assert_eq!(not_ready.header("Connection"), "close");
    let other = process.api.get("/usuarios").await.expect(200);
    assert_eq!(other.header("Connection"), "close");
    process.api.get("/livez").await.expect(200);
    assert_eq!(process.end().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_request_whose_body_is_still_coming_is_finished() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "0");
    })
    .await;
    let body = json!({"nombre": "Lenta", "saldo": 1}).to_string();
    let mut client = TcpStream::connect(process.address()).await.unwrap();
    let head = format!(
        "POST /usuarios HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let api = process.api.clone();
    // the handler has the request once another client's comes back after it
    eventually(PATIENCE, async || {
        let metrics = api.get("/metrics").await;
        metrics.text().contains("http_connections 2").then_some(())
    })
    .await;
    process.signal("TERM");
    eventually(PATIENCE, async || TcpStream::connect(process.address()).await.err()).await;
    client.write_all(body.as_bytes()).await.unwrap();
    let (status, _, closes) = answer(&mut client).await.unwrap();
    assert_eq!((status, closes), (201, true));
    let (status, dir) = process.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(read(&dir.path().join("usuarios.json")).contains("Lenta"));
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    created: AtomicU64,
    closed_politely: AtomicU64,
    refused: AtomicU64,
    leaving: AtomicBool,
}

/// A client that asks again and again until its connection is refused, each request a whole answer.
async fn client(address: String, fresh: bool, seen: Arc<Seen>) {
    let mut n = 0_u64;
    loop {
        let connect = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(&address)).await;
        let Ok(Ok(mut connection)) = connect else {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        loop {
            n += 1;
            let asked = if n.is_multiple_of(3) {
                create(&mut connection, &seen).await
            } else {
                exchange(&mut connection, "/usuarios").await
            };
            let (status, _, closes) =
                asked.unwrap_or_else(|e| panic!("request {n} of a taken connection got no answer: {e}"));
            assert!(matches!(status, 200 | 201), "{status}");
            seen.answers.fetch_add(1, Ordering::Relaxed);
            if closes {
                seen.closed_politely.fetch_add(1, Ordering::Relaxed);
                let mut rest = Vec::new();
                connection.read_to_end(&mut rest).await.expect("an end, not a reset");
                assert_eq!(rest, b"");
                break;
            }
            if fresh {
                break;
            }
        }
    }
}

async fn create(connection: &mut TcpStream, seen: &Seen) -> std::io::Result<(u16, String, bool)> {
    let body = r#"{"nombre":"Ana","saldo":1}"#;
    let head =
        "POST /usuarios HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n";
    connection.write_all(format!("{head}{body}").as_bytes()).await?;
    let answer = answer(connection).await?;
    seen.created.fetch_add(1, Ordering::Relaxed);
    Ok(answer)
}

async fn exchange(connection: &mut TcpStream, path: &str) -> std::io::Result<(u16, String, bool)> {
    connection.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
    answer(connection).await
}

/// Reads one whole answer: its status, its body, and whether the connection ends with it.
async fn answer(connection: &mut TcpStream) -> std::io::Result<(u16, String, bool)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let field = |name: &str| head.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            let length: usize = field("content-length:").unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let status = head[9..12].parse().unwrap();
                let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                return Ok((status, body, field("connection:") == Some("close")));
            }
        }
        if connection.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::Error::other(format!("the end after {} bytes", bytes.len())));
        }
    }
}

/// Runs clients in a closed loop while the signal comes; gives what they saw and how long the process took to end.
async fn under_load(signal: &str, drain: &str) -> (Arc<Seen>, Duration) {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", drain);
    })
    .await;
    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for n in 0..16 {
        clients.spawn(client(process.address(), n % 2 == 0, Arc::clone(&seen)));
    }
    eventually(PATIENCE, async || (seen.answers.load(Ordering::Relaxed) > 500).then_some(())).await;
    let start = Instant::now();
    process.signal(signal);
    seen.leaving.store(true, Ordering::Relaxed);
    let (status, dir) = process.end().await;
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0), "{}", read(&dir.path().join("stderr.log")));
    clients.join_all().await;

    let again = Process::on(dir, |_| {}).await;
    let kept: u64 = again.api.get("/usuarios?limite=1").await.header("X-Total-Count").parse().unwrap();
    assert_eq!(kept, seen.created.load(Ordering::Relaxed), "what was acknowledged, and nothing else");
    (seen, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_request() {
    let (seen, took) = under_load("TERM", "1").await;
    assert!(took >= Duration::from_secs(1), "it drained for {took:?}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert!(seen.closed_politely.load(Ordering::Relaxed) > 8);
    assert_eq!(seen.refused.load(Ordering::Relaxed), 16, "each client ends by finding the port closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_under_load_loses_no_request() {
    let (_, took) = under_load("INT", "5").await;
    assert!(took < Duration::from_secs(3), "it took {took:?}");
}

#[tokio::test]
async fn api_clients_of_a_process_that_left_are_refused() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "0");
    })
    .await;
    let api: Api = process.api.clone();
    process.ends_well("TERM", 3_000).await;
    assert!(api.get("/livez").attempt().await.unwrap_err().is_connect());
}

/// Creates users until the connection dies; gives the ids that were acknowledged.
async fn creator(api: Api) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while let Ok(answer) = api.post("/usuarios").json(json!({"nombre": "Ana", "saldo": 3})).attempt().await {
        acknowledged.push(answer.expect(201).json()["id"].as_u64().unwrap());
    }
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let mut process = Process::start(|_| {}).await;
    let mut acknowledged = Vec::new();
    for _ in 0..3 {
        let mut creators = JoinSet::new();
        for _ in 0..8 {
            creators.spawn(creator(process.api.clone()));
        }
        let before = acknowledged.len();
        let api = process.api.clone();
        eventually(PATIENCE, async || {
            let list = api.get("/usuarios?limite=1").await;
            let n: usize = list.header("X-Total-Count").parse().unwrap();
            (n > before + 100).then_some(())
        })
        .await;
        process.signal("KILL");
        let (status, dir) = process.end().await;
        assert_eq!(status.code(), None, "a signal ended it");
        acknowledged.extend(creators.join_all().await.into_iter().flatten());
        process = Process::on(dir, |_| {}).await;
        // each id was given once, and is still there with its balance
        acknowledged.sort_unstable();
        let count = acknowledged.len();
        acknowledged.dedup();
        assert_eq!(acknowledged.len(), count);
        assert!(count > before + 50, "{count}");
        for id in &acknowledged {
            let path = format!("/usuarios/{id}");
            assert_eq!(process.api.get(&path).await.expect(200).json()["saldo"], 3);
        }
    }
}
