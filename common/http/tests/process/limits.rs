//! Limits of a whole process: files, memory, and clients that stand still while it leaves.

use crate::helpers::{ARGS, Process, SECRET, notes};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::raw::RawConnection;
use testkit::{PATIENCE, eventually};

/// The process under test, started by a shell that has set its limits.
fn limited(command: &mut Command, limits: &str) {
    let inner = notes(&[]);
    let args: Vec<_> = inner.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let program = inner.get_program().to_string_lossy().into_owned();
    let port = command.get_envs().find(|(name, _)| *name == "PORT").unwrap().1.unwrap().to_owned();
    *command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("{limits}; exec \"$@\"")).arg("sh").arg(program).args(args);
    command.env_clear().env(ARGS, "").env("WORKERS", "2").env("SECRET", SECRET).env("PORT", port);
}

fn memory(process: &Process, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_to_the_most_there_is() {
    let process = Process::start(|c| limited(c, "ulimit -Sn 100; ulimit -Hn 900")).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let files = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("900"), "{files}");
}

#[tokio::test]
async fn more_clients_than_files_do_not_lock_anybody_out() {
    let process = Process::start(|c| limited(c, "ulimit -n 256")).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut connection = process.connect().await;
        // one of the first may have been closed already
        let _ = connection.send("POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").await;
        held.push(connection);
    }
    // a burst: all of them are there before a worker has looked at one
    process.signal("STOP");
    for _ in 0..300 {
        held.push(process.connect().await);
    }
    process.signal("CONT");
    for path in ["/livez", "/notes"] {
        eventually(PATIENCE, async || {
            process.connect().await.get(path).await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }
    assert!(!process.log().contains("Too many open files"), "{}", process.log());
}

#[tokio::test]
async fn a_probe_is_answered_at_every_moment_of_a_flood_of_requests_that_do_not_end() {
    let process = Process::start(|c| limited(c, "ulimit -n 256")).await;
    let whole_head = "POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    let mut held = Vec::new();
    for begun in [whole_head, "GET /notes HTTP/1.1\r\nHost: lo", ""] {
        for n in 0..200 {
            let mut connection = process.connect().await;
            // it may have been closed already
            let _ = connection.send(begun).await;
            held.push(connection);
            if n % 5 == 0 {
                let probe = process.connect().await.get("/livez").await;
                assert_eq!(probe.unwrap().status, 200, "after {n} with {begun:?}");
            }
        }
    }
}

/// All of them are there before a worker has looked at one, and more of them than there are places.
#[tokio::test]
async fn probes_in_the_middle_of_a_burst_are_answered() {
    for _ in 0..5 {
        if answers_the_probes_of_a_burst().await {
            return;
        }
    }
    panic!("no worker looked at a connection within a second");
}

/// False where connections may have given way since they had waited for a second.
async fn answers_the_probes_of_a_burst() -> bool {
    let process = Process::start(|c| limited(c, "ulimit -n 256")).await;
    process.signal("STOP");
    let (mut held, mut probes) = (Vec::new(), Vec::new());
    for n in 0..300 {
        let mut connection = process.connect().await;
        let probe = n % 10 == 0;
        let begun = if probe { "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" } else { "GET /notes HTT" };
        connection.send(begun).await.unwrap();
        if probe { &mut probes } else { &mut held }.push(connection);
    }
    let begun = Instant::now();
    process.signal("CONT");
    for (n, probe) in probes.iter_mut().enumerate() {
        match probe.answer().await {
            Ok(answer) => assert_eq!(answer.status, 200, "probe {n}"),
            Err(_) if begun.elapsed() >= Duration::from_secs(1) => return false,
            Err(e) => panic!("probe {n}: {e}"),
        }
    }
    true
}

/// Fifteen clients that each send requests for a megabyte ahead, and read nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_take_no_memory() {
    let process = Process::start(|_| {}).await;
    let path = "/docs/swagger-ui-bundle.js";
    let whole = process.api.get(path).await.expect(200).body.len();
    assert!(whole > 1_000_000);
    let before = memory(&process, "VmRSS");
    let mut clients = Vec::new();
    for encoding in ["identity", "gzip", "identity"].repeat(5) {
        let mut client = process.connect().await;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {encoding}\r\n\r\n")
            .repeat(10_000);
        // what the kernel takes, until it takes no more
        let _ = tokio::time::timeout(Duration::from_millis(300), client.send(ask)).await;
        clients.push(client);
    }
    let after = memory(&process, "VmHWM");
    assert!(after < before + 24 * 1024, "{before} kB before, {after} kB at most");
    process.api.get("/livez").await.expect(200);
}

/// A body that is still short, in the longest form that it can have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_chunks_of_a_byte_take_no_more_than_others() {
    let process = Process::start(|_| {}).await;
    process.api.get("/notes").await.expect(200);
    let before = memory(&process, "VmRSS");
    let body = "1\r\n \r\n".repeat(5000);
    let ask = format!(
        "POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    );
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = process.connect().await;
        client.send(&ask).await.unwrap();
        clients.push(client);
    }
    // all have been read: this one comes after them, on each worker
    for _ in 0..8 {
        process.connect().await.get("/livez").await.unwrap();
    }
    let after = memory(&process, "VmHWM");
    // what any body that stops takes, and not a list of all that was sent
    assert!(after < before + 200 * 100, "{before} kB before, {after} kB at most");
}

#[tokio::test]
async fn a_client_that_stands_still_does_not_delay_the_end() {
    let mut process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "0").env("CLIENT_SECONDS", "300");
    })
    .await;
    for _ in 0..200 {
        process
            .api
            .post("/notes")
            .json(serde_json::json!({"name": "n".repeat(100), "weight": 1}))
            .await
            .expect(201);
    }
    let mut body = process.connect().await;
    body.send("POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nContent-Type: application/json\r\n\r\n")
        .await
        .unwrap();
    let mut head = process.connect().await;
    head.send("GET /notes HTTP/1.1\r\n").await.unwrap();
    let mut unread = RawConnection::narrow(&process.address(), 2048).await.unwrap();
    let ask = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
    unread.send(ask).await.unwrap();
    let api = process.api.clone();
    eventually(PATIENCE, async || {
        let metrics = api.get("/metrics").await;
        metrics.text().contains("http_connections 4").then_some(())
    })
    .await;
    let took = process.ends_well("TERM").await;
    // not the 300 s of the grace and of the clients, nor the ten after which the kernel gives up who reads nothing
    assert!(took < Duration::from_secs(9), "it took {took:?}");
}
