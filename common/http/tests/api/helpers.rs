//! Starts the service in this process.

use crate::service::{Config, build};
use clap::Parser;
use http_kit::exit::StartError;
use http_kit::server::Leave;
use serde_json::json;
use testkit::Api;
use testkit::raw::RawConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running service.
pub struct TestApp {
    pub api: Api,
    /// Dropped with the test: the service leaves then.
    _leave: oneshot::Sender<()>,
    _running: JoinHandle<Result<Leave, StartError>>,
}

impl TestApp {
    /// With no notes.
    pub async fn start() -> Self {
        Self::with(&[])
    }

    /// With no notes, and more options.
    pub fn with(more: &[&str]) -> Self {
        let fixed = ["notes", "--workers=2", "--hostname=test"];
        let config = Config::parse_from(fixed.iter().chain(more));
        let (server, address) = build(&config).unwrap();
        let (leave, left) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = left.await;
            Leave::Now
        }));
        Self { api: Api::new(address), _leave: leave, _running: running }
    }

    /// A connection of its own.
    pub async fn connect(&self) -> RawConnection {
        RawConnection::open(&self.address()).await.unwrap()
    }

    pub fn address(&self) -> String {
        self.api.base.trim_start_matches("http://").to_owned()
    }

    /// The value of one metric without labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.api.get("/metrics").await.expect(200);
        let line = page.text().lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')).expect(name);
        line.parse().unwrap()
    }

    /// With two notes.
    pub async fn filled() -> Self {
        let app = Self::start().await;
        for (name, weight) in [("bread", 100), ("salt", 150)] {
            app.create(name, weight).await;
        }
        app
    }

    pub async fn create(&self, name: &str, weight: u64) {
        self.api.post("/notes").json(json!({"name": name, "weight": weight})).await.expect(201);
    }
}
