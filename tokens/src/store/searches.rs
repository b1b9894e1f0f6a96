//! How many lists are searched for at once: each such list looks at every token.
//!
//! A few searches run, the next ones wait for their turn, and whoever comes when enough of them wait is told at once. So
//! searches take a part of the machine, or of the database, and what else is asked meanwhile is answered.

use crate::error::Error;
use http_kit::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Searches that may be under way, with those that wait, where no option says otherwise.
pub const AT_ONCE: u16 = 64;
/// How long one waits for its turn: who waits for longer may as well come back.
const PATIENCE: Duration = Duration::from_secs(1);

/// The searches of a store. Clones share them.
#[derive(Clone, Debug)]
pub struct Searches {
    most: u16,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    turned_away: Arc<AtomicU64>,
}

/// One search. Its place and its turn are given back when it is dropped.
#[derive(Debug)]
pub struct Search {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Searches {
    /// Of files: half of the cores search, and one at least.
    pub(super) fn of_files() -> Self {
        let turns = (available_parallelism().map_or(1, usize::from) / 2).max(1);
        Self::new(AT_ONCE, Arc::new(Semaphore::new(turns)))
    }

    /// Of a database: their turns are those of all scans of the process.
    pub(super) fn of_a_database(turns: Arc<Semaphore>) -> Self {
        Self::new(AT_ONCE, turns)
    }

    fn new(most: u16, turns: Arc<Semaphore>) -> Self {
        Self { most, places: Arc::new(Semaphore::new(most.into())), turns, turned_away: Arc::default() }
    }

    /// The same with room for so many.
    #[must_use]
    pub(super) fn at_once(self, most: u16) -> Self {
        Self { most, places: Arc::new(Semaphore::new(most.into())), ..self }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::TooManySearches`]: at once, where as many are under way as may be, or where the turn does not come within
    /// [`PATIENCE`].
    pub(super) async fn begin(&self) -> Result<Search, Error> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(Error::TooManySearches);
        };
        match timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Search { _place: place, _turn: turn }),
            // its turn did not come; nobody closes the semaphore
            _ => {
                self.turned_away.fetch_add(1, Ordering::Relaxed);
                Err(Error::TooManySearches)
            }
        }
    }

    /// Shows how near the limit is.
    pub fn measure(&self, metrics: &Metrics) {
        let (this, most) = (self.clone(), u64::from(self.most));
        metrics.gauge(
            "searches_under_way",
            "Lists that are searched for, or wait for their turn",
            move || most.saturating_sub(this.places.available_permits() as u64),
        );
        let turned_away = Arc::clone(&self.turned_away);
        metrics.counter(
            "searches_turned_away",
            "Lists that were not searched for, since too many were",
            move || turned_away.load(Ordering::Relaxed),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use std::task::Poll;

    #[tokio::test]
    async fn one_searches_one_waits_and_the_third_is_told_at_once() {
        let searches = Searches::new(2, Arc::new(Semaphore::new(1)));
        let first = searches.begin().await.unwrap();
        let mut second = pin!(searches.begin());
        assert!(poll!(second.as_mut()).is_pending());
        assert!(matches!(searches.begin().await, Err(Error::TooManySearches)));
        drop(first);
        let Poll::Ready(Ok(second)) = poll!(second.as_mut()) else { panic!("its turn has come") };
        let mut gone = Box::pin(searches.begin());
        assert!(poll!(gone.as_mut()).is_pending());
        drop(gone); // a client that hangs up while it waits gives its place back
        drop(second);
        searches.begin().await.unwrap();
        assert_eq!(searches.turned_away.load(Ordering::Relaxed), 1);
    }
}
