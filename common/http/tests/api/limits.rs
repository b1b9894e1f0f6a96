//! What one client may cost: each test attacks one limit.

use crate::helpers::TestApp;
use crate::service::{GO, WAITING};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::raw::RawConnection;
use testkit::{PATIENCE, eventually};
use tokio::task::JoinSet;

/// The head of a POST with a body of this length.
fn head(length: usize) -> String {
    format!(
        "POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends a byte now and then until the other end has closed; gives what it said.
async fn drip(connection: &mut RawConnection, bytes: &[u8]) -> String {
    let mut said = Vec::new();
    for byte in bytes.iter().cycle() {
        if connection.send([*byte]).await.is_err() {
            break;
        }
        match tokio::time::timeout(Duration::from_millis(50), connection.some(4096)).await {
            Ok(Ok(more)) if !more.is_empty() => said.extend(more),
            Ok(_) => break,
            Err(_) => {}
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_read() {
    let app = TestApp::start().await;
    for length in [8193, 60_100, 1 << 40] {
        let mut connection = app.connect().await;
        connection.send(head(length)).await.unwrap();
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.closes()), (413, true), "{answer:?}");
        assert!(answer.body.contains("cuerpo-demasiado-grande"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_not_read_to_its_end() {
    let app = TestApp::start().await;
    let mut connection = app.connect().await;
    connection.send(format!("{CHUNKED}17\r\n{{\"name\":\"a\",\"weight\":1}}\r\n0\r\n\r\n")).await.unwrap();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.closes()), (201, true), "{answer:?}");
    let mut connection = app.connect().await;
    connection.send(format!("{CHUNKED}2000\r\n{}\r\n10\r\n", "x".repeat(0x2000))).await.unwrap();
    connection.send("x".repeat(16)).await.unwrap();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.closes()), (413, true), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_also_where_it_drips() {
    let app = TestApp::with(&["--client-seconds=1"]);
    let mut connection = app.connect().await;
    connection.send(head(100)).await.unwrap();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.closes()), (408, true), "{answer:?}");
    assert!(answer.body.contains("peticion-incompleta"), "{answer:?}");
    let mut connection = app.connect().await;
    connection.send(head(8000)).await.unwrap();
    let said = drip(&mut connection, b" ").await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[tokio::test]
async fn a_body_in_chunks_that_stops_is_408_and_its_connection_is_closed() {
    let app = TestApp::with(&["--client-seconds=6"]);
    // one that the machine spoils is made again
    for _ in 0..3 {
        let mut connection = app.connect().await;
        connection.send(format!("{CHUNKED}10\r\n{{\"name\":")).await.unwrap();
        let answer = connection.answer().await.unwrap();
        assert_eq!((answer.status, answer.closes()), (408, true), "{answer:?}");
        // it ends here, not only in the client's eyes, and does not wait as long again; a reset is an end, too
        if let Ok(end) = tokio::time::timeout(Duration::from_secs(5), connection.rest()).await {
            assert!(end.map_or(true, |rest| rest.is_empty()));
            return;
        }
    }
    panic!("no end of the connection within 5 s");
}

const CHUNKED: &str = "POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn nothing_after_the_last_answer_is_done_or_answered() {
    let app = TestApp::with(&["--client-seconds=300"]);
    let body = r#"{"name":"a","weight":1}"#;
    let first = [
        // whole, refused before it is read, and one whose rest looks like requests
        format!("{CHUNKED}17\r\n{body}\r\n0\r\n\r\n"),
        format!("POST /nothing HTTP/1.1\r\n{}", &CHUNKED["POST /notes HTTP/1.1\r\n".len()..]) + "0\r\n\r\n",
        format!("{CHUNKED}fffff\r\n"),
        format!("{}{body}", head(23)).replace("Content-Type", "Connection: close\r\nContent-Type"),
    ];
    for (asked, done) in first.into_iter().zip([1, 0, 0, 1]) {
        let before = app.api.get("/notes?limite=1000").await.json().as_array().unwrap().len();
        let mut connection = app.connect().await;
        let more = format!("{}{body}", head(23)).repeat(700);
        // the other end may close before it has all
        let _ = connection.send(asked.clone() + &more).await;
        let answer = connection.answer().await.unwrap();
        assert!(answer.closes(), "{asked}: {answer:?}");
        // a reset is an end, too
        let end = tokio::time::timeout(PATIENCE, connection.rest()).await;
        assert!(end.expect("an end of the connection").map_or(true, |rest| rest.is_empty()), "{asked}");
        let after = app.api.get("/notes?limite=1000").await.json().as_array().unwrap().len();
        assert_eq!(after - before, done, "{asked}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_408_also_where_it_drips_and_also_the_second_one() {
    let app = TestApp::with(&["--client-seconds=1"]);
    let mut silent = app.connect().await;
    assert!(silent.rest().await.unwrap().starts_with(b"HTTP/1.1 408 "));
    for earlier in [0, 1, 3] {
        let mut connection = app.connect().await;
        for _ in 0..earlier {
            assert_eq!(connection.get("/livez").await.unwrap().status, 200);
        }
        connection.send("GET /notes HTTP/1.1\r\n").await.unwrap();
        let said = drip(&mut connection, b"a: b\r\n").await;
        assert!(said.starts_with("HTTP/1.1 408 "), "after {earlier}: {said}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_431() {
    let app = TestApp::start().await;
    for earlier in [0, 2] {
        let mut connection = app.connect().await;
        for _ in 0..earlier {
            assert_eq!(connection.get("/livez").await.unwrap().status, 200);
        }
        connection.send("GET /notes HTTP/1.1\r\n").await.unwrap();
        // the connection may be reset before all is sent
        let _ = connection.send("a: b\r\n".repeat(3000)).await;
        let mut said = Vec::new();
        while let Ok(more) = connection.some(4096).await {
            if more.is_empty() {
                break;
            }
            said.extend(more);
        }
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    }
    assert!(app.metric("http_connections_cut_total").await >= 2);
    let long = format!("/notes?x={}", "y".repeat(15_000));
    app.api.get(&long).await.assert_problem(422, "datos-invalidos");
}

#[tokio::test]
async fn an_idle_connection_is_kept() {
    let app = TestApp::with(&["--client-seconds=1"]);
    let mut idle = app.connect().await;
    assert_eq!(idle.get("/livez").await.unwrap().status, 200);
    let mut silent = app.connect().await;
    assert!(silent.rest().await.unwrap().starts_with(b"HTTP/1.1 408 "), "a second has passed");
    assert_eq!(idle.get("/livez").await.unwrap().status, 200);
}

/// Enough notes for answers that fill every buffer on their way.
async fn many_notes(app: &TestApp) {
    let name = "n".repeat(100);
    let mut made = JoinSet::new();
    for _ in 0..16 {
        let (api, name) = (app.api.clone(), name.clone());
        made.spawn(async move {
            for n in 0..64 {
                // where the machine stands still for the server's deadline, a request is refused
                let mut is_made = false;
                for _ in 0..5 {
                    match api.post("/notes").json(json!({"name": name, "weight": n})).attempt().await {
                        Ok(made) if made.status == 201 => {
                            is_made = true;
                            break;
                        }
                        Ok(made) => assert_eq!(made.status, 408),
                        Err(_) => {}
                    }
                }
                assert!(is_made, "note {n}");
            }
        });
    }
    made.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_reads_is_cut_off_also_where_a_byte_is_read_now_and_then() {
    let app = TestApp::with(&["--client-seconds=1"]);
    many_notes(&app).await;
    let ask = "GET /notes?limite=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    let whole = 20 * app.api.get("/notes?limite=1000").await.body.len();
    let open = async || RawConnection::narrow(&app.address(), 2048).await.unwrap();
    let (mut unread, mut slow) = (open().await, open().await);
    unread.send(&ask).await.unwrap();
    slow.send(&ask).await.unwrap();
    // a byte more can be sent until the other end has closed
    for (connection, reads) in [(&mut unread, false), (&mut slow, true)] {
        eventually(PATIENCE, async || {
            if reads {
                let _ = tokio::time::timeout(Duration::from_millis(20), connection.some(1)).await;
            }
            let sent = tokio::time::timeout(Duration::from_millis(20), connection.send("\n")).await;
            matches!(sent, Ok(Err(_))).then_some(())
        })
        .await;
    }
    assert!(app.metric("http_connections_cut_total").await >= 2);
    for mut connection in [unread, slow] {
        let mut read = 0;
        while let Ok(more) = connection.some(1 << 16).await {
            if more.is_empty() {
                break;
            }
            read += more.len();
        }
        assert!(read < whole, "{read} of {whole} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_read_in_time_is_whole_through_the_smallest_window() {
    let app = TestApp::with(&["--client-seconds=8"]);
    many_notes(&app).await;
    let mut reader = RawConnection::narrow(&app.address(), 2048).await.unwrap();
    let ask = "GET /notes?limite=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
    let begun = Instant::now();
    reader.send(&ask).await.unwrap();
    for _ in 0..20 {
        let answer = reader.answer().await.unwrap();
        let rows = serde_json::from_str::<Vec<Value>>(&answer.body).unwrap();
        assert_eq!((answer.status, rows.len()), (200, 1000));
        // each 64 KiB comes far within its time, and all of them together take longer
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_is_whole_however_its_connection_ends() {
    let app = TestApp::start().await;
    many_notes(&app).await;
    let list = app.api.get("/notes?limite=1000").await.expect(200).text().to_owned();
    // longer than every buffer on its way, and of a length that is handed past the framework
    assert!((1 << 16..1 << 18).contains(&list.len()), "{}", list.len());
    for (version, close, finishes) in [
        ("1.1", "", false),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", false),
    ] {
        let mut reader = RawConnection::narrow(&app.address(), 2048).await.unwrap();
        let ask =
            |method| format!("{method} /notes?limite=1000 HTTP/{version}\r\nHost: localhost\r\n{close}\r\n");
        reader.send(ask("GET")).await.unwrap();
        if finishes {
            reader.finish().await.unwrap();
        }
        let answer = reader.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{version} {close}");
        assert_eq!(answer.body, list, "{version} {close}");
        let ends = finishes || close.ends_with("close\r\n") || (version == "1.0" && close.is_empty());
        if ends {
            assert_eq!(reader.rest().await.unwrap(), b"", "{version} {close}");
        } else {
            reader.send(ask("HEAD")).await.unwrap();
            reader.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            let rest = String::from_utf8(reader.rest().await.unwrap()).unwrap();
            let (head, next) = rest.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", list.len())), "{head}");
            assert!(next.starts_with("HTTP/1.1 200"), "a HEAD has no body: {next}");
        }
    }
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_their_order() {
    let app = TestApp::filled().await;
    let mut asked = String::new();
    for n in 0..500 {
        let body = format!(r#"{{"name":"n{n}","weight":{n}}}"#);
        asked +=
            &format!("{}{body}GET /notes/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", head(body.len()), n + 3);
    }
    let mut writer = app.connect().await;
    // in pieces that end anywhere
    for piece in asked.as_bytes().chunks(777) {
        writer.send(piece).await.unwrap();
    }
    for n in 0..500 {
        assert_eq!(writer.answer().await.unwrap().status, 201);
        let note: Value = serde_json::from_str(&writer.answer().await.unwrap().body).unwrap();
        assert_eq!(note, json!({"id": n + 3, "name": format!("n{n}"), "weight": n}));
    }
    // and those that come byte by byte
    let mut connection = app.connect().await;
    for byte in b"GET /notes/1 HTTP/1.1\r\nHost: localhost\r\n\r\n" {
        connection.send([*byte]).await.unwrap();
    }
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_at_work_leave_places_for_probes() {
    let app = TestApp::with(&["--max-connections=8"]);
    let mut working = Vec::new();
    for _ in 0..6 {
        let mut connection = app.connect().await;
        connection.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        working.push(connection);
        let come = working.len() as u64;
        eventually(PATIENCE, async || (WAITING.load(Ordering::Relaxed) == come).then_some(())).await;
    }
    let refused = eventually(PATIENCE, async || {
        let answer = app.connect().await.get("/notes").await.ok()?;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.closes(), refused.header("retry-after")), (503, true, "1"));
    assert!(refused.body.contains("demasiadas-conexiones"), "{refused:?}");
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = app.connect().await.get(path).await.unwrap();
        assert_eq!((answer.status, answer.closes()), (200, true), "{path}");
    }
    // clients that hold the places of probes and say nothing
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(app.connect().await);
    }
    eventually(PATIENCE, async || {
        app.connect().await.get("/livez").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    drop(silent);
    GO.notify_waiters();
    for mut connection in working {
        assert_eq!(connection.answer().await.unwrap().status, 204, "they were not disturbed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_slow_clients_give_way() {
    let app = TestApp::with(&["--max-connections=8"]);
    let mut held = Vec::new();
    for n in 0..40 {
        let mut connection = app.connect().await;
        match n % 3 {
            0 => {}
            1 => connection.send(head(50)).await.unwrap(),
            _ => connection.send("GET /notes HTTP/1.1\r\n").await.unwrap(),
        }
        held.push(connection);
    }
    eventually(PATIENCE, async || {
        app.connect().await.get("/notes").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn bad_fields_are_named_twenty_at_most_and_counted() {
    let app = TestApp::start().await;
    let many: Vec<_> = (0..300).map(|n| format!("field{n}=1")).collect();
    let answer = app.api.get(&format!("/notes?{}", many.join("&"))).header("Accept-Language", "en").await;
    let document = answer.assert_problem(422, "datos-invalidos");
    assert_eq!(document["errores"].as_array().unwrap().len(), 20);
    assert_eq!(document["detail"], "300 fields to correct; see \"errores\".");
    let long = format!("/notes?{}=1", "%01".repeat(4000));
    let answer = app.api.get(&long).await;
    answer.assert_problem(422, "datos-invalidos");
    assert!(answer.body.len() < 2000, "{}", answer.body.len());
}

#[tokio::test]
async fn an_error_repeats_the_first_100_characters_of_a_path_and_of_a_method() {
    let app = TestApp::start().await;
    let long = |c: &str| c.repeat(15_000);
    for (method, path, status) in [
        ("GET", format!("/{}", long("\\")), 404),
        ("GET", format!("/{}", long("\"")), 404),
        (&long("A"), "/notes".to_owned(), 405),
    ] {
        let mut connection = app.connect().await;
        let ask = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send(ask).await.unwrap();
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.body.len() < 1000 && answer.body.contains('…'), "{}", answer.body);
    }
}
