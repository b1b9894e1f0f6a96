//! Starts the process and talks to it.

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::raw::RawConnection;
use testkit::{Api, PATIENCE, eventually, free_port};

/// The variable with the command line of the process under test.
pub const ARGS: &str = "NOTES_ARGS";
pub const SECRET: &str = "0123456789abcdef";

/// The process with no environment but this test's.
pub fn notes(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["service", "--exact", "--nocapture"]);
    command.env_clear().env(ARGS, args.join("\n")).env("WORKERS", "2").env("SECRET", SECRET);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a run that ends by itself says.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

/// Runs a command to its end, which must come by itself.
#[track_caller]
pub fn ends(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("an exit code");
    Ended { code, out: text(output.stdout), errors: text(output.stderr) }
}

/// A running process; killed where a test fails.
pub struct Process {
    child: Child,
    pub api: Api,
    log: PathBuf,
    _dir: TempDir,
}

impl Process {
    /// Started and ready.
    pub async fn start(more: impl FnOnce(&mut Command)) -> Self {
        let port = free_port();
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("stderr.log");
        let mut command = notes(&[]);
        // one that waits for its grace, or for clients, does not end while a test waits
        command.env("PORT", port.to_string()).env("GRACE_SECONDS", "300").env("CLIENT_SECONDS", "300");
        more(&mut command);
        // to a file: a pipe that nobody reads would fill and stop the process
        command.stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null());
        let child = std::thread::spawn(move || without_capabilities(&mut command)).join().unwrap();
        let api = Api::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut process = Self { child, api, log, _dir: dir };
        eventually(PATIENCE, async || {
            assert!(process.child.try_wait().unwrap().is_none(), "it ended: {}", process.log());
            process.api.get("/readyz").attempt().await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
        assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
        process
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> String {
        self.api.base.trim_start_matches("http://").to_owned()
    }

    pub async fn connect(&self) -> RawConnection {
        RawConnection::open(&self.address()).await.unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// `kill -TERM` and the like.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        eventually(PATIENCE, async || self.child.try_wait().unwrap()).await
    }

    /// The signal, its end, and exit code 0; gives how long that took.
    pub async fn ends_well(&mut self, signal: &str) -> Duration {
        let start = Instant::now();
        self.signal(signal);
        let status = self.end().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        start.elapsed()
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
        // a thread that may not drop it has none, and the kernel knows fewer capabilities than its headers
        let _ = remove_capability_from_bounding_set(capability);
    }
    command.spawn().unwrap()
}
