//! A crash-safe store of readable JSON arrays for several processes on one machine. Its files, protocol and failures:
//! `docs/JOURNAL.md`; why so: ADR 0003.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `model`, `options`, `error`, `stats` | what a program gives and gets: [`Model`], [`Options`], [`Words`], the errors, [`Stats`] |
//! | `handle` | [`Journal`] and [`Snapshot`]: open, read, write, close |
//! | `writer` | [`Tx`], the queue, the writer's thread: group commit, latch, reopen |
//! | `append` | under the write lock: catch up, repair the end, append, change generation |
//! | `store` | the applied state, reading it, following other processes' lines |
//! | `load` | the one reader of a store's files; `open`, `store`, `whole` and `check` each judge what it found |
//! | `open`, `seed` | open or make a store |
//! | `compact`, `replace` | new arrays and a short journal, beside the writes; an edit that they meet |
//! | `check` | a look at a store that changes nothing |
//! | `whole`, `contents` | stores read and directories filled as a whole; two models compared |
//! | `journal_file`, `format`, `array`, `mark` | the bytes: the journal's header and lines, array files, the durable mark |
//! | `paths`, `lock`, `disk` | file names, the write lock, every file operation |
//! | `access`, `mount`, `progress` | who may read the files, network file systems, what a slow start says |
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

mod access;
mod append;
mod array;
pub mod check;
mod compact;
mod contents;
mod disk;
mod error;
mod format;
mod handle;
mod journal_file;
mod load;
mod lock;
mod mark;
#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), allow(dead_code, reason = "much of it is for the journal's own tests"))]
mod memory;
mod model;
mod mount;
mod open;
mod options;
mod paths;
mod progress;
mod replace;
mod seed;
#[cfg(feature = "simulation")]
pub mod simulation;
mod stats;
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

pub use contents::{Content, contents, difference};
pub use error::{OpenError, StoreError};
pub use handle::{Journal, Snapshot};
pub use model::{ArrayWriter, Model};
pub use options::{Options, Words};
pub use seed::seeded;
pub use stats::Stats;
pub use whole::{Filling, Quiet};
pub use writer::Tx;
