//! What can go wrong: [`StoreError`] while the store is open, [`OpenError`] before it is.

use std::{io, path::PathBuf, sync::Arc};

/// A write or read that the store could not do. The reasons are for the log, not for a buyer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An earlier write or sync failed; writes are refused until the store has been reopened, which it tries by itself
    /// once a second. Nothing of this write reached the disk.
    #[error("the store refuses writes since one failed: {reason}")]
    Latched {
        /// The failure that latched it.
        reason: Arc<str>,
    },
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

impl StoreError {
    #[allow(dead_code)]
    pub(super) fn io(reason: impl std::fmt::Display) -> Self {
        Self::Io { reason: reason.to_string().into() }
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
    #[error("{}: cannot be created or written: {source}; check that the directory exists and that this user may write to it", path.display())]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is on a network file system, where file locks and syncs do not hold between machines.
    #[error(
        "{} is on {kind}, a network file system, where several machines could write at once; use a local disk, or PostgreSQL (STORE=postgres://...)",
        dir.display()
    )]
    NetworkFileSystem {
        /// The directory.
        dir: PathBuf,
        /// The file system's type, as /proc/self/mountinfo names it.
        kind: String,
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
    /// The process's exit code, from sysexits.h: 65 data, 73 cannot create, 74 input/output, 69 unsupported file system.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Data { .. } => 65,
            Self::NetworkFileSystem { .. } => 69,
            Self::Unwritable { .. } => 73,
            Self::Io { .. } => 74,
        }
    }
}
