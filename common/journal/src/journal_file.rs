//! One journal file, opened, with its header.

use super::{
    disk::{File, Inode},
    error::{Damage, Failure},
    format::{Header, Stop},
    paths::Paths,
};
use std::io;

/// A header is a few hundred bytes; this is room for many collections.
const HEADER_ROOM: u64 = 64 << 10;

/// A journal file that is open. Another file may be at its path by now.
pub(super) struct JournalFile {
    pub(super) file: File,
    pub(super) inode: Inode,
    pub(super) header: Header,
    /// Where the first line begins.
    pub(super) body: u64,
}

impl JournalFile {
    /// The journal that the path names now, or `None` where there is none. While it is open, this process has a share of its
    /// `flock`: that says that the store is in use (see `transfer`).
    pub(super) fn open(paths: &Paths) -> Result<Option<Self>, Failure> {
        if !paths.volume.exists(&paths.journal)? {
            return Ok(None);
        }
        let file = paths.volume.open(&paths.journal)?;
        if !file.share()? {
            let reason =
                format!("{} is reading this store; start again when that has ended", paths.words.mover);
            return Err(Failure::io(&paths.journal, io::Error::new(io::ErrorKind::ResourceBusy, reason)));
        }
        Self::of(paths, file).map(Some)
    }

    /// The same, only to look at it: no share of the lock is taken.
    pub(super) fn look(paths: &Paths) -> Result<Option<Self>, Failure> {
        if paths.volume.exists(&paths.journal)? {
            Self::of(paths, paths.volume.open_to_read(&paths.journal)?).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The journal that this process has just put in place.
    pub(super) fn reopen(paths: &Paths) -> Result<Self, Failure> {
        Self::open(paths)?.ok_or_else(|| Failure::damage(&paths.journal, None, "it is gone"))
    }

    fn of(paths: &Paths, file: File) -> Result<Self, Failure> {
        let inode = file.inode()?;
        let (header, body) = Header::decode(&file.read_range(0, HEADER_ROOM)?)
            .map_err(|e| Failure::damage(&paths.journal, 1, e))?;
        Ok(Self { file, inode, header, body })
    }

    /// A line that was acknowledged and is not what it was.
    pub(super) fn damaged(&self, stop: &Stop) -> Damage {
        let reason = format!(
            "line {} was acknowledged and is damaged: {}; restore the directory from a copy",
            stop.seq, stop.reason
        );
        Damage::of(self.file.path(), self.header.line_of(stop.seq), reason)
    }
}
