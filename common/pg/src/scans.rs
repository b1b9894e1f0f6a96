//! How many statements run at once whose cost grows with the number of rows: lists that count what they find. A quarter of the
//! connections are for such scans, whichever service of the process asks. So purchases and single rows keep the others.

use crate::Schema;
use journal::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long one waits for its turn: who waits for longer may as well come back.
const TURN: Duration = Duration::from_secs(1);

/// The turns of a process with so many connections.
pub(super) fn turns(connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((connections / 4).max(1)))
}

impl Schema {
    /// The turns of scans, for whoever counts by other rules who waits for them.
    pub fn scans(&self) -> Arc<Semaphore> {
        Arc::clone(&self.database.0.scans)
    }

    /// Waits for the turn of a scan, which ends when the answer is dropped. Whoever waits has a place in the queue for
    /// connections, half of which is for others.
    ///
    /// # Errors
    /// [`StoreError::Busy`]: at once where there is no such place, or where the turn does not come in time.
    pub async fn scan(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turns = self.scans();
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        let queue = &self.database.0.pool.queue;
        let _waits = queue.enter_to_scan().map_err(|_| StoreError::Busy)?;
        match timeout(TURN, turns.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            // its turn did not come; nobody closes the semaphore
            _ => Err(StoreError::Busy),
        }
    }
}
