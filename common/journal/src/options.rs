//! [`Options`]: where a store lives and how it behaves. [`Words`]: what it calls the program around it.

use super::budget::Budget;
use std::path::PathBuf;

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
    /// Writes that may wait at once. One more is refused at once: [`StoreError::Busy`](super::StoreError::Busy).
    pub queue: usize,
    /// How much memory the records may take, together with those of the other stores that share the budget. `None`: as much
    /// as there is.
    pub budget: Option<Budget>,
    /// Names that only the program knows.
    pub words: Words,
}

impl Options {
    /// A store in `dir`, without seed, compacted from 4 MiB, with room for 4096 writes that wait and no budget.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            dir,
            seed_dir: None,
            sample: &[],
            compact_bytes: 4 << 20,
            queue: 4096,
            budget: None,
            words: Words::default(),
        }
    }
}

/// Names of files and of commands that the store writes or says, and that belong to the program around it. All processes on
/// one directory must agree on the names of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The file that is in a directory while it is being filled, and keeps every store in it closed.
    pub filling: &'static str,
    /// The command that reads stores and fills directories as a whole, as messages name it.
    pub mover: &'static str,
    /// What to use where a directory is on a network file system: the end of a sentence.
    pub instead_of_network: &'static str,
    /// Comes between the name of an array file and a time: the file that keeps an edit which a compaction met.
    pub edited: &'static str,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            filling: "filling.unfinished",
            mover: "`move`",
            instead_of_network: "use a local disk",
            edited: "edited",
        }
    }
}
