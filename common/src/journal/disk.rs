//! Every file operation of the journal, and nothing else: the one place where a test can make the disk fail.

use super::error::Failure;
use std::{
    fs, io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// An open file that remembers its path, so that each error names it.
#[derive(Debug, Clone)]
pub(super) struct File {
    file: Arc<fs::File>,
    path: Arc<Path>,
}

/// A file's identity for as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inode(u64, u64);

impl Inode {
    fn of(meta: &fs::Metadata) -> Self {
        Self(meta.dev(), meta.ino())
    }

    /// The inode that a path names now.
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        fs::metadata(path).map(|meta| Self::of(&meta)).map_err(|e| Failure::io(path, e))
    }
}

impl File {
    fn with(options: &fs::OpenOptions, path: &Path) -> Result<Self, Failure> {
        let file = options.open(path).map_err(|e| Failure::io(path, e))?;
        Ok(Self { file: Arc::new(file), path: path.into() })
    }

    /// Opens a file that exists, to read and write it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Self::with(fs::OpenOptions::new().read(true).write(true), path)
    }

    /// Opens a file that exists, only to read it.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, Failure> {
        Self::with(fs::OpenOptions::new().read(true), path)
    }

    /// Opens a file, which is made if missing and left as it is otherwise.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, Failure> {
        Self::with(fs::OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
    }

    /// Makes a file, empty even if it was there.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        fault(path, Op::Write).map_err(|e| Failure::io(path, e))?;
        Self::with(fs::OpenOptions::new().read(true).write(true).create(true).truncate(true), path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn named<T>(&self, result: io::Result<T>) -> Result<T, Failure> {
        result.map_err(|e| Failure::io(&self.path, e))
    }

    pub(super) fn inode(&self) -> Result<Inode, Failure> {
        self.named(self.file.metadata()).map(|meta| Inode::of(&meta))
    }

    pub(super) fn len(&self) -> Result<u64, Failure> {
        self.named(self.file.metadata()).map(|meta| meta.len())
    }

    /// Reads what there is of `[from, to)`: less where the file ends before.
    pub(super) fn read_range(&self, from: u64, to: u64) -> Result<Vec<u8>, Failure> {
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; wanted];
        let mut got = 0;
        while got < wanted {
            match self.file.read_at(&mut bytes[got..], from + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Failure::io(&self.path, e)),
            }
        }
        bytes.truncate(got);
        Ok(bytes)
    }

    /// One `pread` into a small buffer; how many bytes there were.
    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<usize, Failure> {
        self.named(self.file.read_at(bytes, at))
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        self.named(fault(&self.path, Op::Write).and_then(|()| self.file.write_all_at(bytes, at)))
    }

    pub(super) fn set_len(&self, len: u64) -> Result<(), Failure> {
        self.named(fault(&self.path, Op::Truncate).and_then(|()| self.file.set_len(len)))
    }

    /// `fdatasync`.
    pub(super) fn sync_data(&self) -> Result<(), Failure> {
        self.named(fault(&self.path, Op::Sync).and_then(|()| self.file.sync_data()))
    }

    /// Waits for the `flock` of this open file.
    pub(super) fn lock(&self) -> Result<(), Failure> {
        loop {
            match self.file.lock() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return self.named(done),
            }
        }
    }

    /// Takes the `flock` unless somebody has it.
    pub(super) fn try_lock(&self) -> Result<bool, Failure> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(e)) => Err(Failure::io(&self.path, e)),
        }
    }

    pub(super) fn unlock(&self) -> Result<(), Failure> {
        self.named(self.file.unlock())
    }
}

/// The whole file, or `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(path, e)),
    }
}

pub(super) fn exists(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|e| Failure::io(path, e))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fault(to, Op::Rename).and_then(|()| fs::rename(from, to)).map_err(|e| Failure::io(to, e))
}

/// Removes a file; that there is none is fine.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Failure::io(path, e)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Failure> {
    fault(dir, Op::Sync).and_then(|()| fs::File::open(dir)?.sync_all()).map_err(|e| Failure::io(dir, e))
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// What a test can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub(super) enum Op {
    Write,
    Truncate,
    Sync,
    Rename,
}

#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps)]
fn fault(_path: &Path, _op: Op) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use faults::fault;

#[cfg(test)]
pub(super) mod faults {
    //! A switch, by path, since tests run beside each other in one process.
    use super::{Op, Path, PathBuf, io};
    use std::sync::Mutex;

    static BROKEN: Mutex<Vec<(PathBuf, Op)>> = Mutex::new(Vec::new());

    /// From now on `op` fails on this path, until [`mend`].
    pub(in super::super) fn break_down(path: &Path, op: Op) {
        BROKEN.lock().unwrap().push((path.to_owned(), op));
    }

    pub(in super::super) fn mend(path: &Path) {
        BROKEN.lock().unwrap().retain(|(p, _)| p != path);
    }

    pub(super) fn fault(path: &Path, op: Op) -> io::Result<()> {
        let broken = BROKEN.lock().unwrap().iter().any(|(p, o)| p == path && *o == op);
        if broken { Err(io::Error::other("the test broke it")) } else { Ok(()) }
    }
}
