//! Every file operation of the journal, and nothing else. [`FileSystem`] and [`OpenFile`] are what is needed of a file system.
//! [`Real`] is that of this machine, and the tests have one in memory that fails and forgets on demand (`simulation/memory`).
//! The rest of the journal uses [`Volume`] and [`File`], which name the file in each error.

use super::{access, error::Failure, mount};
use std::{
    fmt, fs, io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::Arc,
};

/// A file system. A virtual call costs nothing beside the system call that it makes.
pub(super) trait FileSystem: fmt::Debug + Send + Sync {
    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn OpenFile>>;
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The inode that a path names now.
    fn inode(&self, path: &Path) -> io::Result<Inode>;
    /// Atomic; durable with the next [`sync_dir`](Self::sync_dir), like every change of a name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// A directory and those above it that are missing.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Takes away from a file the rights of everybody who does not share its directory.
    fn tighten(&self, path: &Path) -> io::Result<()>;
    /// The same with the edits that were set aside in a directory, and with the directory where only stores use it.
    fn tighten_dir(&self, dir: &Path, edited: &str) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The type of a network file system, where the directory is on one.
    fn network(&self, dir: &Path) -> io::Result<Option<String>>;
    /// By how much a file that is appended to grows at a time, so that few syncs have a new length to record.
    fn growth(&self) -> usize;
}

/// An open file.
pub(super) trait OpenFile: fmt::Debug + Send + Sync {
    fn inode(&self) -> io::Result<Inode>;
    fn len(&self) -> io::Result<u64>;
    /// `pread`: how many bytes there were.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// `pwrite` of all of it. After an error, any beginning of it may be there.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// `fdatasync`. After an error, what was written may be on disk or not, and a later success says nothing of it.
    fn sync_data(&self) -> io::Result<()>;
    /// Waits for the `flock`, which belongs to this open file and ends with it.
    fn lock(&self) -> io::Result<()>;
    /// Takes the `flock` unless somebody has it.
    fn try_lock(&self) -> io::Result<bool>;
    fn unlock(&self) -> io::Result<()>;
    /// Takes a share of the `flock` unless somebody has all of it.
    fn share(&self) -> io::Result<bool>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It exists, and is only read.
    Read,
    /// It exists.
    Write,
    /// Made if missing, left as it is otherwise.
    Create,
    /// Made, empty even if it was there.
    Truncate,
}

/// A file's identity for as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inode(pub(super) u64, pub(super) u64);

/// The file system of this machine.
#[derive(Debug)]
struct Real;

