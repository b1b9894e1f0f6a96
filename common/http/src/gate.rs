//! Who is let in. Connections are counted below the file limit; when they run out, the one that has waited for its client
//! the longest gives way. The last few places, the reserve, are for probes: there one gives way as soon as another one comes.

use crate::connection::{Connection, Phase};
use crate::exit::{EX_USAGE, StartError};
use crate::logging::Seldom;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most connections of a port, where nobody says and the file limit allows it.
const MOST: u64 = 2048;
/// Files that are no connections: the store's, the database's, the libraries'.
const OTHER_FILES: u64 = 76;
/// What a worker needs on two ports to wait for its connections, and one connection too many on each ([`each_worker`] rounds up).
const FILES_OF_A_WORKER: u64 = 10;
/// Connections of a port that are taken and that the gate has not judged yet, or has refused and not closed yet. The others wait
/// in the kernel's queue, where they are no open files: workers that are behind must not use up the file limit.
const AT_THE_GATE: usize = 16;
/// The places for probes, of small limits a quarter.
const RESERVE: usize = 16;
/// A connection that has waited for its client so long gives way, when another one needs its place; one with a place of the
/// reserve does so at once, or clients that send no whole head would keep probes out for so long.
const GIVES_WAY: Duration = Duration::from_secs(1);

/// What the gates of a process have counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections that are open.
    pub(crate) open: AtomicUsize,
    /// Connections that were closed at once, since none could give way.
    pub(crate) refused: AtomicU64,
    /// Connections that were ended since their client was too slow, or since another one needed the place.
    pub(crate) cut: AtomicU64,
}

