//! Starts the service in this process.

use clap::Parser;
use http_kit::server::Leave;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::Api;
use testkit::data::STORE_PATIENCE;
use testkit::postgres::store_option;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use usuarios::app;
use usuarios::config::Config;

pub const TOKEN: &str = "0123456789abcdef";
/// The first two of the sample data, in its form.
const SEED: &str =
    "[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":100},\n{\"id\":2,\"nombre\":\"Luis\",\"saldo\":150}\n]\n";
pub const MAX: u64 = 9_007_199_254_740_991;

/// A running service on ports and a directory of its own.
pub struct TestApp {
    pub api: Api,
    /// The internal port, with the token.
    pub internal: Api,
    pub dir: Arc<TempDir>,
    leave: oneshot::Sender<()>,
    running: JoinHandle<Result<(), http_kit::exit::StartError>>,
}

/// The configuration of a test, as a command line.
pub fn config(dir: &Path, more: &[&str]) -> Config {
    // where the test names a seed, that is the one
    let mut store = store_option(dir);
    store.truncate(if more.contains(&"--seed-dir") { 1 } else { 2 });
    let fixed =
        ["usuarios", "--host=127.0.0.1", "--port=0", "--internal-port=0", "--workers=2", "--hostname=prueba"];
    let own = store.iter().map(String::as_str).chain(["--internal-token", TOKEN]);
    let mut config = Config::parse_from(fixed.into_iter().chain(own).chain(more.iter().copied()));
    config.host.store.patience = STORE_PATIENCE;
    config
}

impl TestApp {
    /// Empty.
    pub async fn start() -> Self {
        Self::on(Arc::new(TempDir::new().unwrap()), &[]).await
    }

    /// With Ana (100 credits) and Luis (150).
    pub async fn seeded() -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let seed = dir.path().join("seed");
        std::fs::create_dir(&seed).unwrap();
        std::fs::write(seed.join("usuarios.json"), SEED).unwrap();
        Self::on(Arc::clone(&dir), &["--seed-dir", seed.to_str().unwrap()]).await
    }

    /// On a directory that is there, with more options.
    pub async fn on(dir: Arc<TempDir>, more: &[&str]) -> Self {
        let app = app::build(&config(dir.path(), more)).unwrap();
        let (api, internal) = (Api::new(app.public()), Api::new(app.internal().unwrap()).with_token(TOKEN));
        let (leave, left) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            // a test that ends without stop() drops the sender: leave then, too
            let _ = left.await;
            Leave::Now
        }));
        Self { api, internal, dir, leave, running }
    }

    /// Leaves as on Ctrl-C; gives the directory back.
    pub async fn stop(self) -> Arc<TempDir> {
        self.leave.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        self.dir
    }

    pub async fn create(&self, nombre: &str, saldo: u64) -> u64 {
        let made =
            self.api.post("/usuarios").json(json!({"nombre": nombre, "saldo": saldo})).await.expect(201);
        made.json()["id"].as_u64().unwrap()
    }

    pub async fn saldo(&self, id: u64) -> u64 {
        self.api.get(&format!("/usuarios/{id}")).await.expect(200).json()["saldo"].as_u64().unwrap()
    }

    pub async fn movimientos(&self, id: u64) -> Vec<Value> {
        let answer = self.api.get(&format!("/usuarios/{id}/movimientos?limite=1000")).await.expect(200);
        answer.json().as_array().unwrap().clone()
    }

    /// The balance, after checking that the ledger sums to it.
    pub async fn balanced_saldo(&self, id: u64) -> u64 {
        let lines = self.movimientos(id).await;
        let suma: i64 = lines.iter().map(|m| m["monto"].as_i64().unwrap()).sum();
        let saldo = self.saldo(id).await;
        assert_eq!(suma, i64::try_from(saldo).unwrap(), "{lines:?}");
        saldo
    }

    /// `PUT /interno/cargos/{intento}`.
    pub async fn hold(&self, intento: &str, usuario: u64, monto: u64) -> testkit::HttpAnswer {
        self.internal.put(&cargo(intento)).json(json!({"usuarioId": usuario, "monto": monto})).await
    }

    pub async fn digest(&self) -> Value {
        let mut digest = self.internal.get("/interno/resumen").await.expect(200).json();
        // an age is another one each time
        digest.as_object_mut().map(|digest| digest.remove("masAntiguo"));
        digest
    }
}

/// The path of a cargo.
pub fn cargo(intento: &str) -> String {
    format!("/interno/cargos/{}", intento.replace('#', "%23"))
}
