//! A small bank to try the store with.
#![allow(dead_code)] // each test file uses its part

use journal::{ArrayWriter, Journal, Model, Options};
use serde::{Deserialize, Serialize, Serializer};
use std::{fs, io, path::Path};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: u64,
    pub balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub id: u64,
    pub text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    Account(Account),
    Closed(u64),
    Note(Note),
    Impossible(Unserializable),
}

#[derive(Clone, Default)]
pub struct Bank {
    pub accounts: imbl::OrdMap<u64, Account>,
    pub notes: imbl::OrdMap<u64, Note>,
}

impl Bank {
    pub fn balance(&self, id: u64) -> Option<u64> {
        self.accounts.get(&id).map(|account| account.balance)
    }

    pub fn notes(&self) -> Vec<&str> {
        self.notes.values().map(|note| note.text.as_str()).collect()
    }

    pub fn list(&self) -> Vec<(u64, u64)> {
        self.accounts.values().map(|account| (account.id, account.balance)).collect()
    }
}

impl Model for Bank {
    const NAME: &'static str = "bank";
    const COLLECTIONS: &'static [&'static str] = &["accounts", "notes"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Account(account) => drop(self.accounts.insert(account.id, account.clone())),
            Change::Closed(id) => drop(self.accounts.remove(id)),
            Change::Note(note) => drop(self.notes.insert(note.id, note.clone())),
            Change::Impossible(_) => {}
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        let there = match collection {
            "accounts" => {
                let account: Account =
                    serde_json::from_str(element).map_err(|e| format!("balance or id: {e}"))?;
                self.accounts.insert(account.id, account).map(|old| old.id)
            }
            _ => {
                let note: Note = serde_json::from_str(element).map_err(|e| e.to_string())?;
                self.notes.insert(note.id, note).map(|old| old.id)
            }
        };
        there.map_or(Ok(()), |id| Err(format!("id {id} is there already")))
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        match collection {
            "accounts" => self.accounts.values().try_for_each(|account| array.element(account)),
            _ => self.notes.values().try_for_each(|note| array.element(note)),
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "accounts" { self.accounts.len() } else { self.notes.len() }
    }

    /// A number that is easy to reckon with.
    fn memory(&self) -> u64 {
        100 * (self.accounts.len() + self.notes.len()) as u64
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        let id = self.notes.len() as u64 + 1;
        Ok(vec![Change::Note(Note { id, text: format!("opening {}", edited.join(" ")) })])
    }
}

pub async fn put(journal: &Journal<Bank>, id: u64, balance: u64) {
    let written = journal.write(move |tx| -> Result<(), ()> {
        tx.put(Change::Account(Account { id, balance }));
        Ok(())
    });
    written.await.unwrap().unwrap();
}

pub fn open(dir: &Path) -> Journal<Bank> {
    Journal::open(Options::new(dir)).unwrap()
}

/// Every file of a directory with its bytes.
pub fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap()))
        .collect();
    all.sort();
    all
}
