//! How much memory a store may take. Beyond that, writes that add something are refused; writes that end something have a reserve.

use std::{
    fmt, fs,
    sync::{Arc, OnceLock},
};

/// Of a page, where the system does not tell: that of most machines.
const USUAL_PAGE: u64 = 4096;
/// The number of the page's size in the auxiliary vector: getauxval(3).
const AT_PAGESZ: u64 = 6;

/// Measures memory: how many bytes are used now.
type Used = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A store's share of the memory.
#[derive(Clone)]
pub struct Budget {
    /// Every write is taken while no more bytes than these are used.
    pub most: u64,
    /// Writes that end something are taken while no more bytes than these are used besides.
    pub reserve: u64,
    used: Used,
}

impl Budget {
    /// By a measure of one's own. It is taken once for each batch of writes, on the writer's thread.
    pub fn measured(most: u64, reserve: u64, used: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { most, reserve, used: Arc::new(used) }
    }

    /// By the memory of this process, of which the records are the greatest part. Stores in one process share it.
    #[must_use]
    pub fn of_process(most: u64, reserve: u64) -> Self {
        Self::measured(most, reserve, resident)
    }

    pub(super) fn used(&self) -> u64 {
        (self.used)()
    }

    pub(super) fn room(&self) -> Room {
        match self.used() {
            used if used <= self.most => Room::Free,
            used if used <= self.most.saturating_add(self.reserve) => Room::Reserve,
            _ => Room::Full,
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("most", &self.most)
            .field("reserve", &self.reserve)
            .finish_non_exhaustive()
    }
}

/// Which writes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// All.
    Free,
    /// Those that end something.
    Reserve,
    /// None.
    Full,
}

/// Bytes of memory that this process has now: its resident set. 0 where the system does not tell.
#[must_use]
pub fn resident() -> u64 {
    static PAGE: OnceLock<u64> = OnceLock::new();
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split(' ').nth(1).and_then(|resident| resident.parse::<u64>().ok()));
    pages.unwrap_or_default() * PAGE.get_or_init(page)
}

/// The size of a page: the auxiliary vector is pairs of words.
fn page() -> u64 {
    let words = fs::read("/proc/self/auxv").unwrap_or_default();
    let word = |bytes: &[u8]| {
        let bytes: [u8; size_of::<usize>()] = bytes.try_into().unwrap_or_default();
        usize::from_ne_bytes(bytes) as u64
    };
    let mut pairs = words.chunks_exact(2 * size_of::<usize>()).map(|pair| pair.split_at(size_of::<usize>()));
    let size = pairs.find(|(key, _)| word(key) == AT_PAGESZ).map(|(_, size)| word(size));
    size.filter(|size| size.is_power_of_two()).unwrap_or(USUAL_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_this_process_grows_with_what_it_keeps() {
        const MORE: usize = 64 << 20;
        let before = resident();
        let kept = vec![1_u8; MORE];
        let after = resident();
        assert!(std::hint::black_box(&kept).len() == MORE);
        assert!(after >= before + (MORE as u64) / 2, "{before}, and with {MORE} more {after}");
        assert!(after < before + (MORE as u64) * 4, "{before}, and with {MORE} more {after}");
    }
}
