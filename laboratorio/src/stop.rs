//! Ctrl-C, SIGTERM and a terminal that closes: the first one ends a run early and in order, the second one at once, as
//! SIGQUIT does. What was started here has process groups of its own, and ends by nobody else, but where the laboratory is
//! killed (`child`).

use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Whether it is to end.
#[derive(Clone)]
pub struct Stop(watch::Receiver<u32>);

fn listen(kind: SignalKind, name: &str) -> Result<Signal, String> {
    signal(kind).map_err(|e| format!("{name}: {e}"))
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether this process was started to ignore the signal.
fn ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (kind.as_raw_value() - 1)) != 0
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where signals cannot be heard.
    pub fn listen() -> Result<Self, String> {
        let mut term = listen(SignalKind::terminate(), "SIGTERM")?;
        let mut int = listen(SignalKind::interrupt(), "SIGINT")?;
        let mut quit = listen(SignalKind::quit(), "SIGQUIT")?;
        // nohup ignores it for us
        let mut hangup = match ignored(SignalKind::hangup()) {
            true => None,
            false => Some(listen(SignalKind::hangup(), "SIGHUP")?),
        };
        let (heard, stop) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let times = tokio::select! {
                    _ = term.recv() => 1,
                    _ = int.recv() => 1,
                    () = next(&mut hangup) => 1,
                    _ = quit.recv() => 2,
                };
                heard.send_modify(|n| *n += times);
            }
        });
        Ok(Self(stop))
    }

    /// Whether the run is to end.
    pub fn heard(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits for a signal.
    pub async fn stopped(&self) {
        self.times(1).await;
    }

    /// Waits for a second one: somebody wants no report either.
    pub async fn at_once(&self) {
        self.times(2).await;
    }

    async fn times(&self, n: u32) {
        if self.0.clone().wait_for(|heard| *heard >= n).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits so long; whether the run goes on.
    pub async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => !self.heard(),
            () = self.stopped() => false,
        }
    }
}
