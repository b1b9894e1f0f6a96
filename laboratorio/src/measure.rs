//! What the customers met: a sample for each operation, and what was done to the market meanwhile.

use crate::wire::Answer;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The longest time that a histogram tells apart, in microseconds.
const LONGEST: u64 = 120_000_000;

/// What kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Reading.
    Read,
    /// A purchase, from its intended start to an answer for good.
    Buy,
    /// Anything else.
    Other,
}

impl End {
    /// Of an answer.
    pub fn of(answer: &Answer) -> Self {
        match answer.status {
            Some(200..=399) if !answer.body.is_null() => Self::Done,
            Some(400..=499) => Self::Refused,
            Some(_) => Self::Failed,
            None => Self::Silent,
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// 2xx that can be read.
    Done,
    /// 4xx: the market said no.
    Refused,
    /// 5xx, or a success that cannot be read.
    Failed,
    /// No whole answer.
    Silent,
    /// The run ended while its customer still waited for a turn: nothing was sent.
    Left,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it should have begun, in microseconds of the run.
    pub at: u64,
    /// Microseconds from then to its end.
    pub took: u64,
    /// What.
    pub kind: Kind,
    /// How it ended.
    pub end: End,
    /// Who answered: an index into [`Measured::pods`].
    pub pod: Option<u16>,
}

impl Sample {
    /// When it ended, in microseconds of the run.
    pub const fn ended(&self) -> u64 {
        self.at + self.took
    }
}

fn per_second(n: usize, from: u64, to: u64) -> f64 {
    n as f64 * 1e6 / to.saturating_sub(from).max(1) as f64
}

/// Something that was done to the market.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Microseconds of the run.
    pub from: u64,
    /// The same; an instant ends where it begins.
    pub to: u64,
    /// In words.
    pub what: String,
    /// Whether a part of the market was out of order meanwhile; else it is a step of the experiment.
    pub fault: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// In the order in which they ended.
    pub samples: Vec<Sample>,
    /// Names of those that answered.
    pub pods: Vec<String>,
    /// Answers that were no answer for good, by operation and reason.
    pub failures: BTreeMap<(Kind, String), u64>,
    /// When those came, in microseconds of the run.
    pub failed_at: Vec<u64>,
    /// By their beginning.
    pub marks: Vec<Mark>,
}

/// Collects it while the experiment runs.
pub struct Meter {
    start: Instant,
    all: Mutex<Measured>,
    recent: Mutex<Histogram<u64>>,
    operations: AtomicU64,
    errors: AtomicU64,
    bought: AtomicU64,
}

/// A look at the last moments, for the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// Operations so far.
    pub operations: u64,
    /// Answers that were no answer for good, so far.
    pub errors: u64,
    /// Purchases so far.
    pub bought: u64,
    /// Of the operations since the last look, in microseconds.
    pub p99: u64,
}

/// A histogram of microseconds, good to three digits.
pub fn histogram() -> Histogram<u64> {
    // the bounds are constants that it takes
    Histogram::new_with_bounds(1, LONGEST, 3).unwrap_or_else(|_| unreachable!("bounds of a histogram"))
}

impl Meter {
    /// Whose time begins there.
    pub fn since(start: Instant) -> Self {
        Self {
            start,
            all: Mutex::default(),
            recent: Mutex::new(histogram()),
            operations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            bought: AtomicU64::new(0),
        }
    }

    /// Microseconds of the run.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same of another moment.
    pub fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation that ended now.
    pub fn sample(&self, intended: Instant, kind: Kind, end: End, pod: Option<&str>) {
        let at = self.at(intended);
        let took = self.now().saturating_sub(at);
        self.operations.fetch_add(1, Ordering::Relaxed);
        if (kind, end) == (Kind::Buy, End::Done) {
            self.bought.fetch_add(1, Ordering::Relaxed);
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(took.max(1));
        let mut all = self.lock();
        let pod = pod.map(|name| {
            let known = all.pods.iter().position(|p| p == name);
            let which = known.unwrap_or_else(|| {
                all.pods.push(name.to_owned());
                all.pods.len() - 1
            });
            u16::try_from(which).unwrap_or(u16::MAX)
        });
        all.samples.push(Sample { at, took, kind, end, pod });
    }

    /// An answer that was no answer for good.
    pub fn failure(&self, kind: Kind, reason: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let mut all = self.lock();
        *all.failures.entry((kind, reason.to_owned())).or_default() += 1;
        all.failed_at.push(now);
    }

    /// Something that was done, from then to now; its number, for [`Meter::lasts`].
    pub fn mark(&self, from: u64, what: String, fault: bool) -> usize {
        self.mark_to(from, self.now(), what, fault)
    }

    /// The same where its end is known.
    pub fn mark_to(&self, from: u64, to: u64, what: String, fault: bool) -> usize {
        let mut all = self.lock();
        all.marks.push(Mark { from, to, what, fault });
        all.marks.len() - 1
    }

    /// What has this number goes on until now.
    pub fn lasts(&self, mark: usize) {
        let now = self.now();
        if let Some(mark) = self.lock().marks.get_mut(mark) {
            mark.to = now;
        }
    }

    /// How it goes.
    pub fn glance(&self) -> Glance {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let p99 = recent.value_at_quantile(0.99);
        recent.reset();
        Glance {
            operations: self.operations.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            bought: self.bought.load(Ordering::Relaxed),
            p99,
        }
    }

    /// A copy of everything.
    pub fn measured(&self) -> Measured {
        let mut all = self.lock().clone();
        all.marks.sort_by_key(|m| m.from);
        all
    }
}

impl Measured {
    /// The histogram of one kind, of what was begun in this time.
    pub fn times(&self, kind: Kind, from: u64, to: u64) -> Histogram<u64> {
        let mut times = histogram();
        for s in self.samples.iter().filter(|s| s.kind == kind && (from..to).contains(&s.at)) {
            times.saturating_record(s.took.max(1));
        }
        times
    }

    /// Answers of this kind that came in this time, a second; refusals, and those of operations that were to begin earlier, are
    /// among them.
    pub fn answered(&self, kind: Kind, from: u64, to: u64) -> f64 {
        let is_answer = |end| matches!(end, End::Done | End::Refused);
        let came = |s: &&Sample| s.kind == kind && is_answer(s.end) && (from..to).contains(&s.ended());
        per_second(self.samples.iter().filter(came).count(), from, to)
    }

    /// Operations of this kind that were to begin in this time, a second.
    pub fn offered(&self, kind: Kind, from: u64, to: u64) -> f64 {
        let due = |s: &&Sample| s.kind == kind && (from..to).contains(&s.at);
        per_second(self.samples.iter().filter(due).count(), from, to)
    }

    /// How many operations of this kind ended so.
    pub fn count(&self, kind: Kind, end: impl Fn(End) -> bool) -> u64 {
        self.samples.iter().filter(|s| s.kind == kind && end(s.end)).count() as u64
    }
}
