//! Starts the binary and talks to it.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use testkit::{Api, Call, HttpAnswer, PATIENCE, eventually};

/// The binary in a directory, with no environment but `PATH`.
pub fn mercado(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mercado"));
    command.env_clear().current_dir(dir).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must come by itself: exit code, standard output, standard error.
#[track_caller]
pub fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = mercado(dir, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

/// A running market; killed where a test fails.
pub struct Process {
    child: Child,
    pub api: Api,
    pub address: SocketAddr,
    pub dir: Arc<TempDir>,
}

impl Process {
    /// With [`two_and_two`], in a fresh directory.
    pub async fn start() -> Self {
        Self::on(Arc::new(TempDir::new().unwrap()), &[]).await
    }

    /// With nothing but a free port, in a fresh directory: the sample market.
    pub async fn sample() -> Self {
        Self::sample_with(&[]).await
    }

    /// The same with more options.
    pub async fn sample_with(more: &[&str]) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let mut command = mercado(dir.path(), &["--port=0"]);
        command.args(more);
        Self::run(dir, command).await
    }

    /// In a directory that is there.
    pub async fn on(dir: Arc<TempDir>, more: &[&str]) -> Self {
        let mut command = mercado(dir.path(), &["--port=0"]);
        command.env("SEED_DIR", two_and_two()).args(more);
        Self::run(dir, command).await
    }

    /// In a directory that is there, with an allocator that gives back at once what it does not need.
    pub async fn frugal(dir: Arc<TempDir>) -> Self {
        let mut command = mercado(dir.path(), &["--port=0"]);
        command.envs([("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")]);
        Self::run(dir, command).await
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn run(dir: Arc<TempDir>, mut command: Command) -> Self {
        // to a file: a pipe that nobody reads would fill and stop the process
        let log = TempDir::new().unwrap();
        let log = log.path().join("stderr.log");
        // a purchase ends although the machine stands still for some seconds; an option of the test counts more
        command.env("PURCHASE_DEADLINE_MS", "9000");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        // the line that a start prints names the port that it was given
        let address = eventually(PATIENCE, async || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it ended: {said}");
            let (_, rest) = said.split_once(" on http://")?;
            rest.split_once(',')?.0.parse::<SocketAddr>().ok()
        })
        .await;
        let api = Api::new(address);
        eventually(PATIENCE, async || {
            api.get("/readyz").attempt().await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await;
        Self { child, api, address, dir }
    }

    /// `kill -TERM` and the like.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub async fn end(mut self) -> ExitStatus {
        eventually(PATIENCE, async || self.child.try_wait().unwrap()).await
    }

    /// `kill -9`; returns when it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most bytes of memory that it has had at once.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// `POST /transacciones`.
    pub fn compra(&self, usuario: u64, token: u64) -> Call {
        compra(&self.api, usuario, token)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `POST /transacciones`.
pub fn compra(api: &Api, usuario: u64, token: u64) -> Call {
    api.post("/transacciones").json(json!({"usuarioId": usuario, "tokenId": token}))
}

/// An array file of a market that was stopped.
pub fn array(dir: &Path, name: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(dir.join("datos").join(format!("{name}.json"))).unwrap()).unwrap()
}

/// Seeds of Ana with 100 credits, Luis with 150, token 101 for 50 and 102 for 70.
fn two_and_two() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two-and-two");
        std::fs::create_dir_all(&dir).unwrap();
        let people = json!([{"id": 1, "nombre": "Ana", "saldo": 100}, {"id": 2, "nombre": "Luis", "saldo": 150}]);
        let token = |id, nombre, imagen, precio| json!({"id": id, "nombre": nombre, "imagen": imagen, "precio": precio, "vendido": false});
        let tokens =
            json!([token(101, "Gato Cósmico", "gato.jpg", 50), token(102, "Paisaje Lunar", "luna.jpg", 70)]);
        std::fs::write(dir.join("usuarios.json"), people.to_string()).unwrap();
        std::fs::write(dir.join("tokens.json"), tokens.to_string()).unwrap();
        std::fs::write(dir.join("transacciones.json"), "[]").unwrap();
        dir
    })
}

/// A directory with so many people who have 1000 credits each, and so many tokens for 1.
pub fn filled(people: u64, tokens: u64) -> Arc<TempDir> {
    let dir = Arc::new(TempDir::new().unwrap());
    let datos = dir.path().join("datos");
    std::fs::create_dir(&datos).unwrap();
    let people: Vec<_> =
        (1..=people).map(|id| json!({"id": id, "nombre": format!("P{id}"), "saldo": 1000})).collect();
    let tokens: Vec<_> = (1..=tokens)
        .map(|id| json!({"id": id, "nombre": format!("T{id}"), "imagen": "a.png", "precio": 1, "vendido": false}))
        .collect();
    std::fs::write(datos.join("usuarios.json"), json!(people).to_string()).unwrap();
    std::fs::write(datos.join("tokens.json"), json!(tokens).to_string()).unwrap();
    std::fs::write(datos.join("transacciones.json"), "[]").unwrap();
    dir
}

/// What a GET answers. Where there is no answer in the store's time, since the machine stood still, it is asked again.
pub async fn read(api: &Api, path: &str) -> HttpAnswer {
    let late = ["almacen-no-disponible", "servicio-no-disponible"];
    let answered =
        async || Some(api.get(path).await).filter(|answer| !late.contains(&answer.code().as_str()));
    eventually(PATIENCE, answered).await.expect(200)
}

/// Every page of a list.
pub async fn all(api: &Api, first: &str) -> Vec<Value> {
    let (mut rows, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let page = read(api, &path).await;
        rows.extend(page.read::<Vec<Value>>());
        next = page.next();
    }
    rows
}

/// Waits until nothing is pending, then holds balances, sales and purchases against each other; gives the purchases.
/// Everybody had `saldo` at the start.
pub async fn check(api: &Api, saldo: u64) -> Vec<Value> {
    eventually(PATIENCE, async || {
        let verdict = read(api, "/transacciones/auditoria").await.json();
        assert_eq!(verdict["correcto"], true, "{verdict}");
        (verdict["pendientes"] == 0).then_some(())
    })
    .await;
    let bought = all(api, "/transacciones?limite=1000").await;
    for person in all(api, "/usuarios?limite=1000").await {
        let of = bought.iter().filter(|t| t["usuarioId"] == person["id"]);
        let paid: u64 = of.map(|t| t["precio"].as_u64().unwrap()).sum();
        assert_eq!(person["saldo"].as_u64().unwrap() + paid, saldo, "{person}");
    }
    let mut sold: Vec<_> = bought.iter().map(|t| t["tokenId"].as_u64().unwrap()).collect();
    sold.sort_unstable();
    let vendidos = all(api, "/tokens?vendido=true&limite=1000").await;
    let vendidos: Vec<_> = vendidos.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(sold, vendidos, "each sold token was bought once");
    bought
}
