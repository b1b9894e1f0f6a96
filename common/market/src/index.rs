//! Records found by a long key, such as a clave or an attempt.

use crate::domain::{TokenId, TransaccionId, UsuarioId};
use imbl::{OrdMap, OrdSet};
use std::hash::{BuildHasher, Hash, RandomState};

/// Where a record is: its key in the map of the records.
pub trait Place: Copy + Ord {
    /// The least.
    const LEAST: Self;
}

impl Place for TokenId {
    const LEAST: Self = Self::MIN;
}

impl Place for TransaccionId {
    const LEAST: Self = Self::MIN;
}

impl Place for (UsuarioId, u64) {
    const LEAST: Self = (UsuarioId::MIN, 0);
}

/// Where the record of a key is. Of a key it keeps a hash of 64 bits, since the record has the key itself: a map of the keys
/// takes several times the memory, and to copy a node of such a map is to count up each key that is in it. The hash is secret,
/// so that nobody can choose keys that share one; where two keys do, the records say which of them is meant.
#[derive(Clone)]
pub struct KeyIndex<P: Place> {
    /// The place that was noted last under a hash.
    last: OrdMap<u64, P>,
    /// The places that were noted before it.
    others: OrdSet<(u64, P)>,
    secret: RandomState,
}

impl<P: Place> Default for KeyIndex<P> {
    fn default() -> Self {
        Self { last: OrdMap::new(), others: OrdSet::new(), secret: RandomState::new() }
    }
}

impl<P: Place> KeyIndex<P> {
    /// The place of a key; `is_of` says whether the record at a place has that key.
    pub fn get(&self, key: &impl Hash, is_of: impl Fn(P) -> bool) -> Option<P> {
        let hash = self.secret.hash_one(key);
        let last = self.last.get(&hash).copied().filter(|place| is_of(*place));
        if last.is_some() || self.others.is_empty() {
            return last;
        }
        let others = self.others.range((hash, P::LEAST)..).take_while(|(of, _)| *of == hash);
        others.map(|(_, place)| *place).find(|place| is_of(*place))
    }

    /// Notes that the record at a place has this key.
    pub fn insert(&mut self, key: &impl Hash, place: P) {
        let hash = self.secret.hash_one(key);
        if let Some(old) = self.last.insert(hash, place).filter(|old| *old != place) {
            self.others.insert((hash, old));
        }
    }

    /// Notes that the record at a place has this key no more.
    pub fn remove(&mut self, key: &impl Hash, place: P) {
        let hash = self.secret.hash_one(key);
        if self.last.get(&hash) == Some(&place) {
            self.last.remove(&hash);
        }
        if !self.others.is_empty() {
            self.others.remove(&(hash, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    fn token(id: u64) -> TokenId {
        TokenId::new(id).unwrap()
    }

    /// A key whose hash says nothing.
    struct Same;

    impl Hash for Same {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u8(0);
        }
    }

    #[test]
    fn keys_that_share_a_hash_are_told_apart_by_their_records() {
        let mut index = KeyIndex::default();
        assert_eq!(index.get(&Same, |_| true), None);
        for id in [7, 3, 9, 9] {
            index.insert(&Same, token(id));
        }
        index.insert(&"another", token(1));
        for id in [3, 7, 9] {
            assert_eq!(index.get(&Same, |place| place == token(id)), Some(token(id)));
        }
        assert_eq!(index.get(&Same, |place| place == token(1)), None, "of another hash");
        for (n, id) in [3, 9, 7].into_iter().enumerate() {
            index.remove(&Same, token(id));
            assert_eq!(index.get(&Same, |place| place == token(id)), None, "it was taken out");
            for left in &[3, 9, 7][n + 1..] {
                assert_eq!(index.get(&Same, |place| place == token(*left)), Some(token(*left)));
            }
        }
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut index = KeyIndex::default();
        index.insert(&"a", token(1));
        let before = index.clone();
        index.remove(&"a", token(1));
        index.insert(&"b", token(2));
        assert_eq!(before.get(&"a", |_| true), Some(token(1)));
        assert_eq!(before.get(&"b", |_| true), None);
        assert_eq!((index.get(&"a", |_| true), index.get(&"b", |_| true)), (None, Some(token(2))));
    }
}
