//! What the store promised, and whether a state keeps it.

use super::model::Registro;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The records of the seed: every open finds them.
pub(super) const SEED: [u64; 2] = [2, 3];
/// The record of the hand edit.
pub(super) const EDIT: u64 = 1_000_000;

/// What a process was told, or saw.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// Handed to the store, in this order.
    Begun(Vec<u64>),
    Acked(u64),
    /// The store promised that it is not there and will not be.
    Refused(u64),
    /// A reader saw exactly these.
    Saw(BTreeSet<u64>),
    /// A later write was acknowledged that saw exactly these: what was open is settled now.
    Settled(BTreeSet<u64>),
    /// Somebody begins to make the second of an array's bytes out of the first.
    Editing([Vec<u8>; 2]),
    /// A store has opened with the edit.
    Adopted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    /// In flight, or the store does not know.
    Open,
    There,
    Gone,
}

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Law {
    /// Acknowledged or seen by a reader, and not there.
    Lost,
    /// Refused or found missing once, and there.
    Returned,
    /// Nobody wrote it.
    Invented,
    Order,
    /// Part of a line, or an edit without what belongs to it.
    Split,
    /// A sound directory was not opened.
    NotOpened,
    /// `mercado journal check` and a start disagree.
    Check,
    /// The disk works and the store does not.
    Stuck,
    /// A second start shows another state than the first.
    Changed,
    /// Damage was accepted, badly named, or the refusal changed something.
    Damage,
}

#[derive(Debug, Clone)]
pub(super) struct Violation {
    pub(super) law: Law,
    pub(super) what: String,
}

impl Violation {
    pub(super) fn new(law: Law, what: impl fmt::Display) -> Self {
        Self { law, what: what.to_string() }
    }

    pub(super) fn at(mut self, place: impl fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }
}

pub(super) type Checked = Result<(), Violation>;

/// The promises up to one point of a run.
#[derive(Debug, Clone, Default, Hash)]
pub(super) struct Ledger {
    fates: BTreeMap<u64, Fate>,
    begun: Vec<u64>,
    editing: Option<[Vec<u8>; 2]>,
    adopted: bool,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let mut ledger = Self::default();
        for id in SEED {
            ledger.begun.push(id);
            ledger.fates.insert(id, Fate::There);
        }
        ledger
    }

    pub(super) fn take(&mut self, note: &Note) {
        match note {
            Note::Begun(ids) => {
                for id in ids {
                    self.begun.push(*id);
                    self.fates.insert(*id, Fate::Open);
                }
            }
            Note::Acked(id) => drop(self.fates.insert(*id, Fate::There)),
            Note::Refused(id) => drop(self.fates.insert(*id, Fate::Gone)),
            Note::Saw(ids) => {
                for id in ids {
                    self.fates.insert(*id, Fate::There);
                }
            }
            Note::Settled(ids) => self.settle(ids),
            Note::Editing(bytes) => {
                self.editing = Some(bytes.clone());
                self.begun.push(EDIT);
                self.fates.insert(EDIT, Fate::Open);
            }
            Note::Adopted => {
                self.adopted = true;
                self.fates.insert(EDIT, Fate::There);
            }
        }
    }

    fn settle(&mut self, ids: &BTreeSet<u64>) {
        for (id, fate) in &mut self.fates {
            if *fate == Fate::Open && *id != EDIT {
                *fate = if ids.contains(id) { Fate::There } else { Fate::Gone };
            }
        }
    }

    /// Whether a reader who sees this state sees a write that nobody was promised yet.
    pub(super) fn is_news(&self, state: &Registro) -> bool {
        state.altas.keys().any(|id| self.fates.get(id) != Some(&Fate::There))
    }

    /// Whether an edit is made that no start has taken on.
    pub(super) fn is_editing(&self) -> bool {
        self.editing.is_some() && !self.adopted
    }

    /// Whether the crash met the editor: the array is neither what it was nor what it was to be. What a start makes of that
    /// is nobody's promise.
    pub(super) fn is_half_edited(&self, array: Option<&Vec<u8>>) -> bool {
        let whole = |bytes: &[Vec<u8>; 2]| array.is_none_or(|array| bytes.contains(array));
        !self.adopted && self.editing.as_ref().is_some_and(|bytes| !whole(bytes))
    }

    pub(super) fn check(&self, state: &Registro) -> Checked {
        for (id, fate) in &self.fates {
            let there = state.altas.contains_key(id);
            match fate {
                Fate::There if !there => {
                    return Err(Violation::new(Law::Lost, format!("write {id} is lost")));
                }
                Fate::Gone if there => {
                    return Err(Violation::new(
                        Law::Returned,
                        format!("write {id} was refused and is there"),
                    ));
                }
                _ => {}
            }
        }
        let mut altas: Vec<_> = state.altas.values().collect();
        altas.sort_by_key(|alta| alta.pos);
        let mut begun = self.begun.iter();
        for (n, alta) in altas.iter().enumerate() {
            let id = alta.id;
            if !self.fates.contains_key(&id) {
                return Err(Violation::new(Law::Invented, format!("{id}")));
            }
            if alta.pos != n as u64 || !begun.any(|b| *b == id) {
                return Err(Violation::new(Law::Order, format!("write {id} has place {} at {n}", alta.pos)));
            }
            let par = (id % 2 == 0 && id != EDIT && !SEED.contains(&id)).then_some(alta.pos);
            if state.pares.get(&id).copied() != par {
                return Err(Violation::new(Law::Split, format!("write {id} is there in part")));
            }
        }
        if let Some((id, _)) = state.pares.iter().find(|(id, _)| !state.altas.contains_key(*id)) {
            return Err(Violation::new(Law::Split, format!("write {id} is there in part")));
        }
        let openings = 1 + usize::from(state.altas.contains_key(&EDIT));
        if state.aperturas.len() != openings {
            let what = format!("{} openings, {openings} expected", state.aperturas.len());
            return Err(Violation::new(Law::Split, what));
        }
        Ok(())
    }
}
