//! Three collections in which each record says what was written and in which order.

use crate::{ArrayWriter, Model};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io};

/// What a write leaves in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: u64,
    /// How many there were before it.
    pub(super) pos: u64,
    pub(super) text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Change {
    Item(Item),
    /// The other half of an even write: a line is there whole or not at all.
    Pair(u64, u64),
    /// What `on_open` adds for each seed or edit, in the same file as the header that takes note of it.
    Opening(u64),
}

#[derive(Clone, Default)]
pub(super) struct Register {
    pub(super) items: imbl::OrdMap<u64, Item>,
    pub(super) pairs: imbl::OrdMap<u64, u64>,
    pub(super) openings: imbl::OrdSet<u64>,
}

impl Register {
    pub(super) fn ids(&self) -> BTreeSet<u64> {
        self.items.keys().copied().collect()
    }

    /// All of it, to compare.
    pub(super) fn all(&self) -> (Vec<Item>, Vec<(u64, u64)>, usize) {
        let pairs = self.pairs.iter().map(|(id, pos)| (*id, *pos)).collect();
        (self.items.values().cloned().collect(), pairs, self.openings.len())
    }
}

impl Model for Register {
    const NAME: &'static str = "register";
    const COLLECTIONS: &'static [&'static str] = &["items", "pairs", "openings"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Item(item) => drop(self.items.insert(item.id, item.clone())),
            Change::Pair(id, pos) => drop(self.pairs.insert(*id, *pos)),
            Change::Opening(n) => drop(self.openings.insert(*n)),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        let wrong = |e: serde_json::Error| e.to_string();
        let twice = match collection {
            "items" => {
                let item: Item = serde_json::from_str(element).map_err(wrong)?;
                self.items.insert(item.id, item).is_some()
            }
            "pairs" => {
                let (id, pos) = serde_json::from_str(element).map_err(wrong)?;
                self.pairs.insert(id, pos).is_some()
            }
            _ => self.openings.insert(serde_json::from_str(element).map_err(wrong)?).is_some(),
        };
        if twice { Err("twice".into()) } else { Ok(()) }
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        match collection {
            "items" => self.items.values().try_for_each(|item| array.element(item)),
            "pairs" => self.pairs.iter().try_for_each(|pair| array.element(&pair)),
            _ => self.openings.iter().try_for_each(|n| array.element(n)),
        }
    }

    fn count(&self, collection: &str) -> usize {
        match collection {
            "items" => self.items.len(),
            "pairs" => self.pairs.len(),
            _ => self.openings.len(),
        }
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let next = Change::Opening(self.openings.len() as u64 + 1);
        Ok(if edited.is_empty() { Vec::new() } else { vec![next] })
    }
}
