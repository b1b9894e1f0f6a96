//! Ctrl-C and SIGTERM: the first one ends a run early and in order, the second one at once.

use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether it is to end.
#[derive(Clone)]
pub struct Stop(watch::Receiver<u32>);

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where signals cannot be heard.
    pub fn listen() -> Result<Self, String> {
        let mut term = signal(SignalKind::terminate()).map_err(|e| format!("SIGTERM: {e}"))?;
        let mut int = signal(SignalKind::interrupt()).map_err(|e| format!("SIGINT: {e}"))?;
        let (heard, stop) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                heard.send_modify(|n| *n += 1);
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
