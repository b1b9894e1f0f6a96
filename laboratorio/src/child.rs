//! How the laboratory starts other programs.
//!
//! Ctrl-C in a terminal is a SIGINT for each process of the group in the foreground. A service that hears it leaves in the
//! middle of the run, so every program gets a group of its own, and only the laboratory hears of it. No program outlives it,
//! though, not even where it is killed by kill -9 and can end nothing itself.

use crate::stop::Stop;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// util-linux' `setpriv`, where this machine has one that can ask the kernel for a signal to what is started once the thread
/// that started it ends: here that is one of the runtime's, which end with the process.
static SETPRIV: LazyLock<Option<&Path>> = LazyLock::new(|| {
    let there = ["/usr/bin/setpriv", "/bin/setpriv"].map(Path::new).into_iter().find(|path| path.exists())?;
    let tried = std::process::Command::new(there).args(["--pdeathsig", "KILL", "--", "/bin/true"]).output();
    tried.is_ok_and(|tried| tried.status.success()).then_some(there)
});

/// A program in a group of its own, which is killed when its handle goes, and when the laboratory is killed.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    leashed(program, "KILL")
}

/// Another laboratory. It gets SIGQUIT, at which it ends its own programs and gives its disk back.
pub fn another(laboratory: impl AsRef<OsStr>) -> Command {
    leashed(laboratory, "QUIT")
}

fn leashed(program: impl AsRef<OsStr>, signal: &str) -> Command {
    let mut command = match *SETPRIV {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", signal, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0).kill_on_drop(true);
    command
}

/// A laboratory that was started by this one.
struct Nested(Child);

impl Nested {
    fn signal(&self, signal: Signal) {
        // none once it was reaped
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // at once, see `Stop`
        self.signal(Signal::QUIT);
    }
}

/// Runs a laboratory to its end, which comes early where somebody wants the end of this one; what it said of its errors.
///
/// # Errors
/// Where it cannot be started.
pub async fn laboratory(mut command: Command, stop: Option<&Stop>) -> std::io::Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(false);
    let mut nested = Nested(command.spawn()?);
    let pipe = nested.0.stderr.take();
    let read = async {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut said).await;
        }
        said
    };
    let stopped = async {
        match stop {
            Some(stop) => stop.stopped().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(read);
    let said = tokio::select! {
        said = &mut read => said,
        () = stopped => {
            nested.signal(Signal::TERM);
            read.await
        }
    };
    nested.0.wait().await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(dir: &Path) -> Vec<PathBuf> {
        let entries = dir.read_dir().unwrap().map(|e| e.unwrap().path());
        entries.flat_map(|e| if e.is_dir() { sources(&e) } else { vec![e] }).collect()
    }

    #[test]
    fn every_program_gets_a_process_group_of_its_own() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let bare = concat!("Command", "::new(");
        for file in sources(&src) {
            // cargo builds in the foreground, so that Ctrl-C ends it
            if file.ends_with("child.rs") || file.ends_with("programs.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let alone = |at: usize| {
                let statement = text[at..].split(';').next().unwrap_or_default();
                statement.contains(".process_group(0)")
            };
            let wrong = text.match_indices(bare).any(|(at, _)| !alone(at));
            assert!(!wrong, "{}: a child in the group of the laboratory", file.display());
        }
    }
}
