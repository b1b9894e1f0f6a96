//! The write lock, which a batch holds from its first look at the journal to its mark.

use super::{
    disk::{File, Inode, Volume},
    error::Failure,
    store::Paths,
};

/// One thread's handles on the lock files: a `flock` belongs to an open file, so threads that share one do not exclude
/// each other.
pub(super) struct Locks {
    volume: Volume,
    lock: File,
    inode: Inode,
    /// Who waits for the lock holds this. Without it, a busy process takes the lock again before a waiting one has woken
    /// up, for seconds on end.
    turn: File,
}

impl Locks {
    pub(super) fn open(paths: &Paths) -> Result<Self, Failure> {
        let volume = paths.volume.clone();
        let lock = volume.open_or_create(&paths.lock)?;
        let turn = volume.open_or_create(&paths.turn)?;
        Ok(Self { volume, inode: lock.inode()?, lock, turn })
    }

    /// Waits for the write lock. The kernel frees the lock of a process that dies.
    pub(super) fn hold(&self) -> Result<Held<'_>, Failure> {
        self.turn.lock()?;
        let locked = self.lock.lock();
        let turned = self.turn.unlock();
        locked?;
        let held = Held(self);
        turned?;
        if self.volume.inode(self.lock.path())? != self.inode {
            let reason =
                "it was replaced while in use, so that it excludes nobody; restart every process on it";
            return Err(Failure::damage(self.lock.path(), None, reason));
        }
        Ok(held)
    }
}

/// The write lock, until dropped.
pub(super) struct Held<'a>(&'a Locks);

impl Held<'_> {
    /// Where the mark is written.
    pub(super) fn file(&self) -> &File {
        &self.0.lock
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Err(e) = self.0.lock.unlock() {
            log::error!("journal: cannot unlock: {e}");
        }
    }
}
