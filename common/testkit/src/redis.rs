//! A private `redis-server`: on a free port, in a directory of its own, and gone with the test, however that ends.

use super::{PATIENCE, eventually, free_port};
use redis::{Client, FromRedisValue};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A server with a port and a directory; it can be killed and started again.
pub struct RedisServer {
    dir: TempDir,
    port: u16,
    password: String,
    process: Process,
}

/// A shell that kills the server once its own standard input ends: that it does also where the test was killed.
struct Process {
    shell: Child,
    server: String,
}

const SHELL: &str = r#"redis-server "$@" >server.log 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>&-; wait"#;

impl Process {
    fn start(dir: &TempDir, port: u16) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh", "--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut server = String::new();
        let said = shell.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut server).expect("a process id");
        Self { shell, server: server.trim().to_owned() }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.server]).status();
        assert!(sent.expect("kill").success(), "SIG{name} was not sent");
    }

    /// `SIGKILL`; returns when it is gone, and its port is free.
    fn end(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

impl RedisServer {
    /// Started, and answering.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let process = Process::start(&dir, port);
        let server = Self { dir, port, password: String::new(), process };
        server.wait().await;
        server
    }

    async fn wait(&self) {
        eventually(PATIENCE, async || {
            let log = || std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
            let ended = log().contains("Failed listening") || log().contains("not found");
            assert!(!ended, "redis-server (package redis-server) did not start: {}", log());
            self.try_ask::<()>(&["PING"]).ok()
        })
        .await;
    }

    /// `REDIS_URL`, with the password that was set last.
    pub fn url(&self) -> String {
        self.url_with(&self.password)
    }

    /// The same with any password.
    pub fn url_with(&self, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{}", self.port)
    }

    /// What the server answers to a command. Blocking.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).expect("an answer of redis-server")
    }

    fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut connection = Client::open(self.url())?.get_connection_with_timeout(PATIENCE)?;
        let mut asked = redis::cmd(command[0]);
        for word in &command[1..] {
            asked.arg(word);
        }
        asked.query(&mut connection)
    }

    /// `CONFIG SET`.
    pub fn set(&mut self, name: &str, value: &str) {
        self.ask::<()>(&["CONFIG", "SET", name, value]);
        if name == "requirepass" {
            value.clone_into(&mut self.password);
        }
    }

    /// `SIGSTOP`: it keeps its connections, takes new ones, and answers nobody.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// `SIGCONT`.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// `SIGKILL`; returns when it is gone. It forgets everything.
    pub fn kill(&mut self) {
        self.process.end();
    }

    /// A new process on the port of the one that was killed.
    pub async fn restart(&mut self) {
        self.process = Process::start(&self.dir, self.port);
        self.password.clear();
        self.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_was_killed_has_left_its_port() {
        let mut redis = RedisServer::start().await;
        for _ in 0..3 {
            redis.kill();
            drop(std::net::TcpListener::bind(("127.0.0.1", redis.port)).expect("a free port"));
            redis.restart().await;
        }
    }
}
