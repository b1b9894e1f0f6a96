//! How much memory the records of a process's stores may take. Beyond that, writes that add something are refused; what goes
//! on with a thing, and what ends one, have a reserve each.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What a write is for. It says how much of the memory the write may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It adds what may as well stay away.
    Add,
    /// It begins something that other writes will end. It may use the reserve.
    Begin,
    /// It ends what an earlier write began, and leaves little more behind than was there. It may use a second reserve of the
    /// same size, which nothing else uses: what was begun can be ended.
    End,
}

/// The share of the memory that the records of a process's stores have together. Clones share it.
///
/// Each store counts its records by [`Model::memory`](super::Model::memory): so the same records come to the same number after
/// a restart, and what is removed gives its room back. The size of the process would tell neither.
#[derive(Debug, Clone)]
pub struct Budget {
    most: u64,
    reserve: u64,
    used: Arc<AtomicU64>,
}

impl Budget {
    /// `most` bytes for everything, and twice a `reserve` besides: see [`Need`].
    #[must_use]
    pub fn new(most: u64, reserve: u64) -> Self {
        Self { most, reserve, used: Arc::default() }
    }

    /// Bytes up to which every write is taken.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Bytes that the records take now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a write is to be refused while so many bytes are used.
    fn refuses(&self, need: Need, used: u64) -> bool {
        let reserves = match need {
            Need::Add => 0,
            Need::Begin => self.reserve,
            Need::End => self.reserve.saturating_mul(2),
        };
        used > self.most.saturating_add(reserves)
    }
}

/// What one open store has counted; given back when the store is let go.
#[derive(Debug)]
pub(super) struct Counted {
    budget: Option<Budget>,
    bytes: AtomicU64,
}

impl Counted {
    pub(super) fn new(budget: Option<Budget>, bytes: u64) -> Self {
        let counted = Self { budget, bytes: AtomicU64::new(0) };
        counted.set(bytes);
        counted
    }

    /// The store's records take so many bytes from now on.
    pub(super) fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if let Some(budget) = &self.budget {
            // the difference may be negative: adding it wraps round to the right sum
            budget.used.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
        }
    }

    /// What there is for the writes of a batch.
    pub(super) fn room(&self) -> Room {
        let others = |budget: &Budget| budget.used().saturating_sub(self.bytes.load(Ordering::Relaxed));
        Room(self.budget.as_ref().map(|budget| (budget.clone(), others(budget))))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The budget, and what the other stores of the process use of it.
pub(super) struct Room(Option<(Budget, u64)>);

impl Room {
    /// Whether a write of this store, whose records take so many bytes now, is to be refused.
    pub(super) fn refuses(&self, need: Need, own: u64) -> bool {
        self.0.as_ref().is_some_and(|(budget, others)| budget.refuses(need, others.saturating_add(own)))
    }
}
