//! The real binary.

use crate::helpers::TOKEN;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use testkit::{Api, PATIENCE, eventually};

/// The binary with no environment but this test's, and the options that it cannot do without.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transacciones"));
    command.env_clear().env("INTERNAL_TOKEN", TOKEN).env("STORE", format!("json:{}", dir.display()));
    command.env("HOST", "127.0.0.1").env("PORT", "0").env("INTERNAL_PORT", "0").env("WORKERS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A running process; killed where a test fails.
pub struct Process {
    child: Child,
    pub api: Api,
}

impl Process {
    /// Started and ready.
    pub async fn start(dir: &Path, usuarios: SocketAddr, tokens: SocketAddr, more: &[&str]) -> Self {
        let mut command = command(dir);
        command.env("USUARIOS_URL", format!("http://{usuarios}"));
        command.env("TOKENS_URL", format!("http://{tokens}")).args(more);
        // to a file: a pipe that nobody reads would fill and stop the process
        let log = dir.join("stderr.log");
        let mut child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        // the line that a start prints names the port that it was given
        let address = eventually(PATIENCE, async || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it ended: {said}");
            let (_, rest) = said.split_once(" on http://")?;
            rest.split_once(' ')?.0.parse::<SocketAddr>().ok()
        })
        .await;
        let api = Api::new(address);
        eventually(PATIENCE, async || {
            api.get("/readyz").attempt().await.is_ok_and(|a| a.status == 200).then_some(())
        })
        .await;
        Self { child, api }
    }

    /// `kill -9`; returns when it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
