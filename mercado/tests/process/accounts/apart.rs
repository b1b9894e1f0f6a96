//! Services apart: `tokens` verifies what `usuarios` has signed, also while `usuarios` is away.

use super::{as_demo, log_in, text};
use clap::Parser;
use http_kit::server::Leave;
use serde_json::json;
use std::net::SocketAddr;
use tempfile::TempDir;
use testkit::{Api, PATIENCE, eventually, free_port};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SECRET: &str = "0123456789abcdef";

/// A service in this process.
struct Service {
    public: SocketAddr,
    internal: SocketAddr,
    leave: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Service {
    fn run(serving: market::host::Serving) -> Self {
        let (public, internal) = (serving.public(), serving.internal().unwrap());
        let (leave, left) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let ended = serving.run(async {
                let _ = left.await;
                Leave::Now
            });
            ended.await.unwrap();
        });
        Self { public, internal, leave, running }
    }

    async fn stop(self) {
        self.leave.send(()).unwrap();
        self.running.await.unwrap();
    }
}

fn arguments(dir: &TempDir, name: &str, internal_port: u16) -> Vec<String> {
    let store = format!("json:{}", dir.path().join(name).display());
    [
        name,
        "--host=127.0.0.1",
        "--port=0",
        "--workers=1",
        "--cuentas=si",
        "--internal-token",
        SECRET,
        "--store",
        &store,
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([format!("--internal-port={internal_port}")])
    .collect()
}

async fn usuarios(dir: &TempDir, internal_port: u16) -> Service {
    let seed = dir.path().join("seed");
    std::fs::create_dir_all(&seed).unwrap();
    std::fs::write(seed.join("usuarios.json"), include_str!("../../../../usuarios/usuarios.json")).unwrap();
    let mut arguments = arguments(dir, "usuarios", internal_port);
    arguments.extend(["--seed-dir".to_owned(), seed.display().to_string()]);
    let config = usuarios::config::Config::parse_from(arguments);
    // a child that another test has just started may hold its port for a moment
    let service = eventually(PATIENCE, async || match usuarios::app::build(&config) {
        Err(e) if e.exit_code == 69 => None,
        built => Some(Service::run(built.unwrap())),
    })
    .await;
    // its accounts are being made
    let api = Api::new(service.public);
    eventually(PATIENCE, async || (api.get("/readyz").await.status == 200).then_some(())).await;
    service
}

fn tokens(dir: &TempDir, usuarios: SocketAddr) -> Service {
    let mut arguments = arguments(dir, "tokens", 0);
    arguments.extend(["--usuarios-url".to_owned(), format!("http://{usuarios}")]);
    Service::run(tokens::app::build(&tokens::config::Config::parse_from(arguments)).unwrap())
}

fn publish(api: &Api) -> testkit::Call {
    api.post("/tokens").json(json!({"nombre": "Roca", "precio": 1}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_verified_while_the_service_that_signs_them_is_away() {
    let dir = TempDir::new().unwrap();
    // it comes back on this one
    let people = usuarios(&dir, free_port()).await;
    let (login, internal) = (Api::new(people.public), people.internal);
    let session = log_in(&login, "publicador", "demo-publicador").await.expect(201).json();
    let token = text(&session["token"]).to_owned();
    people.stop().await;

    // it starts while nobody can say what a valid token is: what everybody may see is there
    let catalogue = tokens(&dir, internal);
    let visitor = Api::new(catalogue.public);
    let publisher = visitor.clone().with_token(&token);
    visitor.get("/tokens").await.expect(200);
    publisher.get("/tokens").await.expect(200);
    publish(&visitor).await.assert_problem(401, "no-autenticado");
    publish(&publisher).await.assert_problem(503, "servicio-no-disponible");
    publisher.get("/readyz").await.expect(200);

    let people = usuarios(&dir, internal.port()).await;
    eventually(PATIENCE, async || (publish(&publisher).await.status == 201).then_some(())).await;
    let ana = as_demo(&Api::new(people.public), "ana").await;
    publish(&ana.at(&visitor)).await.assert_problem(403, "prohibido");
    people.stop().await;
    // the last known keys count
    publish(&publisher).await.expect(201);
    publish(&publisher.clone().with_token(&format!("{token}x"))).await.assert_problem(401, "no-autenticado");
    catalogue.stop().await;
}

/// A process that believes that nobody logs in cannot spend for one where people do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_without_a_session_is_refused_where_people_log_in() {
    let dir = TempDir::new().unwrap();
    let people = usuarios(&dir, 0).await;
    let internal = Api::new(people.internal).with_token(SECRET);
    let charge = |body: serde_json::Value| internal.put("/interno/cargos/k%231").json(body);
    charge(json!({"usuarioId": 1, "monto": 1})).await.assert_problem(403, "sesion-terminada");
    let session = json!({"cuenta": 1, "version": 1, "sid": "00000000000000000000000000000001"});
    as_demo(&Api::new(people.public), "ana").await;
    charge(json!({"usuarioId": 2, "monto": 1, "sesion": session}))
        .await
        .assert_problem(403, "sesion-terminada");
    let other = json!({"cuenta": 1, "version": 2, "sid": "00000000000000000000000000000001"});
    charge(json!({"usuarioId": 1, "monto": 1, "sesion": other}))
        .await
        .assert_problem(403, "sesion-terminada");
    charge(json!({"usuarioId": 1, "monto": 1, "sesion": "1"})).await.assert_problem(422, "datos-invalidos");
    charge(json!({"usuarioId": 1, "monto": 1, "sesion": session})).await.expect(201);
    people.stop().await;
}
