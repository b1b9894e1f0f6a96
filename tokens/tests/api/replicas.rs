//! Several services on one directory: each reads at once what another acknowledged.

use crate::helpers::{Mercado, TOKEN, config, try_path};
use futures_util::future::join_all;
use http_kit::server::Leave;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokens::app;

/// One more service over a market's files; it leaves with the test's runtime.
struct Replica {
    client: Client,
    public: String,
    internal: String,
}

impl Replica {
    fn of(m: &Mercado) -> Self {
        let app = app::build(&config(m.path())).unwrap();
        let (public, internal) = (format!("http://{}", app.public()), format!("http://{}", app.internal()));
        tokio::spawn(app.run(std::future::pending::<Leave>()));
        Self { client: Client::new(), public, internal }
    }

    async fn token(&self, id: u64) -> Value {
        let response = self.client.get(format!("{}/tokens/{id}", self.public)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn list(&self, query: &str) -> Vec<Value> {
        let response = self.client.get(format!("{}/tokens?{query}", self.public)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn patch(&self, id: u64, body: &Value) -> Response {
        self.client.patch(format!("{}/tokens/{id}", self.public)).json(body).send().await.unwrap()
    }

    async fn inner(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.internal)).bearer_auth(TOKEN);
        body.iter().fold(request, |r, body| r.json(body)).send().await.unwrap()
    }

    async fn reserve(&self, intento: &str, token: u64, usuario: u64) -> Response {
        let body = json!({"tokenId": token, "usuarioId": usuario});
        self.inner(Method::PUT, &try_path(intento), Some(body)).await
    }
}

fn catalogue(count: u64) -> Vec<Value> {
    (1..=count)
        .map(|id| json!({"id": id, "nombre": "a", "imagen": "a", "precio": 0, "vendido": false}))
        .collect()
}

#[tokio::test]
async fn thousands_of_reads_follow_the_writes_of_the_other_replica() {
    const ROUNDS: u64 = 150;
    let m = Mercado::with(&catalogue(10)).await;
    let replicas = [Replica::of(&m), Replica::of(&m)];
    let reads = AtomicU64::new(0);
    // each task has a token of its own, writes it through one replica and reads it through the other
    join_all((1..=10_u64).map(|id| {
        let (replicas, reads) = (&replicas, &reads);
        async move {
            for precio in 1..=ROUNDS {
                let writer = usize::from((id + precio) % 2 == 0);
                let reader = &replicas[1 - writer];
                assert_eq!(replicas[writer].patch(id, &json!({"precio": precio})).await.status(), 200);
                assert_eq!(reader.token(id).await["precio"], precio);
                let page = reader.list("orden=-id").await;
                let found = page.iter().find(|t| t["id"] == id).unwrap();
                assert_eq!(found["precio"], precio, "the page is as fresh as the token");
                reads.fetch_add(2, Ordering::Relaxed);
            }
        }
    }))
    .await;
    assert_eq!(reads.into_inner(), 2 * 10 * ROUNDS);
}

#[tokio::test]
async fn a_reader_never_goes_back_in_time() {
    let m = Mercado::with(&catalogue(1)).await;
    let (writer, reader) = (Replica::of(&m), Replica::of(&m));
    let done = AtomicBool::new(false);
    let write = async {
        for precio in 1..=300 {
            assert_eq!(writer.patch(1, &json!({"precio": precio})).await.status(), 200);
        }
        done.store(true, Ordering::Release);
    };
    let read = async {
        let (mut last, mut seen) = (0, 0);
        while !done.load(Ordering::Acquire) {
            let precio = reader.token(1).await["precio"].as_u64().unwrap();
            assert!(precio >= last, "{precio} after {last}");
            (last, seen) = (precio, seen + 1);
        }
        seen
    };
    let ((), seen) = tokio::join!(write, read);
    assert!(seen > 10, "{seen} reads beside the writes");
}

#[tokio::test]
async fn replicas_give_each_token_to_one_attempt() {
    let m = Mercado::with(&catalogue(25)).await;
    let replicas = [Replica::of(&m), Replica::of(&m)];
    for id in 1..=25 {
        let answers = join_all((0..8).map(|n| {
            let replica = &replicas[n % 2];
            async move { replica.reserve(&format!("k{id}-{n}#1"), id, 7).await.status() }
        }))
        .await;
        let winners: Vec<_> = (0..8).filter(|n| answers[*n] == 201).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|s| *s == 201 || *s == 409), "{answers:?}");
        // settled through the other one, and seen at once in both
        let path = try_path(&format!("k{id}-{}#1", winners[0]));
        let other = &replicas[(winners[0] + 1) % 2];
        if id % 2 == 0 {
            assert_eq!(other.inner(Method::PUT, &format!("{path}/venta"), None).await.status(), 204);
        } else {
            assert_eq!(other.inner(Method::DELETE, &path, None).await.status(), 204);
        }
        for replica in &replicas {
            assert_eq!(replica.token(id).await["vendido"], id % 2 == 0);
        }
    }
    for replica in &replicas {
        assert_eq!(replica.list("vendido=true").await.len(), 12);
    }
}
