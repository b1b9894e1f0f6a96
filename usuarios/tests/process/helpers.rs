//! Starts the binary and talks to it.

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;
use testkit::{Api, PATIENCE, eventually, free_port};

pub const TOKEN: &str = "0123456789abcdef";

/// The binary with no environment but this test's, and the options that it cannot do without.
pub fn usuarios(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usuarios"));
    command.env_clear().env("INTERNAL_TOKEN", TOKEN).env("STORE", format!("json:{}", dir.display()));
    command.env("HOST", "127.0.0.1").env("PORT", "0").env("INTERNAL_PORT", "0").env("WORKERS", "2");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a start that fails says.
pub struct Failure {
    pub code: i32,
    pub message: String,
}

/// Runs a command to its end, which must come by itself.
#[track_caller]
pub fn fails(command: &mut Command) -> Failure {
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    Failure { code: output.status.code().expect("an exit code"), message }
}

/// A running process; killed where a test fails.
pub struct Process {
    child: Child,
    pub api: Api,
    pub dir: TempDir,
}

impl Process {
    /// Started and ready, on a directory of its own.
    pub async fn start(more: impl FnOnce(&mut Command)) -> Self {
        Self::on(TempDir::new().unwrap(), more).await
    }

    /// The same on a directory that is there.
    pub async fn on(dir: TempDir, more: impl FnOnce(&mut Command)) -> Self {
        let (port, internal) = (free_port(), free_port());
        let mut command = usuarios(dir.path());
        command.env("PORT", port.to_string()).env("INTERNAL_PORT", internal.to_string());
        more(&mut command);
        // to a file: a pipe that nobody reads would fill and stop the process
        let log = std::fs::File::create(dir.path().join("stderr.log")).unwrap();
        command.stderr(log).stdout(Stdio::null());
        let mut child = std::thread::spawn(move || without_capabilities(&mut command)).join().unwrap();
        let api = Api::new(SocketAddr::from(([127, 0, 0, 1], port)));
        eventually(PATIENCE, async || {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended: {}",
                read(&dir.path().join("stderr.log"))
            );
            api.get("/readyz").attempt().await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await;
        let status = read(Path::new(&format!("/proc/{}/status", child.id())));
        assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
        Self { child, api, dir }
    }

    pub fn address(&self) -> String {
        self.api.base.trim_start_matches("http://").to_owned()
    }

    /// `kill -TERM` and the like.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; gives the directory back.
    pub async fn end(mut self) -> (ExitStatus, TempDir) {
        let status = eventually(PATIENCE, async || self.child.try_wait().unwrap()).await;
        let dir = std::mem::replace(&mut self.dir, TempDir::new().unwrap());
        (status, dir)
    }

    /// The signal, its end, and exit code 0.
    pub async fn ends_well(self, signal: &str) -> TempDir {
        self.signal(signal);
        let (status, dir) = self.end().await;
        assert_eq!(status.code(), Some(0), "{}", read(&dir.path().join("stderr.log")));
        dir
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Spawns a command that has no capability, as in a pod, also where the tests run as root. For a thread that ends then.
fn without_capabilities(command: &mut Command) -> Child {
    for capability in CapabilitySet::all().iter() {
        // who may not has none to lose, and the kernel knows fewer than its headers
        let _ = remove_capability_from_bounding_set(capability);
    }
    command.spawn().unwrap()
}

pub fn read(path: &Path) -> String {
    let mut text = String::new();
    std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}
