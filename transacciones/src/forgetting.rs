//! Forgets the keys of refused purchases, some time after they were refused: so nobody fills a disk with them for ever.
//! Why that is safe: [`Era`](crate::domain::Era) and docs/PURCHASE.md.

use crate::domain::PARTS;
use crate::store::Store;
use chrono::TimeDelta;
use journal::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Looks in one era: what is due waits for a fraction of an era at most.
const LOOKS: u32 = 10;
/// Between two looks, at the most.
const SELDOM: Duration = Duration::from_secs(60);

/// Forgets in the background. Every replica does this.
pub struct Forgetting {
    /// Whose keys.
    pub store: Store,
    /// For how long they are kept, at the least.
    pub keep: Duration,
    /// How many were forgotten since the start, for `/metrics`.
    pub forgotten: Arc<AtomicU64>,
}

impl Forgetting {
    /// Looks until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let length = self.keep / PARTS;
        let mut tick = interval((length / LOOKS).clamp(Duration::from_millis(1), SELDOM));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match stop.run_until_cancelled(self.store.forget(length)).await {
                None => return,
                Some(Ok(0)) => {}
                Some(Ok(n)) => {
                    self.forgotten.fetch_add(n, Ordering::Relaxed);
                    log::info!("the keys of {n} refused purchases are forgotten, and may be used anew");
                }
                Some(Err(StoreError::Closed)) => return,
                Some(Err(e)) => log::warn!("keys of refused purchases cannot be forgotten now: {e}"),
            }
        }
    }
}
