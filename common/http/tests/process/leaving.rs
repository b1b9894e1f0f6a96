//! Leaving: nothing accepted is lost, and it does not take long.

use crate::helpers::Process;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::raw::RawConnection;
use testkit::{Api, PATIENCE, eventually};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_signal_right_behind_the_first_answer_is_heard() {
    let mut took = Vec::new();
    for round in 0..16 {
        let mut process = Process::start(|c| {
            c.env("DRAIN_SECONDS", "0");
        })
        .await;
        took.push(process.ends_well(if round % 2 == 0 { "TERM" } else { "INT" }).await);
    }
    took.sort_unstable();
    assert!(took[8] < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn ctrl_c_does_not_wait_for_idle_clients() {
    // actix alone looks once a second: then every round takes so long. One that the machine spoils is made again
    let mut took = Vec::new();
    while took.iter().all(|t| *t >= Duration::from_millis(900)) {
        assert!(took.len() < 5, "{took:?}");
        took.push(leaves_idle_clients().await);
    }
}

async fn leaves_idle_clients() -> Duration {
    let mut process = Process::start(|c| {
        c.env("CLIENT_SECONDS", "300");
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut client = process.connect().await;
        assert_eq!(client.get("/livez").await.unwrap().status, 200);
        idle.push(client);
    }
    // and some that never said a word
    for _ in 0..5 {
        idle.push(process.connect().await);
    }
    let took = process.ends_well("INT").await;
    for mut client in idle {
        assert_eq!(client.rest().await.unwrap(), b"", "an idle client is told nothing, and politely");
    }
    took
}

#[tokio::test]
async fn readyz_fails_at_once_while_the_rest_goes_on() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "300");
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
    let other = process.api.get("/notes").await.expect(200);
    assert_eq!(other.header("Connection"), "close");
    process.api.get("/livez").await.expect(200);
}

/// How long a leaving process waits for who stands still in the middle of a request.
const STALLED: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_request_whose_body_is_still_coming_is_finished() {
    for _ in 0..10 {
        if finishes_what_is_still_coming().await {
            return;
        }
    }
    panic!("no body could be sent within a second of its head");
}

/// False where the body came so late that it may have been given up.
async fn finishes_what_is_still_coming() -> bool {
    let mut process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "0");
    })
    .await;
    let body = json!({"name": "slow", "weight": 1}).to_string();
    let mut client = process.connect().await;
    let head = format!(
        "POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let asked = Instant::now();
    client.send(head).await.unwrap();
    let api = process.api.clone();
    // the handler has the request once another client's comes back after it
    eventually(PATIENCE, async || {
        let metrics = api.get("/metrics").await;
        metrics.text().contains("http_connections 2").then_some(())
    })
    .await;
    process.signal("TERM");
    eventually(PATIENCE, async || TcpStream::connect(process.address()).await.err()).await;
    let answered = match client.send(body).await {
        Ok(()) => client.answer().await,
        Err(e) => Err(e),
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err(_) if asked.elapsed() >= STALLED => return false,
        Err(e) => panic!("no answer: {e}"),
    };
    assert_eq!((answer.status, answer.closes()), (201, true));
    assert!(answer.body.contains("slow"));
    assert_eq!(process.end().await.code(), Some(0));
    true
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    closed_politely: AtomicU64,
    refused: AtomicU64,
}

/// A connection on which nothing has come for so long is idle to a leaving process, which closes it.
const QUIET: Duration = Duration::from_millis(100);

/// A client that asks again and again until its connection is refused, each request a whole answer.
async fn client(address: String, fresh: bool, seen: Arc<Seen>) {
    let mut n = 0_u64;
    let mut left = false;
    loop {
        let mut since = Instant::now();
        let connect = tokio::time::timeout(Duration::from_secs(5), RawConnection::open(&address)).await;
        let Ok(Ok(mut connection)) = connect else {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        assert!(!left, "a request got no answer from a process that takes connections");
        loop {
            n += 1;
            let idle = since.elapsed() >= QUIET;
            let asked = if n.is_multiple_of(3) {
                connection.post("/notes", r#"{"name":"a","weight":1}"#).await
            } else {
                connection.get("/notes?limite=3").await
            };
            let answer = match asked {
                Ok(answer) => answer,
                Err(_) if idle => {
                    left = true;
                    break;
                }
                Err(e) => panic!("request {n} of a taken connection got no answer: {e}"),
            };
            since = Instant::now();
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            seen.answers.fetch_add(1, Ordering::Relaxed);
            if answer.closes() {
                seen.closed_politely.fetch_add(1, Ordering::Relaxed);
                assert_eq!(connection.rest().await.expect("an end, not a reset"), b"");
                break;
            }
            if fresh {
                break;
            }
        }
    }
}

/// Runs clients in a closed loop while the signal comes; gives what they saw and how long the process took to end.
async fn under_load(signal: &str, drain: &str) -> (Arc<Seen>, Duration) {
    let mut process = Process::start(|c| {
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
    let status = process.end().await;
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0), "{}", process.log());
    clients.join_all().await;
    (seen, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_loses_no_request() {
    let (seen, took) = under_load("TERM", "1").await;
    assert!(took >= Duration::from_secs(1), "it drained for {took:?}");
    assert!(seen.closed_politely.load(Ordering::Relaxed) > 8);
    assert_eq!(seen.refused.load(Ordering::Relaxed), 16, "each client ends by finding the port closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_under_load_loses_no_request() {
    // who drained would do so for 300 s
    under_load("INT", "300").await;
}

#[tokio::test]
async fn api_clients_of_a_process_that_left_are_refused() {
    let mut process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "0");
    })
    .await;
    let api: Api = process.api.clone();
    process.ends_well("TERM").await;
    assert!(api.get("/livez").attempt().await.unwrap_err().is_connect());
}
