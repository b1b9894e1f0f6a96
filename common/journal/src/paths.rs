//! The names of a store's files.

use super::{disk::Volume, error::Failure, options::Words};
use std::path::{Path, PathBuf};

/// The names of a store's files, and the disk that they are on.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) volume: Volume,
    pub(super) words: Words,
    pub(super) dir: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) turn: PathBuf,
    pub(super) compact: PathBuf,
}

impl Paths {
    pub(super) fn new(volume: Volume, words: Words, dir: &Path, name: &str) -> Self {
        let file = |extension: &str| dir.join(format!("{name}.{extension}"));
        Self {
            volume,
            words,
            dir: dir.to_owned(),
            journal: file("journal"),
            lock: file("lock"),
            turn: file("turn"),
            compact: file("compact"),
        }
    }

    pub(super) fn array(&self, collection: &str) -> PathBuf {
        self.dir.join(format!("{collection}.json"))
    }

    /// Every file that this store may have, but for edits that were set aside.
    pub(super) fn all(&self, collections: &[&str]) -> Vec<PathBuf> {
        let arrays = collections.iter().map(|collection| self.array(collection));
        let records: Vec<_> = arrays.chain([self.journal.clone()]).collect();
        let tmp: Vec<_> = records.iter().map(|path| Self::tmp(path)).collect();
        let empty = [&self.lock, &self.turn, &self.compact].map(PathBuf::clone);
        [records, tmp, empty.into()].concat()
    }

    /// The file that a rename will put in the place of `path`.
    pub(super) fn tmp(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        name.into()
    }

    /// What says that the directory is being filled: see `transfer`.
    pub(super) fn filling(&self) -> PathBuf {
        self.dir.join(self.words.filling)
    }

    /// Refuses a directory that was filled and not finished: it is whole only once all of its stores are.
    pub(super) fn refuse_unfinished(&self) -> Result<(), Failure> {
        let file = self.filling();
        if !self.volume.exists(&file)? {
            return Ok(());
        }
        let reason = format!(
            "a move into this directory has not ended: run {} again, which begins anew, or remove what is in the \
             directory, this file last",
            self.words.mover
        );
        Err(Failure::damage(&file, None, reason))
    }
}
