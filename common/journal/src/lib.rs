//! The JSON store under all three services. Its files, protocol and failures: `docs/JOURNAL.md`; why so: ADR 0003.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `handle` | [`Journal`] and [`Snapshot`]: open, read, write, close |
//! | `writer` | [`Tx`], the queue, the writer's thread: group commit, latch, reopen |
//! | `append` | under the write lock: catch up, repair the end, append, change generation |
//! | `store` | the applied state, reading it, following other processes' lines |
//! | `open` | load, verify, seed |
//! | `compact` | new arrays and a short journal, beside the writes |
//! | `check` | `mercado journal check` and `dump`, which only look |
//! | `whole`, `contents` | stores read and directories filled as a whole, for `mercado migrar`; two models compared |
//! | `format`, `array`, `mark` | the bytes: journal lines, array files, the durable mark |
//! | `lock`, `disk`, `mount` | the write lock, every file operation, network file systems |
//! | `error` | [`StoreError`], [`OpenError`] |
//! | `memory`, `simulation` | for tests: a disk in memory that fails and forgets, and journals on it without threads |
//! | `testing` | the store on a disk in memory, for other crates' tests (feature `testing`) |
//!
//! The laws:
//!
//! 1. Acknowledged means on disk: no answer before `fdatasync` of its line. One writer, group commit, no timer.
//! 2. No reader, in this process or another, sees a change before it is durable. Reads take no lock and see one
//!    consistent state.
//! 3. Several processes on one machine may open one directory; a read after another's acknowledged write sees it.
//! 4. A write costs the same with ten records and with ten million; compaction runs beside writes; a clean stop
//!    compacts.
//! 5. A torn last line that was never acknowledged is cut and logged. Damage anywhere else: refuse to start, name file
//!    and line, change nothing.
//! 6. After a failed write or sync the store refuses writes until reopened.
//! 7. An empty directory is filled from the seed, once.

mod append;
mod array;
pub mod check;
mod compact;
mod contents;
mod disk;
mod error;
mod format;
mod handle;
mod lock;
mod mark;
#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), allow(dead_code, reason = "much of it is for the journal's own tests"))]
mod memory;
mod mount;
mod open;
mod seed;
#[cfg(feature = "simulation")]
pub mod simulation;
mod store;
#[cfg(any(test, feature = "simulation"))]
mod tests;
mod whole;
mod writer;

/// The store on a disk in memory, and the runs of the crash tests as a fuzzer makes them up.
#[cfg(feature = "simulation")]
pub mod testing {
    pub use super::tests::{disk::Disk, history::history};
}

pub use array::ArrayWriter;
pub use contents::{Content, contents, difference};
pub use error::{OpenError, StoreError};
pub use handle::{Journal, Snapshot};
pub use seed::seed;
pub use whole::{Filling, Quiet};
pub use writer::Tx;

use std::{io, path::PathBuf, time::Duration};

/// What a service keeps: a value whose clones share their parts (`imbl` maps), so that a clone costs O(1).
pub trait Model: Clone + Default + Send + Sync + 'static {
    /// The store's base name: `usuarios` gives `usuarios.journal` and `usuarios.lock`.
    const NAME: &'static str;
    /// The collections, in load order; each is the array file `<name>.json`.
    const COLLECTIONS: &'static [&'static str];
    /// One record's new image or its removal; a journal line holds several. An externally tagged enum.
    type Change: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static;

    /// Applies one change. It must be a blind put or remove: it cannot fail, and it does not look at what was there.
    fn apply(&mut self, change: &Self::Change);

    /// Parses, checks and adds one element (JSON text) of a collection's array. Called only while array files load.
    ///
    /// # Errors
    /// The reason, where the element is wrong: its type, a negative balance, an id that is there already.
    fn load(&mut self, collection: &str, element: &str) -> Result<(), String>;

    /// Writes each record of a collection, in key order.
    ///
    /// # Errors
    /// Those of [`ArrayWriter::element`].
    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()>;

    /// The number of records of a collection.
    fn count(&self, collection: &str) -> usize;

    /// Called when the store opens, under its lock, with everything loaded: changes to be written, as one line, before
    /// anybody reads (opening movements of seeded or hand-edited records). `edited` names the collections whose array
    /// file is not the one that the last compaction wrote: a seed, or a person's edit.
    ///
    /// # Errors
    /// A reason refuses the start.
    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Self::Change>, String>;
}

/// Where a store lives and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the store's files; made if missing.
    pub dir: PathBuf,
    /// Array files that fill a store which was never used.
    pub seed_dir: Option<PathBuf>,
    /// Array files by collection that do so where there is no `seed_dir`.
    pub sample: &'static [(&'static str, &'static str)],
    /// A journal is compacted once it is larger than this many bytes and than its array files together.
    pub compact_bytes: u64,
}

impl Options {
    /// A store in `dir`, without seed, compacted from 4 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), seed_dir: None, sample: &[], compact_bytes: 4 << 20 }
    }
}

/// Counts of one [`Journal`] since it was opened, but for what its name says is a state.
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
    /// The journal file's length now.
    pub journal_bytes: u64,
    /// The array files' length now.
    pub array_bytes: u64,
    /// Records now, by collection.
    pub records: Vec<(&'static str, usize)>,
    /// How long opening took.
    pub load: Duration,
}
