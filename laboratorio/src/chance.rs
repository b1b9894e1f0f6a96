//! Chance that a seed repeats: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
//! A library's generator may change between versions, and with it what a seed in an old bug report stands for.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed; `which` tells streams of one seed apart.
    pub fn new(seed: u64, which: u64) -> Self {
        let mut chance = Self(seed ^ which.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in the range.
    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start()).saturating_add(1);
        range.start() + self.next() % width
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, n: u64) -> bool {
        self.between(1..=100) <= n
    }

    /// So many milliseconds.
    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.between(range))
    }

    /// One of them; `None` of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = of.len().checked_sub(1)? as u64;
        of.get(usize::try_from(self.between(0..=last)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same() {
        let some = |seed, which| {
            let mut chance = Chance::new(seed, which);
            [(); 4].map(|()| chance.between(0..=999))
        };
        assert_eq!(some(1, 0), some(1, 0));
        assert_ne!(some(1, 0), some(2, 0));
        assert_ne!(some(1, 0), some(1, 1));
    }
}
