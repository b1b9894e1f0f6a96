//! What the tests share: the programs, one run at a time, and waiting.

use serde_json::Value;
use std::fs::DirEntry;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub const LABORATORIO: &str = env!("CARGO_BIN_EXE_laboratorio");

/// `cargo test --workspace` has built the services already. `cargo test -p laboratorio` alone would run with those of
/// yesterday, or with none.
pub fn services() {
    const SERVICES: [&str; 3] = ["usuarios", "tokens", "transacciones"];
    const LAYERS: [&str; 4] = ["common/journal", "common/http", "common/pg", "common/market"];
    let bin = Path::new(LABORATORIO).parent().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = LAYERS.iter().chain(&SERVICES);
    let newest = crates.map(|c| newest(&root.join(c).join("src"))).max().unwrap();
    let fresh = |c: &&str| bin.join(c).metadata().is_ok_and(|m| m.modified().unwrap() > newest);
    if SERVICES.iter().all(fresh) {
        return;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "usuarios", "-p", "tokens", "-p", "transacciones"]);
    if bin.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(bin.parent().unwrap()).current_dir(root);
    assert!(cargo.status().unwrap().success());
}

fn newest(dir: &Path) -> SystemTime {
    let entries = dir.read_dir().unwrap().map(Result::unwrap);
    let time = |e: &DirEntry| match e.metadata().unwrap() {
        m if m.is_dir() => newest(&e.path()),
        m => m.modified().unwrap(),
    };
    entries.map(|e| time(&e)).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// One run after another: a market that is short of processor time buys little.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that a run said.
pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The number behind a row of the table.
pub fn row(said: &str, name: &str) -> u64 {
    let line = said.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_whitespace().next_back().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// How many processes have the directory in their command or their environment.
pub fn running(dir: &str) -> usize {
    let says = |e: &DirEntry, file| {
        std::fs::read(e.path().join(file)).is_ok_and(|text| String::from_utf8_lossy(&text).contains(dir))
    };
    let processes = Path::new("/proc").read_dir().unwrap().map(Result::unwrap);
    processes.filter(|e| says(e, "cmdline") || says(e, "environ")).count()
}

/// How many services run of those. One that `setpriv` is still starting is none: the kernel may not know yet with whom it ends.
pub fn serving(dir: &str) -> usize {
    const SERVICES: [&str; 3] = ["usuarios", "tokens", "transacciones"];
    let text = |e: &DirEntry, file| {
        String::from_utf8_lossy(&std::fs::read(e.path().join(file)).unwrap_or_default()).into_owned()
    };
    let serves = |e: &DirEntry| {
        let command = text(e, "cmdline");
        let program = Path::new(command.split('\0').next().unwrap_or_default()).file_name();
        program.is_some_and(|name| SERVICES.iter().any(|s| name == *s)) && text(e, "environ").contains(dir)
    };
    Path::new("/proc").read_dir().unwrap().map(Result::unwrap).filter(serves).count()
}

pub fn wait_for(condition: impl Fn() -> bool) {
    // whole markets start meanwhile, with their databases
    let end = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < end, "not within 120 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A class in the browser's place: its process, and the address of its page, which has its token.
pub struct Classroom {
    process: Child,
    lines: Mutex<Box<dyn Iterator<Item = String> + Send>>,
    /// Without a path.
    pub url: String,
    pub token: String,
}

impl Classroom {
    /// `aula` at a free port, once its page is there.
    pub fn start(dir: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        // a port below those that connections are given
        let port = (0..1000_u16)
            .map(|i| 10_000 + (i * 19 + std::process::id() as u16 % 1000) % 20_000)
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .unwrap();
        let mut command = Command::new(LABORATORIO);
        command
            .args(["aula", "--sin-navegador", "--idioma", "en", "--port", &port.to_string(), "--dir"])
            .arg(dir);
        prepare(&mut command);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let opened = lines.by_ref().find(|line| line.contains("?laboratorio=")).unwrap();
        let token = opened.split("?laboratorio=").nth(1).unwrap().split('#').next().unwrap().to_owned();
        Self { process, lines: Mutex::new(Box::new(lines)), url: format!("http://127.0.0.1:{port}"), token }
    }

    /// Asks the control API, or gives it an order; the answer's status and body.
    fn ask(&self, path: &str, order: Option<&Value>) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-w", "\n%{http_code}", "-H", &format!("x-laboratorio: {}", self.token)]);
        if let Some(order) = order {
            curl.args(["-H", "content-type: application/json", "-d", &order.to_string()]);
        }
        let output = curl.arg(format!("{}/laboratorio/{path}", self.url)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, code) = text.rsplit_once('\n').unwrap();
        (code.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// What the controls show.
    pub fn state(&self) -> Value {
        let (code, state) = self.ask("estado", None);
        assert_eq!(code, 200, "{state}");
        state
    }

    /// Orders it; the answer's status, and why it could not be done.
    pub fn order(&self, order: &Value) -> (u16, String) {
        let (code, answer) = self.ask("orden", Some(order));
        (code, answer["title"].as_str().unwrap_or_default().to_owned())
    }

    /// Ctrl-C; its exit code, and what it said.
    pub fn end(self) -> (Option<i32>, Vec<String>) {
        interrupt(&self.process);
        self.ended()
    }

    /// Ctrl-C as a terminal does it, where it was started as the leader of a group.
    pub fn interrupt_group(&self) {
        interrupt_group(&self.process);
    }

    /// Kill -9.
    pub fn kill(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    }

    /// Its exit code, and what it said, when it ends.
    pub fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let rest = self.lines.get_mut().unwrap().collect();
        (self.process.wait().unwrap().code(), rest)
    }
}

impl Drop for Classroom {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            interrupt(&self.process);
            let _ = self.process.wait();
        }
    }
}

/// As a terminal does when Ctrl-C is pressed: all of the group in the foreground hear of it.
pub fn interrupt_group(leader: &Child) {
    let group = format!("-{}", leader.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
}

/// A signal to one process.
pub fn interrupt(process: &Child) {
    assert!(Command::new("kill").arg("-INT").arg(process.id().to_string()).status().unwrap().success());
}
