//! A private PgBouncer before a private PostgreSQL. In transaction mode a session is somebody else's after each transaction;
//! Debian's version 1.18 does not know of prepared statements there.

use crate::postgres::{Server, as_postgres_user, own};
use crate::{PATIENCE, eventually, free_port};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Gone with the test, however that ends.
pub struct PgBouncer {
    port: u16,
    shell: Child,
    _dir: TempDir,
}

/// It ends PgBouncer once its own standard input ends: that it does also where the test was killed.
const SHELL: &str = r#"pgbouncer -q pgbouncer.ini >/dev/null 2>&1 & cat >/dev/null; kill -9 $! 2>&-; wait"#;

impl PgBouncer {
    /// Before all databases of a server, in this `pool_mode`. It ignores these parameters of a client's start, and refuses
    /// all others that it does not know. More lines of its configuration may follow them.
    pub async fn before(server: &Server, mode: &str, ignored: &str) -> Self {
        let dir = TempDir::with_prefix("mercado-bouncer-").expect("a directory");
        let port = free_port();
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users.txt\npool_mode = {mode}\n\
             ignore_startup_parameters = {ignored}\n",
            server.port()
        );
        std::fs::write(dir.path().join("pgbouncer.ini"), ini).expect("its configuration");
        std::fs::write(dir.path().join("users.txt"), "\"postgres\" \"\"\n").expect("its users");
        own(dir.path());
        let mut command: Command = as_postgres_user("sh");
        command.args(["-c", SHELL]).current_dir(dir.path());
        let shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell");
        let bouncer = Self { port, shell, _dir: dir };
        eventually(PATIENCE, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        bouncer
    }

    /// `STORE` of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
