//! How many batches that write a process has under way, of all operations together. Why so: ADR 0015.

use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// So many requests are worth a batch of their own beside another one.
pub(super) const ENOUGH: usize = 16;

/// A batch that has to wait so long waits for one that stands still: at a lock that somebody else holds, or a server that does not
/// answer. Ten times what a batch with a slow commit takes.
const STANDS_STILL: Duration = Duration::from_millis(100);

/// One batch, and beside it one of [`ENOUGH`] requests. More batches would be smaller ones, and each costs a statement and a
/// commit. With a single one of many requests the processor would be idle during the commit.
pub(super) struct Lanes {
    first: Semaphore,
    second: Semaphore,
}

impl Lanes {
    /// Of a process with so many connections.
    pub(super) fn new(connections: usize) -> Self {
        Self { first: Semaphore::new(1), second: Semaphore::new(usize::from(connections > 1)) }
    }

    /// Leave to have a batch under way, in the order in which it was asked for; in the second lane once there are `enough`, or
    /// where nothing moves in the first.
    pub(super) async fn enter(&self, enough: impl Future<Output = ()>) -> Option<SemaphorePermit<'_>> {
        let second = async {
            let _ = timeout(STANDS_STILL, enough).await;
            self.second.acquire().await
        };
        // never closed
        tokio::select! {
            biased;
            lane = self.first.acquire() => lane.ok(),
            lane = second => lane.ok(),
        }
    }

    /// How many of so many requests go in the next batch. Half of many, where nobody has the second lane: requests that go
    /// together stay together, and would leave it empty.
    pub(super) fn share(&self, requests: usize) -> usize {
        let parts = requests >= 2 * ENOUGH && self.second.available_permits() > 0;
        if parts { requests / 2 } else { requests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::future::{pending, ready};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_second_batch_goes_beside_the_first_where_it_has_enough_requests() {
        let lanes = Lanes::new(2);
        let first = lanes.enter(pending()).now_or_never().unwrap();
        let mut small = Box::pin(lanes.enter(pending()));
        assert!((&mut small).now_or_never().is_none());
        assert_eq!([31, 32, 64].map(|n| lanes.share(n)), [31, 16, 32]);
        let second = lanes.enter(ready(())).now_or_never().unwrap();
        assert_eq!(lanes.share(64), 64, "both lanes are taken");
        assert!(lanes.enter(ready(())).now_or_never().is_none());
        drop(second);
        assert!((&mut small).now_or_never().is_none());
        drop(first);
        let _first = (&mut small).now_or_never().unwrap();
        assert!(lanes.enter(pending()).now_or_never().is_none());
        // nothing moves: the clock of this test goes on by itself
        let begun = Instant::now();
        assert!(lanes.enter(pending()).await.is_some());
        assert!(begun.elapsed() >= STANDS_STILL);
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_has_one_lane() {
        let lanes = Lanes::new(1);
        let _first = lanes.enter(pending()).now_or_never().unwrap();
        assert!(lanes.enter(ready(())).now_or_never().is_none());
        assert_eq!(lanes.share(64), 64);
    }
}
