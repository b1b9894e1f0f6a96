//! A crash-safe store of readable JSON arrays for several processes on one machine. Its files, protocol and failures:
//! `docs/JOURNAL.md`; why so: ADR 0003.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `model`, `options` | what a program says: [`Model`], [`Options`], [`Words`] |
//! | `error`, `stats` | what it is told: [`StoreError`], [`OpenError`], [`Stats`] |
//! | `handle` | [`Journal`] and [`Snapshot`]: open, read, write, close |
//! | `hide` | records as people are shown them |
//! | `writer` | [`Tx`], the queue, the writer's thread: group commit, latch, reopen |
//! | `append` | under the write lock: catch up, repair the end, append, change generation |
//! | `store` | the applied state, reading it, following other processes' lines |
//! | `load` | the one reader of a store's files; `open`, `store`, `transfer` and `check` each judge what it found |
//! | `open`, `seed` | open or make a store |
//! | `compact`, `replace` | new arrays and a short journal, beside the writes; an edit that they meet |
//! | `check` | a look at a store that changes nothing |
//! | `transfer`, `contents` | stores read and directories filled as a whole; two models compared |
//! | `journal_file`, `format`, `array`, `mark` | the bytes: the journal's header and lines, array files, the durable mark |
//! | `paths`, `lock`, `disk` | file names, the write lock, every file operation |
//! | `access`, `mount` | who may read the files, network file systems |
//! | `budget`, `progress` | how much memory records may take, what a slow start says |
//! | `simulation` | for tests (feature `simulation`): a disk in memory that fails and forgets, and the crash suite on it |
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
mod budget;
pub mod check;
mod compact;
mod contents;
mod disk;
mod error;
mod format;
mod handle;
mod hide;
mod journal_file;
mod load;
mod lock;
mod mark;
mod model;
mod mount;
mod open;
mod options;
mod paths;
mod progress;
mod replace;
mod seed;
#[cfg(any(test, feature = "simulation"))]
#[cfg_attr(not(test), allow(dead_code, reason = "much of it is for the journal's own tests"))]
pub mod simulation;
mod stats;
mod store;
mod transfer;
mod writer;

/// The README's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use budget::{Budget, Need};
pub use contents::{Content, contents, difference};
pub use error::{OpenError, StoreError};
pub use handle::{Journal, Snapshot};
pub use model::{ArrayWriter, Model};
pub use options::{Options, Words};
pub use seed::seeded;
pub use stats::Stats;
pub use transfer::{Filling, Quiet};
pub use writer::Tx;
