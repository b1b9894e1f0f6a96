//! What can go wrong: [`StoreError`] while the store is open, [`OpenError`] before it is.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A write or read that the store could not do. The reasons are for the log, not for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An earlier write or sync failed; writes are refused until the store has been reopened, which it tries by itself
    /// once a second. Nothing of this write reached the disk.
    #[error("the store refuses writes since one failed: {reason}")]
    Latched {
        /// The failure that latched it.
        reason: Arc<str>,
    },
    /// As many writes wait as may, or operations of a database. Nothing was done; the same may be tried again in a moment.
    #[error("too many operations wait for the store")]
    Busy,
    /// There is no room for what the write adds: the [`Budget`](super::Budget) is used up, or a database's disk. Nothing was
    /// written. Reads go on, and so do writes that begin or end something while there is a reserve for them.
    #[error("the store is full")]
    Full,
    /// [`close`](super::Journal::close) was called. Nothing was written.
    #[error("the store is closed")]
    Closed,
    /// The write failed in a way that leaves open whether it will be there after a reopen: read it back, never guess.
    #[error("whether the write is on disk is not known: {reason}")]
    Unknown {
        /// What failed.
        reason: Arc<str>,
    },
    /// The disk refused. A write that gets this is not on disk, and will not be.
    #[error("the store could not read or write: {reason}")]
    Io {
        /// What failed, with the file's name.
        reason: Arc<str>,
    },
    /// The write's own fault: its closure panicked, or a change does not serialize. It was rolled back; the store goes on.
    #[error("the write was rolled back: {reason}")]
    Rejected {
        /// What it did.
        reason: Arc<str>,
    },
}

/// Something in a file that must not be there, or is missing. Its text is one line for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {reason}", file.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, where one is to blame.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Damage {
    pub(super) fn of(file: &Path, line: impl Into<Option<u64>>, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: line.into(), reason: reason.into() }
    }
}

/// What fails inside, before it is known whether it stops an open, a read or a write.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Damage(#[from] Damage),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl Failure {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// The system's answer alone, for a caller that names the file itself.
    pub(super) fn into_source(self) -> io::Error {
        match self {
            Self::Io { source, .. } => source,
            damage @ Self::Damage(_) => io::Error::other(damage),
        }
    }

    pub(super) fn damage(file: &Path, line: impl Into<Option<u64>>, reason: impl Into<String>) -> Self {
        Self::Damage(Damage::of(file, line, reason))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Io { reason: failure.to_string().into() }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        match failure {
            Failure::Damage(Damage { file, line, reason }) => Self::Data { file, line, reason },
            Failure::Io { path, source }
                if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem | StorageFull) =>
            {
                Self::Unwritable { path, source }
            }
            Failure::Io { path, source } => Self::Io { path, source },
        }
    }
}

/// Why a store did not open. Each message is one line for the operator: the file, the line, the reason, what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file holds what it must not. Nothing was changed.
    #[error("{}{}: {reason}", file.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
    Data {
        /// The file.
        file: PathBuf,
        /// The line, from 1, where one is to blame.
        line: Option<u64>,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The directory or a file in it cannot be created or written.
    #[error("{}: cannot be created or written: {source}; this user needs a writable directory with space left", path.display())]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is on a network file system, where file locks and syncs do not hold between machines.
    #[error(
        "{} is on {kind}, a network file system, where several machines could write at once; {instead}",
        dir.display()
    )]
    NetworkFileSystem {
        /// The directory.
        dir: PathBuf,
        /// The file system's type, as /proc/self/mountinfo names it.
        kind: String,
        /// What to use instead: [`Words::instead_of_network`](super::Words::instead_of_network).
        instead: &'static str,
    },
    /// Other processes are at work on it.
    #[error("{}: {reason}", path.display())]
    InUse {
        /// The file whose lock they have.
        path: PathBuf,
        /// What they do and what to do about it.
        reason: String,
    },
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl OpenError {
    /// For the store's own files, which an open makes where they are missing.
    pub(super) fn creating(failure: Failure) -> Self {
        match failure {
            Failure::Io { path, source } => Self::Unwritable { path, source },
            damage @ Failure::Damage(_) => damage.into(),
        }
    }

    /// The process's exit code, from sysexits.h: 65 data, 73 cannot create, 74 input/output, 69 unsupported file system or
    /// in use.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Data { .. } => 65,
            Self::NetworkFileSystem { .. } | Self::InUse { .. } => 69,
            Self::Unwritable { .. } => 73,
            Self::Io { .. } => 74,
        }
    }
}
