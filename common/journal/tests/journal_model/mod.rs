//! A small bank to try the store with.
#![allow(dead_code)] // each test file uses its part

use journal::{ArrayWriter, Journal, Model, Options};
use serde::{Deserialize, Serialize, Serializer};
use std::{fs, io, path::Path};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cuenta {
    pub id: u64,
    pub saldo: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nota {
    pub id: u64,
    pub texto: String,
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
    Cuenta(Cuenta),
    SinCuenta(u64),
    Nota(Nota),
    Imposible(Unserializable),
}

#[derive(Clone, Default)]
pub struct Banco {
    pub cuentas: imbl::OrdMap<u64, Cuenta>,
    pub notas: imbl::OrdMap<u64, Nota>,
}

impl Banco {
    pub fn saldo(&self, id: u64) -> Option<u64> {
        self.cuentas.get(&id).map(|cuenta| cuenta.saldo)
    }

    pub fn notas(&self) -> Vec<&str> {
        self.notas.values().map(|nota| nota.texto.as_str()).collect()
    }

    pub fn lista(&self) -> Vec<(u64, u64)> {
        self.cuentas.values().map(|cuenta| (cuenta.id, cuenta.saldo)).collect()
    }
}

impl Model for Banco {
    const NAME: &'static str = "banco";
    const COLLECTIONS: &'static [&'static str] = &["cuentas", "notas"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Cuenta(cuenta) => drop(self.cuentas.insert(cuenta.id, cuenta.clone())),
            Change::SinCuenta(id) => drop(self.cuentas.remove(id)),
            Change::Nota(nota) => drop(self.notas.insert(nota.id, nota.clone())),
            Change::Imposible(_) => {}
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        let there = match collection {
            "cuentas" => {
                let cuenta: Cuenta =
                    serde_json::from_str(element).map_err(|e| format!("saldo or id: {e}"))?;
                self.cuentas.insert(cuenta.id, cuenta).map(|old| old.id)
            }
            _ => {
                let nota: Nota = serde_json::from_str(element).map_err(|e| e.to_string())?;
                self.notas.insert(nota.id, nota).map(|old| old.id)
            }
        };
        there.map_or(Ok(()), |id| Err(format!("id {id} is there already")))
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        match collection {
            "cuentas" => self.cuentas.values().try_for_each(|cuenta| array.element(cuenta)),
            _ => self.notas.values().try_for_each(|nota| array.element(nota)),
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "cuentas" { self.cuentas.len() } else { self.notas.len() }
    }

    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        let id = self.notas.len() as u64 + 1;
        Ok(vec![Change::Nota(Nota { id, texto: format!("apertura {}", edited.join(" ")) })])
    }
}

pub async fn put(journal: &Journal<Banco>, id: u64, saldo: u64) {
    let written = journal.write(move |tx| -> Result<(), ()> {
        tx.put(Change::Cuenta(Cuenta { id, saldo }));
        Ok(())
    });
    written.await.unwrap().unwrap();
}

pub fn open(dir: &Path) -> Journal<Banco> {
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
