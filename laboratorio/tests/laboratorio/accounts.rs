//! A market of somebody's, where people log in: the laboratory comes with an API key, and leaves no account behind.

use crate::api_server::{ApiServer, NAMESPACE};
use crate::helpers::{Classroom, LABORATORIO, services, turn, wait_for, words};
use laboratorio::experiment::opening;
use laboratorio::local::{Local, Programs, Setup};
use laboratorio::plan::Service;
use laboratorio::wire;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The password of an account that the office opens.
const PASSWORD: &str = "cometa-de-papel";

struct Market {
    local: Arc<Local>,
    client: reqwest::Client,
}

impl Market {
    async fn start(dir: &Path) -> Self {
        opening::seed(dir, &opening::wanted(1.0, 1)).unwrap();
        let setup = Setup {
            programs: Programs::Market(Path::new(LABORATORIO).parent().unwrap().to_owned()),
            dir: dir.to_owned(),
            store: None,
            replicas: BTreeMap::from(
                [Service::Usuarios, Service::Tokens, Service::Transacciones].map(|s| (s, 1)),
            ),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            extra: None,
            clocks: None,
            recorder: None,
            accounts: true,
        };
        Self { local: Local::start(setup).await.unwrap(), client: wire::client(true).unwrap() }
    }

    async fn post(&self, path: &str, session: Option<&str>, body: Value) -> Value {
        let mut request = self.client.post(format!("{}{path}", self.local.gateway.url())).json(&body);
        if let Some(token) = session {
            request = request.bearer_auth(token);
        }
        let answer = wire::whole(request, Duration::from_secs(20)).await;
        assert_eq!(answer.status, Some(201), "{path}: {}", answer.body);
        answer.body
    }

    async fn log_in(&self, nombre: &str, contrasena: &str) -> String {
        let session = self.post("/sesiones", None, json!({"nombre": nombre, "contrasena": contrasena})).await;
        session["token"].as_str().unwrap().to_owned()
    }

    async fn api_key(&self, session: &str) -> String {
        let made = self.post("/cuenta/claves-api", Some(session), json!({"nombre": "prueba"})).await;
        made["claveApi"].as_str().unwrap().to_owned()
    }

    /// The laboratory, with this API key.
    fn run(&self, dir: &Path, key: &str, args: &[&str]) -> Output {
        let mut command = Command::new(LABORATORIO);
        command.args(args).args(["--idioma", "en", "--url", &self.local.gateway.url()]).env("CLAVE_API", key);
        command.arg("--dir").arg(dir.join("run")).arg("--informe").arg(dir.join("informe.html"));
        command.output().unwrap()
    }

    async fn list(&self, session: &str, path: &str) -> Vec<Value> {
        let request = self.client.get(format!("{}/{path}?limite=1000", self.local.gateway.url()));
        let answer = wire::whole(request.bearer_auth(session), Duration::from_secs(20)).await;
        serde_json::from_value(answer.body).unwrap()
    }

    async fn purchases(&self, session: &str) -> usize {
        self.list(session, "transacciones").await.len()
    }

    /// The accounts that may still log in.
    async fn accounts(&self, session: &str) -> Vec<String> {
        let all = self.list(session, "cuentas").await.into_iter().filter(|a| a["revocada"] != true);
        all.map(|a| a["nombre"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn an_api_key_is_enough_and_no_account_is_left_behind() {
    let _turn = turn();
    services();
    let (place, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let market = runtime.block_on(Market::start(place.path()));
    let office = runtime.block_on(market.log_in("oficina", market.local.office.as_ref().unwrap()));
    let key = runtime.block_on(market.api_key(&office));

    let args = ["escala", "--segundos", "2", "--compras", "20", "--lecturas", "20"];
    let output = market.run(dir.path(), &key, &args);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let report = std::fs::read(dir.path().join("informe.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert!(report["dinero"]["compras"].as_u64().unwrap() >= 5, "{report}");
    assert!(!report.to_string().contains(&key) && !words(&output).contains(&key), "the key is shown");
    assert_eq!(runtime.block_on(market.accounts(&office)), ["oficina"]);

    // an account that may buy, but not do what the office does
    let ana = json!({"nombre": "ana", "contrasena": PASSWORD, "usuarioId": 1});
    runtime.block_on(market.post("/cuentas", Some(&office), ana));
    let hers = runtime.block_on(async { market.api_key(&market.log_in("ana", PASSWORD).await).await });
    for (key, word) in [(hers.as_str(), "tesorero"), ("mk_no-such-key", "API key")] {
        let dir = TempDir::new().unwrap();
        let output = market.run(dir.path(), key, &args);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        assert!(words(&output).contains(word), "{}", words(&output));
    }
    assert_eq!(runtime.block_on(market.accounts(&office)), ["oficina", "ana"]);

    // a run that cannot be finished, since its directory has gone, leaves none either
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("run/historia.jsonl");
    let unfinished = std::thread::scope(|scope| {
        let run = scope.spawn(|| market.run(dir.path(), &key, &args));
        wait_for(|| std::fs::metadata(&file).is_ok_and(|m| m.len() > 0));
        std::fs::remove_dir_all(dir.path().join("run")).unwrap();
        std::fs::write(dir.path().join("run"), "").unwrap();
        run.join().unwrap()
    });
    assert_eq!(unfinished.status.code(), Some(2), "{}", words(&unfinished));
    assert_eq!(runtime.block_on(market.accounts(&office)), ["oficina", "ana"]);
    runtime.block_on(market.local.stop()).unwrap();
}

#[test]
fn a_class_in_a_cluster_takes_an_api_key() {
    let _turn = turn();
    services();
    let (place, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let market = runtime.block_on(Market::start(place.path()));
    let office = runtime.block_on(market.log_in("oficina", market.local.office.as_ref().unwrap()));
    let key = runtime.block_on(market.api_key(&office));
    let api = ApiServer::start(|_| {});
    let config = api.kubeconfig(dir.path());
    let args = ["--k8s", NAMESPACE, "--url", &market.local.gateway.url()];

    let bad = TempDir::new().unwrap();
    let mut aula = Command::new(LABORATORIO);
    aula.args(["aula", "--sin-navegador", "--port", "9"])
        .args(args)
        .arg("--dir")
        .arg(bad.path().join("class"));
    let output = aula.env("KUBECONFIG", &config).env("CLAVE_API", "mk_no-such-key").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));

    let class = Classroom::start(&dir.path().join("class"), |command| {
        command.args(args).env("KUBECONFIG", config).env("CLAVE_API", &key);
    });
    let order = |order| assert_eq!(class.order(&order), (204, String::new()));
    order(json!({"orden": "carga", "lecturas": 20.0, "compras": 20.0}));
    assert!(runtime.block_on(market.accounts(&office)).len() > 1, "customers have accounts");
    wait_for(|| runtime.block_on(market.purchases(&office)) >= 5);
    order(json!({"orden": "informe"}));
    assert_eq!(class.state()["informes"][0]["correcto"], true, "{}", class.state());
    let (code, rest) = class.end();
    assert_eq!(code, Some(0), "{rest:?}");
    assert_eq!(runtime.block_on(market.accounts(&office)), ["oficina"]);
    runtime.block_on(market.local.stop()).unwrap();
}