impl FileSystem for Real {
    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn OpenFile>> {
        Ok(Arc::new(match how {
            How::Read => fs::File::open(path)?,
            How::Write => fs::OpenOptions::new().read(true).write(true).open(path)?,
            How::Create => access::open_or_create(path, false)?,
            How::Truncate => access::open_or_create(path, true)?,
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn inode(&self, path: &Path) -> io::Result<Inode> {
        fs::metadata(path).map(|meta| Inode(meta.dev(), meta.ino()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        access::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        access::create_dir_all(dir)
    }

    fn tighten(&self, path: &Path) -> io::Result<()> {
        access::tighten(path)
    }

    fn tighten_dir(&self, dir: &Path, edited: &str) -> io::Result<()> {
        access::tighten_dir(dir, edited)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn network(&self, dir: &Path) -> io::Result<Option<String>> {
        mount::network(dir)
    }

    fn growth(&self) -> usize {
        // on ext4 it makes a sync a third cheaper
        128 << 10
    }
}

impl OpenFile for fs::File {
    fn inode(&self) -> io::Result<Inode> {
        self.metadata().map(|meta| Inode(meta.dev(), meta.ino()))
    }

    fn len(&self) -> io::Result<u64> {
        self.metadata().map(|meta| meta.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, at)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }

    fn lock(&self) -> io::Result<()> {
        fs::File::lock(self)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match fs::File::try_lock(self) {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        fs::File::unlock(self)
    }

    fn share(&self) -> io::Result<bool> {
        match fs::File::try_lock_shared(self) {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }
}

/// A disk, whose errors name the file.
#[derive(Debug, Clone)]
pub(super) struct Volume(Arc<dyn FileSystem>);

impl Volume {
    /// The file system of this machine.
    pub(super) fn real() -> Self {
        Self(Arc::new(Real))
    }

    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn of(disk: Arc<dyn FileSystem>) -> Self {
        Self(disk)
    }

    fn file(&self, path: &Path, how: How) -> Result<File, Failure> {
        let file = self.0.open(path, how).map_err(|e| Failure::io(path, e))?;
        Ok(File { file, path: path.into() })
    }

    /// Opens a file that exists, to read and write it.
    pub(super) fn open(&self, path: &Path) -> Result<File, Failure> {
        self.file(path, How::Write)
    }

    /// Opens a file that exists, only to read it.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<File, Failure> {
        self.file(path, How::Read)
    }

    /// Opens a file, which is made if missing and left as it is otherwise.
    pub(super) fn open_or_create(&self, path: &Path) -> Result<File, Failure> {
        self.file(path, How::Create)
    }

    /// Makes a file, empty even if it was there.
    pub(super) fn create(&self, path: &Path) -> Result<File, Failure> {
        self.file(path, How::Truncate)
    }

    /// The inode that a path names now.
    pub(super) fn inode(&self, path: &Path) -> Result<Inode, Failure> {
        self.0.inode(path).map_err(|e| Failure::io(path, e))
    }

    /// The whole file, or `None` where there is none.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
        match self.0.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::io(path, e)),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> Result<bool, Failure> {
        match self.0.inode(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Failure::io(path, e)),
        }
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        self.0.rename(from, to).map_err(|e| Failure::io(to, e))
    }

    /// Removes a file; that there is none is fine.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Failure> {
        match self.0.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Failure::io(path, e)),
            _ => Ok(()),
        }
    }

    pub(super) fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }

    /// Takes away from a file the rights of everybody who does not share its directory. Where the system refuses that, since
    /// another user owns the file, the file stays as it is.
    pub(super) fn tighten(&self, path: &Path) {
        warn_open(path, self.0.tighten(path));
    }

    /// The same with a directory, and with the edits that were set aside there.
    pub(super) fn tighten_dir(&self, dir: &Path, edited: &str) {
        warn_open(dir, self.0.tighten_dir(dir, edited));
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), Failure> {
        self.0.sync_dir(dir).map_err(|e| Failure::io(dir, e))
    }

    /// Makes a directory's own name durable, and those above it, as far up as this user may look.
    pub(super) fn sync_above(&self, dir: &Path) -> Result<(), Failure> {
        for above in dir.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match self.0.sync_dir(above) {
                // This user may not open it, so we did not make it; or its file system has no such sync.
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) =>
                {
                    return Ok(());
                }
                done => done.map_err(|e| Failure::io(above, e))?,
            }
        }
        Ok(())
    }

    pub(super) fn network(&self, dir: &Path) -> io::Result<Option<String>> {
        self.0.network(dir)
    }

    pub(super) fn growth(&self) -> usize {
        self.0.growth()
    }
}

/// Memory is taken for so many bytes at a time. How many are wanted comes from another file, and may be any number.
const READ_AHEAD: usize = 16 << 20;

/// An open file that remembers its path, so that each error names it.
#[derive(Debug, Clone)]
pub(super) struct File {
    file: Arc<dyn OpenFile>,
    path: Arc<Path>,
}

impl File {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn named<T>(&self, result: io::Result<T>) -> Result<T, Failure> {
        result.map_err(|e| Failure::io(&self.path, e))
    }

    pub(super) fn inode(&self) -> Result<Inode, Failure> {
        self.named(self.file.inode())
    }

    pub(super) fn len(&self) -> Result<u64, Failure> {
        self.named(self.file.len())
    }

    /// Reads the bytes `[from, to)`, or as many of them as the file has.
    pub(super) fn read_range(&self, from: u64, to: u64) -> Result<Vec<u8>, Failure> {
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let (mut bytes, mut got) = (Vec::new(), 0);
        while got < wanted {
            if got == bytes.len() {
                bytes.resize((got + READ_AHEAD).min(wanted), 0);
            }
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
        self.named(self.file.write_all_at(bytes, at))
    }

    pub(super) fn set_len(&self, len: u64) -> Result<(), Failure> {
        self.named(self.file.set_len(len))
    }

    /// `fdatasync`.
    pub(super) fn sync_data(&self) -> Result<(), Failure> {
        self.named(self.file.sync_data())
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
        self.named(self.file.try_lock())
    }

    pub(super) fn unlock(&self) -> Result<(), Failure> {
        self.named(self.file.unlock())
    }

    /// Takes a share of the `flock` unless somebody has all of it.
    pub(super) fn share(&self) -> Result<bool, Failure> {
        self.named(self.file.share())
    }
}

fn warn_open(path: &Path, tightened: io::Result<()>) {
    if let Err(e) = tightened {
        log::warn!("{}: who may read it could not be limited: {e}", path.display());
    }
}
