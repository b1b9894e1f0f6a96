//! A whole market for one test.

use clap::Parser;
use http_kit::exit::StartError;
use http_kit::server::Leave;
use market::host::Serving;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::data::STORE_PATIENCE;
use testkit::postgres::store_option;
use testkit::{Api, Call, HttpAnswer, PATIENCE, eventually};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const TOKEN: &str = "0123456789abcdef";

/// A running service.
pub struct Service {
    pub api: Api,
    /// The internal port, with the token.
    pub internal_api: Api,
    pub internal: SocketAddr,
    leave: oneshot::Sender<()>,
    running: JoinHandle<Result<(), StartError>>,
}

fn run(app: Result<Serving, StartError>) -> Service {
    let app = app.unwrap();
    let (public, internal) = (app.public(), app.internal().unwrap());
    let (leave, left) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run(async {
        // a test that ends without stop() drops the sender: leave then, too
        let _ = left.await;
        Leave::Now
    }));
    let internal_api = Api::new(internal).with_token(TOKEN);
    Service { api: Api::new(public), internal_api, internal, leave, running }
}

fn arguments(service: &str, dir: &Path) -> Vec<String> {
    let fixed = ["--host=127.0.0.1", "--port=0", "--internal-port=0", "--workers=1", "--hostname=prueba"];
    let own = [format!("--internal-token={TOKEN}")].into_iter().chain(store_option(dir));
    [service.to_owned()].into_iter().chain(fixed.map(str::to_owned)).chain(own).collect()
}

pub fn usuarios(dir: &Path) -> Service {
    let mut config = usuarios::config::Config::parse_from(arguments("usuarios", dir));
    config.host.store.patience = STORE_PATIENCE;
    run(usuarios::app::build(&config))
}

pub fn tokens(dir: &Path) -> Service {
    let mut config = tokens::config::Config::parse_from(arguments("tokens", dir));
    config.host.store.patience = STORE_PATIENCE;
    run(tokens::app::build(&config))
}

pub fn transacciones(dir: &Path, usuarios: SocketAddr, tokens: SocketAddr, more: &[&str]) -> Service {
    let urls = [format!("--usuarios-url=http://{usuarios}"), format!("--tokens-url=http://{tokens}")];
    let arguments = arguments("transacciones", dir).into_iter().chain(urls);
    let arguments = arguments.chain(more.iter().map(|&s| s.to_owned()));
    // tests ask for many audits one after another, and a busy machine needs time for a purchase
    let usual =
        [("--audit-pause-ms", "0"), ("--purchase-deadline-ms", "12000"), ("--orphan-age-ms", "12001")];
    let unsaid = usual.iter().filter(|(flag, _)| !more.iter().any(|s| s.starts_with(flag)));
    let arguments = arguments.chain(unsaid.map(|(flag, value)| format!("{flag}={value}")));
    let mut config = transacciones::config::Config::parse_from(arguments);
    config.host.store.patience = STORE_PATIENCE;
    run(transacciones::app::build(&config))
}

