//! `/transacciones/eventos`: each purchase once and in order, wherever it was made.

use crate::helpers::{Mercado, compra, fill, number, persona, token, tokens, transacciones, usuarios};
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Api;
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
        let request = api.client.get(format!("{}/transacciones/eventos", api.base));
        let request = last.iter().fold(request, |r, last| r.header("Last-Event-ID", *last));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut follower = Self { response, buffer: String::new() };
        assert_eq!(follower.block().await.unwrap(), "retry: 1000");
        follower
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
            assert_eq!(id, format!("id: {}", event["id"]));
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

#[tokio::test]
async fn each_purchase_comes_once_and_in_order() {
    let catalogo: Vec<_> = (1..=60).map(|id| token(id, 1)).collect();
    let m = Mercado::with(&json!([persona(1, 100)]), &json!(catalogo));
    let other = m.replica();
    m.compra(1, 60).await.expect(201);
    let mut here = Follower::new(&m.transacciones.api, None).await;
    let mut there = Follower::new(&other.api, None).await;
    join_all((1..=59).map(|id| {
        let api = if id % 2 == 0 { &m.transacciones.api } else { &other.api };
        compra(api, 1, id).into_future()
    }))
    .await;
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
            ("usuarios", &json!([persona(1, 100)])),
            ("tokens", &json!([token(2_000, 1)])),
        ],
    );
    let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
    let mine = transacciones(dir.path(), people.internal, goods.internal, &[]);
    for (last, from) in [("1", 1), ("700", 700), ("1299", 1299)] {
        let mut follower = Follower::new(&mine.api, Some(last)).await;
        assert_eq!(follower.take(1_300 - from).await, old[from..]);
    }
    let mut at_the_end = Follower::new(&mine.api, Some("1300")).await;
    let bought = compra(&mine.api, 1, 2_000).await.expect(201).json();
    assert_eq!(at_the_end.next().await.unwrap(), bought);
}

#[tokio::test]
async fn the_stream_ends_cleanly_when_the_process_leaves() {
    let m = Mercado::start();
    let mut followers =
        [Follower::new(&m.transacciones.api, None).await, Follower::new(&m.transacciones.api, None).await];
    let bought = m.compra(1, 101).await.expect(201).json();
    m.transacciones.stop().await;
    for follower in &mut followers {
        assert_eq!(follower.next().await.unwrap(), bought);
        assert_eq!(follower.next().await, None);
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_refused() {
    let m = Mercado::start();
    let api = &m.transacciones.api;
    for last in ["x", "0", "-1", "1.5", "", "9007199254740992", "1 2"] {
        let answer = api.get("/transacciones/eventos").header("Last-Event-ID", last).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.campos(), ["Last-Event-ID"]);
    }
    let answer = api.get("/transacciones/eventos?desde=1").header("Last-Event-ID", "x").await;
    assert_eq!(answer.campos(), ["Last-Event-ID", "desde"]);
}

#[tokio::test]
async fn head_asks_for_no_events() {
    let m = Mercado::start();
    let address = m.transacciones.api.base.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = "HEAD /transacciones/eventos HTTP/1.1\r\nHost: x\r\n\r\n";
    let get = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(format!("{head}{get}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = client.read_to_string(&mut answers);
    tokio::time::timeout(testkit::PATIENCE, read).await.expect("the next answer on the connection").unwrap();
    assert!(answers.contains("text/event-stream") && answers.ends_with("{\"estado\":\"ok\"}"), "{answers}");
}
