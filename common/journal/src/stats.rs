//! What is counted while a store is open.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What one open store has counted.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) lines: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) compactions: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) full: AtomicU64,
}

impl Counters {
    /// Fills in the fields that are counts.
    pub(super) fn stats(&self) -> Stats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            lines: count(&self.lines),
            syncs: count(&self.syncs),
            batches: count(&self.batches),
            compactions: count(&self.compactions),
            refused: count(&self.refused),
            full: count(&self.full),
            ..Stats::default()
        }
    }
}

/// Counts of one [`Journal`](super::Journal) since it was opened, but for what its name says is a state.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// The last applied line.
    pub seq: u64,
    /// The journal file's generation: how often it was compacted.
    pub generation: u64,
    /// Lines that this process wrote.
    pub lines: u64,
    /// `fdatasync` calls on the journal for them.
    pub syncs: u64,
    /// Batches, also those that wrote nothing.
    pub batches: u64,
    /// Compactions that this process finished.
    pub compactions: u64,
    /// Writes that wait now, or are under way.
    pub queued: usize,
    /// Writes that were refused because too many waited.
    pub refused: u64,
    /// Bytes of memory that the records take, as the model counts them.
    pub memory: u64,
    /// Writes that were refused because the budget was used up.
    pub full: u64,
    /// The journal file's length now.
    pub journal_bytes: u64,
    /// The array files' length now.
    pub array_bytes: u64,
    /// Records now, by collection.
    pub records: Vec<(&'static str, usize)>,
    /// How long opening took.
    pub load: Duration,
}