impl Service {
    /// Leaves as on Ctrl-C.
    pub async fn stop(self) {
        self.leave.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

/// Ana with 100 credits, Luis with 150.
pub fn people() -> Value {
    json!([{"id": 1, "nombre": "Ana", "saldo": 100}, {"id": 2, "nombre": "Luis", "saldo": 150}])
}

/// A token.
pub fn token(id: u64, precio: u64) -> Value {
    json!({"id": id, "nombre": format!("Token {id}"), "imagen": "a.png", "precio": precio, "vendido": false})
}

/// A user.
pub fn person(id: u64, saldo: u64) -> Value {
    json!({"id": id, "nombre": format!("Persona {id}"), "saldo": saldo})
}

/// What a new directory holds: its arrays, one record a line.
pub fn fill(dir: &Path, arrays: &[(&str, &Value)]) {
    for (name, array) in arrays {
        let lines: Vec<_> = array.as_array().unwrap().iter().map(Value::to_string).collect();
        std::fs::write(dir.join(format!("{name}.json")), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
}

/// The three services.
pub struct Market {
    pub usuarios: Service,
    pub tokens: Service,
    pub transacciones: Service,
    pub dir: Arc<TempDir>,
    pub looker: Looker,
}

/// Looks at a market from outside.
#[derive(Clone)]
pub struct Looker {
    pub usuarios: Api,
    pub tokens: Api,
    pub transacciones: Api,
    /// What each had at the start.
    saldos: BTreeMap<u64, u64>,
}

impl Market {
    /// The sample data: Ana, Luis, token 101 for 50 and 102 for 70.
    pub fn start() -> Self {
        Self::with(&people(), &json!([token(101, 50), token(102, 70)]))
    }

    pub fn with(users: &Value, catalogue: &Value) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        fill(dir.path(), &[("usuarios", users), ("tokens", catalogue)]);
        let (usuarios, tokens) = (usuarios(dir.path()), tokens(dir.path()));
        let transacciones = transacciones(dir.path(), usuarios.internal, tokens.internal, &[]);
        let looker = Looker::new(&usuarios.api, &tokens.api, &transacciones.api, users);
        Self { usuarios, tokens, transacciones, dir, looker }
    }

    /// One more coordinator over the same files.
    pub fn replica(&self) -> Service {
        transacciones(self.dir.path(), self.usuarios.internal, self.tokens.internal, &[])
    }

    /// `POST /transacciones`.
    pub fn compra(&self, usuario: u64, token: u64) -> Call {
        compra(&self.transacciones.api, usuario, token)
    }
}

/// `POST /transacciones`.
pub fn compra(api: &Api, usuario: u64, token: u64) -> Call {
    api.post("/transacciones").json(json!({"usuarioId": usuario, "tokenId": token}))
}

/// The same with a key, sent again after each 503 as a client should.
pub async fn insist(api: &Api, clave: &str, usuario: u64, token: u64) -> HttpAnswer {
    eventually(PATIENCE, async || {
        let answer = compra(api, usuario, token).header("Idempotency-Key", clave).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

/// Every page of a list.
pub async fn all(api: &Api, first: &str) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let page = api.get(&path).await.expect(200);
        rows.extend(page.read::<Vec<Value>>());
        next = page.next();
    }
    rows
}

impl Looker {
    pub fn new(usuarios: &Api, tokens: &Api, transacciones: &Api, users: &Value) -> Self {
        let users = users.as_array().unwrap();
        let saldos = users.iter().map(|p| (number(&p["id"]), number(&p["saldo"]))).collect();
        Self {
            usuarios: usuarios.clone(),
            tokens: tokens.clone(),
            transacciones: transacciones.clone(),
            saldos,
        }
    }

    pub async fn saldo(&self, id: u64) -> u64 {
        number(&self.usuarios.get(&format!("/usuarios/{id}")).await.expect(200).json()["saldo"])
    }

    pub async fn is_sold(&self, id: u64) -> bool {
        let token = self.tokens.get(&format!("/tokens/{id}")).await.expect(200).json();
        token["vendido"].as_bool().unwrap()
    }

    pub async fn transacciones(&self) -> Vec<Value> {
        all(&self.transacciones, "/transacciones?limite=1000").await
    }

    /// An audit that must find nothing wrong.
    pub async fn audit(&self) -> Value {
        let verdict = audit(&self.transacciones).await;
        assert_eq!((&verdict["correcto"], &verdict["diferencias"]), (&json!(true), &json!([])), "{verdict}");
        verdict
    }

    /// Waits until nothing is pending any more.
    pub async fn calm(&self) -> Value {
        eventually(PATIENCE, async || {
            let verdict = self.audit().await;
            (verdict["pendientes"] == 0).then_some(verdict)
        })
        .await
    }

    /// Holds the three services against each other by hand, and the audit against that; gives the purchases.
    /// `abonado` is what each user was given since the start.
    pub async fn check_with(&self, abonado: &BTreeMap<u64, u64>) -> Vec<Value> {
        let verdict = self.calm().await;
        let bought = self.transacciones().await;
        assert_eq!(verdict["transacciones"], bought.len());
        for (id, initial) in &self.saldos {
            let of = bought.iter().filter(|t| t["usuarioId"] == *id);
            let paid: u64 = of.map(|t| number(&t["precio"])).sum();
            let given = abonado.get(id).copied().unwrap_or_default();
            assert_eq!(self.saldo(*id).await + paid, initial + given, "the money of {id}: {bought:?}");
        }
        for token in all(&self.tokens, "/tokens?limite=1000").await {
            let sales = bought.iter().filter(|t| t["tokenId"] == token["id"]).count();
            assert_eq!(usize::from(token["vendido"] == true), sales, "{token}: {bought:?}");
        }
        bought
    }

    /// The same where nobody was given anything.
    pub async fn check(&self) -> Vec<Value> {
        self.check_with(&BTreeMap::new()).await
    }
}

/// What the audit says. A busy machine may be late for the deadlines of tests: then it is asked again, as a client should.
pub async fn audit(api: &Api) -> Value {
    let answer = eventually(PATIENCE, async || {
        let answer = api.get("/transacciones/auditoria").await;
        (answer.status != 503).then_some(answer)
    });
    answer.await.expect(200).json()
}

#[track_caller]
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// How many answers have which status.
pub fn statuses(answers: &[HttpAnswer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

/// A sample of `/metrics`.
pub async fn metric(api: &Api, name: &str) -> u64 {
    let page = api.get("/metrics").await.expect(200);
    let found = page.text().lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {}", page.text()))
}
