//! The durable mark: how far the journal is on disk, as the processes that are alive tell each other.
//!
//! It lives in the lock file and is never synced: after a power failure it may be old, never ahead of the journal.

use super::{disk::File, error::Failure, format::MOST};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const BYTES: usize = 24;
/// Any constant: it keeps 24 zero bytes from being a mark.
const SEED: u64 = 0x6d65_7263_6164_6f31;
/// A write of 24 bytes is a memory copy; a reader that meets one half done meets it done at once.
const TRIES: u32 = 10_000;

/// Everything in `[0, length)` of the journal file with this generation is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) generation: u64,
    pub(super) length: u64,
}

impl Mark {
    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        let check = xxh3_64_with_seed(&bytes[..16], SEED);
        bytes[16..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; BYTES]) -> Option<Self> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let valid = word(16) == xxh3_64_with_seed(&bytes[..16], SEED) && word(0) <= MOST;
        valid.then(|| Self { generation: word(0), length: word(8) })
    }

    /// The mark, or `None` where there is none: a new or truncated lock file, or one that a power failure spoiled.
    pub(super) fn read(lock: &File) -> Result<Option<Self>, Failure> {
        for _ in 0..TRIES {
            let mut bytes = [0; BYTES];
            if lock.read_at(&mut bytes, 0)? < BYTES {
                return Ok(None);
            }
            if let Some(mark) = Self::decode(&bytes) {
                return Ok(Some(mark));
            }
            std::hint::spin_loop();
        }
        Ok(None)
    }

    pub(super) fn write(self, lock: &File) -> Result<(), Failure> {
        lock.write_all_at(&self.encode(), 0)
    }
}
