//! What a kubelet asks, and how long it waits for the answer.

use super::raw;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Between two questions to one process.
const EVERY: Duration = Duration::from_millis(50);
/// A kubelet's patience with `/readyz` in the manifests.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at whether this laboratory runs.
const LOOK: Duration = Duration::from_millis(10);
/// A look that is so late was kept from its turn.
const LATE: Duration = Duration::from_millis(50);

/// How long this laboratory was kept from running so far: the machine stood still, or was too busy.
fn stood() -> Duration {
    static WATCH: Once = Once::new();
    static MICROSECONDS: AtomicU64 = AtomicU64::new(0);
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let start = Instant::now();
                std::thread::sleep(LOOK);
                let late = start.elapsed().saturating_sub(LOOK);
                if late >= LATE {
                    let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                    MICROSECONDS.fetch_add(late, Ordering::Relaxed);
                }
            }
        });
    });
    Duration::from_micros(MICROSECONDS.load(Ordering::Relaxed))
}

/// How long something took, without the time in which the laboratory itself was kept from running; and that time.
pub async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration, Duration) {
    let (start, before) = (Instant::now(), stood());
    let done = what.await;
    let took = start.elapsed();
    // who watches was kept from it, too, and notes it now
    tokio::time::sleep(LOOK * 3).await;
    let lost = stood().saturating_sub(before);
    (done, took.saturating_sub(lost), lost)
}

/// Asks a process again and again, each time on a new connection.
pub struct Probes {
    times: Arc<Mutex<Vec<Option<Duration>>>>,
    asking: JoinHandle<()>,
}

/// What probes met.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// The time of each answer; `None` where none came in time.
    pub times: Vec<Option<Duration>>,
}

impl Probes {
    /// Asks from now on.
    pub fn ask(internal: SocketAddr) -> Self {
        let times = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&times);
        let asking = tokio::spawn(async move {
            let mut excused = 0;
            loop {
                let asked = tokio::time::timeout(PATIENCE, raw::get(internal, "/livez"));
                let (answer, took, lost) = timed(asked).await;
                let good = matches!(answer, Ok(Ok(reply)) if reply.status == 200);
                // A laboratory that does not run hears no answer, and asks again. Twice in a row at most: a market that takes
                // every core would excuse itself
                if good || lost < PATIENCE / 2 || excused == 2 {
                    excused = 0;
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(good.then_some(took));
                } else {
                    excused += 1;
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { times, asking }
    }

    /// Stops asking.
    pub fn end(self) -> Met {
        self.asking.abort();
        Met { times: std::mem::take(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner)) }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Met {
    /// All of several.
    pub fn join(all: impl IntoIterator<Item = Self>) -> Self {
        Self { times: all.into_iter().flat_map(|met| met.times).collect() }
    }

    /// Questions that were not answered in time.
    pub fn unanswered(&self) -> usize {
        self.times.iter().filter(|time| time.is_none()).count()
    }

    /// The most questions in a row that were not: the manifests let three such in a row end a pod.
    pub fn longest_silence(&self) -> usize {
        let silences = self.times.split(Option::is_some);
        silences.map(<[_]>::len).max().unwrap_or_default()
    }

    /// The 99th percentile; an answer that did not come counts as the whole patience.
    pub fn p99(&self) -> Duration {
        let mut times: Vec<_> = self.times.iter().map(|time| time.unwrap_or(PATIENCE)).collect();
        times.sort_unstable();
        let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
        times.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_answered_counts_as_slow() {
        let ms = |n| Some(Duration::from_millis(n));
        let met = Met { times: (1..=200).map(ms).chain([None, None, None, ms(1), None]).collect() };
        assert_eq!((met.unanswered(), met.longest_silence()), (4, 3));
        assert_eq!(met.p99(), PATIENCE);
        let quick = Met { times: (1..=200).map(ms).collect() };
        assert_eq!((quick.p99(), quick.longest_silence()), (Duration::from_millis(198), 0));
    }
}