/// Raises the limit of open files to the most that this process may have; gives that.
pub(crate) fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(e) = setrlimit(Resource::Nofile, limit) {
            log::warn!("the limit of open files cannot be raised: {e}");
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// How many connections a port may take: what was asked for, or what the file limit allows two ports with so many workers.
///
/// # Errors
/// Exit code 64 where more was asked for than there can be files.
pub(crate) fn most(asked: Option<u32>, files: u64, workers: usize) -> Result<usize, StartError> {
    let others = OTHER_FILES + FILES_OF_A_WORKER * workers as u64;
    let possible = files.saturating_sub(others).max(8);
    let most = match asked.map(u64::from) {
        Some(asked) if asked > possible => {
            return Err(StartError::new(
                EX_USAGE,
                format!(
                    "--max-connections (MAX_CONNECTIONS): {asked}, but {files} open files allow {possible}"
                ),
            ));
        }
        Some(asked) => asked,
        None => (possible / 2).min(MOST),
    };
    Ok(usize::try_from(most).unwrap_or(usize::MAX))
}

/// How many connections of a port may be with each of so many workers: more than the gate's places in all, or none would come to
/// the gate where another one gives way.
pub(crate) fn each_worker(most: usize, workers: usize) -> usize {
    (most + AT_THE_GATE).div_ceil(workers)
}

/// The gate of one port.
#[derive(Debug)]
pub(crate) struct Gate {
    most: usize,
    reserve: usize,
    client_time: Duration,
    loopback: bool,
    tally: Arc<Tally>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    all: BTreeMap<u64, Arc<Connection>>,
    /// Those of them that have a place of the reserve.
    reserved: BTreeSet<u64>,
}

impl Gate {
    /// Of at most so many connections, of which each waits so long for its client.
    pub(crate) fn new(most: usize, client_time: Duration, loopback: bool, tally: Arc<Tally>) -> Self {
        Self { most, reserve: RESERVE.min(most / 4), client_time, loopback, tally, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in, under a number of its own; `None` where there is no place, nor one that gives way.
    pub(crate) fn admit(&self) -> Option<(u64, Arc<Connection>)> {
        let mut open = self.open();
        let ordinary = open.all.len() - open.reserved.len();
        let reserved = if ordinary < self.most - self.reserve || self.make_room(&mut open, false) {
            false
        } else if open.reserved.len() < self.reserve || self.make_room(&mut open, true) {
            true
        } else {
            static SELDOM: Seldom = Seldom::new();
            if let Some(times) = SELDOM.say() {
                log::warn!("{} connections are open: {times} closed at once", self.most);
            }
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        open.last += 1;
        let (id, connection) =
            (open.last, Arc::new(Connection::new(reserved, self.loopback, self.client_time)));
        open.all.insert(id, Arc::clone(&connection));
        if reserved {
            open.reserved.insert(id);
        }
        self.tally.open.fetch_add(1, Ordering::Relaxed);
        Some((id, connection))
    }

    /// Makes the connection give way that has waited for its client the longest; whether there is one.
    fn make_room(&self, open: &mut Open, reserved: bool) -> bool {
        let waits = |(id, connection): (&u64, &Arc<Connection>)| {
            if open.reserved.contains(id) != reserved {
                return None;
            }
            let has_head = connection.phase() == Phase::Parsed;
            let patience = if reserved && !has_head { Duration::ZERO } else { GIVES_WAY };
            let waited = connection.waited().filter(|w| *w >= patience)?;
            // of those of one millisecond the first
            Some(((waited, Reverse(*id)), patience))
        };
        let Some(((_, Reverse(id)), patience)) = open.all.iter().filter_map(waits).max() else {
            return false;
        };
        if let Some(connection) = open.all.remove(&id) {
            open.reserved.remove(&id);
            if patience.is_zero() {
                // its worker may not have looked at it yet, and it may be a probe
                connection.replace();
            } else {
                connection.cut();
                self.count_cut();
            }
        }
        true
    }

    /// A connection is closed.
    pub(crate) fn left(&self, id: u64) {
        let mut open = self.open();
        open.all.remove(&id);
        open.reserved.remove(&id);
        self.tally.open.fetch_sub(1, Ordering::Release);
    }

    /// One more connection was ended.
    pub(crate) fn count_cut(&self) {
        self.tally.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the connections that have waited for their clients for so long in the middle of a request.
    pub(crate) fn cut_stalled(&self, patience: Duration) {
        for connection in self.open().all.values() {
            if !connection.is_cut() && connection.stalled().is_some_and(|waited| waited >= patience) {
                connection.cut();
                self.count_cut();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(most: usize) -> Gate {
        Gate::new(most, Duration::from_secs(10), true, Arc::default())
    }

    #[test]
    fn the_last_places_are_for_probes_and_then_none_is_left() {
        let gate = gate(8);
        let taken: Vec<_> = (0..8).map(|_| gate.admit().unwrap()).collect();
        let reserved: Vec<_> = taken.iter().map(|(_, c)| c.reserved()).collect();
        assert_eq!(reserved, [false, false, false, false, false, false, true, true]);
        taken[6].1.head_ends();
        taken[7].1.begin(Some(0));
        assert!(gate.admit().is_none());
        assert_eq!(gate.tally.refused.load(Ordering::Relaxed), 1);
        gate.left(taken[0].0);
        assert!(!gate.admit().unwrap().1.reserved());
        assert_eq!(gate.tally.open.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn a_connection_at_work_does_not_give_way() {
        let gate = gate(4);
        for _ in 0..4 {
            gate.admit().unwrap().1.begin(Some(0));
        }
        std::thread::sleep(GIVES_WAY);
        assert!(gate.admit().is_none());
        let (id, waits) = gate.open().all.iter().next().map(|(id, c)| (*id, Arc::clone(c))).unwrap();
        waits.begin(Some(5));
        std::thread::sleep(GIVES_WAY);
        assert!(!gate.admit().unwrap().1.reserved(), "a body that does not come gives its place");
        assert!(waits.is_cut() && !gate.open().all.contains_key(&id));
    }

    #[test]
    fn a_place_of_the_reserve_without_a_whole_head_is_given_on_at_once_and_the_oldest_first() {
        let gate = gate(8);
        let taken: Vec<_> = (0..8).map(|_| gate.admit().unwrap().1).collect();
        taken[7].head_begins();
        let next: Vec<_> = (0..2).map(|_| gate.admit().unwrap().1).collect();
        assert!(next.iter().all(|c| c.reserved()));
        let replaced: Vec<_> = taken.iter().map(|c| c.is_replaced()).collect();
        assert_eq!(replaced, [false, false, false, false, false, false, true, true]);
        assert!(!next.iter().any(|c| c.is_replaced()) && !taken.iter().any(|c| c.is_cut()));
    }

    #[test]
    fn more_connections_than_files_are_refused() {
        assert_eq!(most(None, 256, 2).unwrap(), 80);
        assert_eq!(most(None, 1 << 20, 64).unwrap(), 2048);
        assert_eq!(most(Some(100), 256, 2).unwrap(), 100);
        assert_eq!(most(Some(200), 256, 2).unwrap_err().exit_code, EX_USAGE);
        assert_eq!(most(None, 1024, 64).unwrap(), 154);
    }
}
