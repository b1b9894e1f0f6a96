//! Three collections that say of themselves what was written, in which order, and by whom.

use super::super::{ArrayWriter, Model};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io};

/// A write's mark in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alta {
    pub(super) id: u64,
    /// How many there were before it.
    pub(super) pos: u64,
    pub(super) texto: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Change {
    Alta(Alta),
    /// The other half of an even write: a line is there whole or not at all.
    Par(u64, u64),
    /// What `on_open` adds for each seed or edit, in the same file as the header that takes note of it.
    Apertura(u64),
}

#[derive(Clone, Default)]
pub(super) struct Registro {
    pub(super) altas: imbl::OrdMap<u64, Alta>,
    pub(super) pares: imbl::OrdMap<u64, u64>,
    pub(super) aperturas: imbl::OrdSet<u64>,
}

impl Registro {
    pub(super) fn ids(&self) -> BTreeSet<u64> {
        self.altas.keys().copied().collect()
    }

    /// All of it, to compare.
    pub(super) fn all(&self) -> (Vec<Alta>, Vec<(u64, u64)>, usize) {
        let pares = self.pares.iter().map(|(id, pos)| (*id, *pos)).collect();
        (self.altas.values().cloned().collect(), pares, self.aperturas.len())
    }
}

impl Model for Registro {
    const NAME: &'static str = "registro";
    const COLLECTIONS: &'static [&'static str] = &["altas", "pares", "aperturas"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Alta(alta) => drop(self.altas.insert(alta.id, alta.clone())),
            Change::Par(id, pos) => drop(self.pares.insert(*id, *pos)),
            Change::Apertura(n) => drop(self.aperturas.insert(*n)),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        let wrong = |e: serde_json::Error| e.to_string();
        let twice = match collection {
            "altas" => {
                let alta: Alta = serde_json::from_str(element).map_err(wrong)?;
                self.altas.insert(alta.id, alta).is_some()
            }
            "pares" => {
                let (id, pos) = serde_json::from_str(element).map_err(wrong)?;
                self.pares.insert(id, pos).is_some()
            }
            _ => self.aperturas.insert(serde_json::from_str(element).map_err(wrong)?).is_some(),
        };
        if twice { Err("twice".into()) } else { Ok(()) }
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        match collection {
            "altas" => self.altas.values().try_for_each(|alta| array.element(alta)),
            "pares" => self.pares.iter().try_for_each(|par| array.element(&par)),
            _ => self.aperturas.iter().try_for_each(|n| array.element(n)),
        }
    }

    fn count(&self, collection: &str) -> usize {
        match collection {
            "altas" => self.altas.len(),
            "pares" => self.pares.len(),
            _ => self.aperturas.len(),
        }
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let next = Change::Apertura(self.aperturas.len() as u64 + 1);
        Ok(if edited.is_empty() { Vec::new() } else { vec![next] })
    }
}
