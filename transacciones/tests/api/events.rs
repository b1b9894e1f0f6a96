//! `/transacciones/eventos`: each purchase once and in order, wherever it was made.

use crate::helpers::{Market, compra, fill, metric, number, person, token, tokens, transacciones, usuarios};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Api, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client of the stream.
struct Follower {
    response: Response,
    buffer: String,
}

impl Follower {
    /// Connected: it has the greeting.
    async fn new(api: &Api, last: Option<&str>) -> Self {
        let mut follower = Self::ask(api, last).await;
        assert_eq!(follower.block().await.unwrap(), "retry: 1000");
        follower
    }

    /// Connected, with an id of another store's: it begins anew, and is told so.
    async fn elsewhere(api: &Api, last: &str) -> Self {
        let mut follower = Self::ask(api, Some(last)).await;
        assert_eq!(follower.block().await.unwrap(), "retry: 1000\nevent: otro-almacen\ndata: {}");
        follower
    }

    async fn ask(api: &Api, last: Option<&str>) -> Self {
        let request = api.client.get(format!("{}/transacciones/eventos", api.base));
        let request = last.iter().fold(request, |r, last| r.header("Last-Event-ID", *last));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, buffer: String::new() }
    }

    /// What comes up to the next empty line; nothing at the end of the stream, which must be a clean one.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let block = block.to_owned();
                self.buffer = rest.to_owned();
                return Some(block);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next purchase.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let block = self.block().await?;
            if block == ":" {
                continue;
            }
            let lines: Vec<_> = block.lines().collect();
            let [id, "event: transaccion", data] = lines[..] else { panic!("{block}") };
            let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(id, format!("id: {}", id_of(&event)));
            return Some(event);
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.expect("an event"));
        }
        events
    }
}

/// A purchase's event id.
fn id_of(event: &Value) -> String {
    let fecha: DateTime<Utc> = event["fecha"].as_str().unwrap().parse().unwrap();
    format!("{}-{}", event["id"], fecha.timestamp_millis())
}

#[tokio::test]
async fn each_purchase_comes_once_and_in_order() {
    let catalogue: Vec<_> = (1..=60).map(|id| token(id, 1)).collect();
    let m = Market::with(&json!([person(1, 100)]), &json!(catalogue));
    let other = m.replica();
    m.compra(1, 60).await.expect(201);
    let mut here = Follower::new(&m.transacciones.api, None).await;
    let mut there = Follower::new(&other.api, None).await;
    let answers = join_all((1..=59).map(|id| {
        let api = if id % 2 == 0 { &m.transacciones.api } else { &other.api };
        compra(api, 1, id).into_future()
    }))
    .await;
    for answer in answers {
        answer.expect(201);
    }
    let bought = m.looker.transacciones().await;
    // from the next purchase on, those of the other process too
    assert_eq!(here.take(59).await, bought[1..]);
    assert_eq!(there.take(59).await, bought[1..]);
    // and nothing comes twice: the next one is the next
    m.usuarios.api.post("/usuarios/1/abonos").json(json!({"monto": 1})).await.expect(201);
    let made = m.tokens.api.post("/tokens").json(json!({"nombre": "x", "precio": 1})).await.expect(201);
    let last = m.compra(1, number(&made.json()["id"])).await.expect(201).json();
    assert_eq!([here.next().await, there.next().await], [Some(last.clone()), Some(last)]);
}

#[tokio::test]
async fn a_follower_resumes_behind_what_it_saw() {
    let dir = TempDir::new().unwrap();
    let old: Vec<_> = (1..=1_300)
        .map(|id| {
            let fecha = "2025-09-10T17:00:00Z";
            json!({"id": id, "usuarioId": 1, "tokenId": id, "fecha": fecha, "precio": 5})
        })
        .collect();
    fill(
        dir.path(),
        &[
            ("transacciones", &json!(old)),
            ("usuarios", &json!([person(1, 100)])),
            ("tokens", &json!([token(2_000, 1)])),
        ],
    );
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    let mine = transacciones(dir.path(), people.internal, goods.internal, &[]);
    for (last, from) in [("1", 1), ("700", 700), ("1299", 1299)] {
        for last in [last.to_owned(), id_of(&old[from - 1])] {
            let mut follower = Follower::new(&mine.api, Some(&last)).await;
            assert_eq!(follower.take(1_300 - from).await, old[from..]);
        }
    }
    let mut at_the_end = Follower::new(&mine.api, Some("1300")).await;
    let bought = compra(&mine.api, 1, 2_000).await.expect(201).json();
    assert_eq!(at_the_end.next().await.unwrap(), bought);
}

#[tokio::test]
async fn the_stream_ends_cleanly_when_the_process_leaves() {
    let m = Market::start();
    let mut followers =
        [Follower::new(&m.transacciones.api, None).await, Follower::new(&m.transacciones.api, None).await];
    let bought = m.compra(1, 101).await.expect(201).json();
    m.transacciones.stop().await;
    for follower in &mut followers {
        assert_eq!(follower.next().await.unwrap(), bought);
        assert_eq!(follower.next().await, None);
    }
}

/// A browser takes any other answer for the end of the stream, and does not come back.
#[tokio::test]
async fn an_id_of_no_known_form_begins_anew_and_says_so() {
    let m = Market::start();
    let api = &m.transacciones.api;
    let nines = "9".repeat(20);
    let mut followers = Vec::new();
    for last in [
        "x",
        "-1",
        "1.5",
        "9007199254740992",
        "1 2",
        "1-",
        "1-x",
        "0-1",
        "deadbeef-1",
        "a:1",
        "0:0",
        &nines,
        "\u{f1}",
    ] {
        followers.push(Follower::elsewhere(api, last).await);
    }
    let bought = m.compra(1, 101).await.expect(201).json();
    for mut follower in followers {
        assert_eq!(follower.next().await.unwrap(), bought);
    }
    let answer = api.get("/transacciones/eventos?desde=1").header("Last-Event-ID", "x").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["desde"]);
}

/// The data were removed, or a copy restored, and a page is still open.
#[tokio::test]
async fn an_id_of_another_store_begins_anew_and_says_so() {
    let m = Market::start();
    let api = &m.transacciones.api;
    let first = m.compra(1, 101).await.expect(201).json();
    let mut followers = Vec::new();
    // as many, at another time; and more than there are
    for last in ["1-1757523600000", "5-1757523600000", "5"] {
        followers.push(Follower::elsewhere(api, last).await);
    }
    for last in ["", "0"] {
        followers.push(Follower::new(api, Some(last)).await);
    }
    let second = m.compra(2, 102).await.expect(201).json();
    for follower in &mut followers {
        assert_eq!(follower.next().await.unwrap(), second);
    }
    let mut known = Follower::new(api, Some(&id_of(&first))).await;
    assert_eq!(known.next().await.unwrap(), second);
}

#[tokio::test]
async fn more_streams_than_there_may_be_are_turned_away_at_once() {
    let catalogue: Vec<_> = (1..=100).map(|id| token(id, 1)).collect();
    let m = Market::with(&json!([person(1, 100)]), &json!(catalogue));
    let (people, goods) = (m.usuarios.internal, m.tokens.internal);
    let mine = transacciones(m.dir.path(), people, goods, &["--event-streams=3"]);
    let mut followers = Vec::new();
    for _ in 0..3 {
        followers.push(Follower::new(&mine.api, None).await);
    }
    let answer = mine.api.get("/transacciones/eventos").await;
    answer.assert_problem(503, "demasiadas-operaciones");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(metric(&mine.api, "event_streams").await, 3);
    assert_eq!(metric(&mine.api, "event_streams_turned_away_total").await, 1);
    // a client that is gone shows when something is written to it
    followers.pop();
    let mut bought = Vec::new();
    while metric(&mine.api, "event_streams").await > 2 {
        let id = bought.len() as u64 + 1;
        bought.push(compra(&mine.api, 1, id).await.expect(201).json());
        // no faster than events are made
        for follower in &mut followers {
            assert_eq!(follower.next().await.as_ref(), bought.last());
        }
    }
    let mut late = Follower::new(&mine.api, None).await;
    let last = compra(&mine.api, 1, 100).await.expect(201).json();
    for follower in followers.iter_mut().chain([&mut late]) {
        assert_eq!(follower.next().await.as_ref(), Some(&last));
    }
}

#[tokio::test]
async fn head_asks_for_no_events() {
    let m = Market::start();
    let address = m.transacciones.api.base.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = "HEAD /transacciones/eventos HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(format!("{head}{get}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = client.read_to_string(&mut answers);
    tokio::time::timeout(PATIENCE, read).await.expect("the next answer on the connection").unwrap();
    assert!(answers.contains("text/event-stream") && answers.ends_with("{\"estado\":\"ok\"}"), "{answers}");
}
