//! What a program keeps: [`Model`], and [`ArrayWriter`], to which it writes its records.

use serde::Serialize;
use std::io::{self, Write};

/// What a program keeps: a value whose clones share their parts (`imbl` maps), so that a clone costs O(1).
pub trait Model: Clone + Default + Send + Sync + 'static {
    /// The store's base name: `counters` gives `counters.journal` and `counters.lock`.
    const NAME: &'static str;
    /// The collections, in load order; each is the array file `<name>.json`.
    const COLLECTIONS: &'static [&'static str];
    /// One record's new image or its removal; a journal line holds several. An externally tagged enum.
    type Change: Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static;

    /// Applies one change. It must be a blind put or remove: it cannot fail, and it does not look at what was there.
    fn apply(&mut self, change: &Self::Change);

    /// Parses, checks and adds one element (JSON text) of a collection's array. Called only while array files load.
    ///
    /// # Errors
    /// The reason, where the element is wrong: its type, a value out of range, an id that is there already.
    fn load(&mut self, collection: &str, element: &str) -> Result<(), String>;

    /// Writes each record of a collection, in key order.
    ///
    /// # Errors
    /// Those of [`ArrayWriter::element`].
    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()>;

    /// The number of records of a collection.
    fn count(&self, collection: &str) -> usize;

    /// How many bytes of memory the records take, with their indexes and what the allocator adds: what a
    /// [`Budget`](super::Budget) goes by. It costs O(1), and depends on nothing but the records. A model that does not count
    /// never fills a budget.
    fn memory(&self) -> u64 {
        0
    }

    /// Called when the store opens, under its lock, with everything loaded. It returns changes that are written, as one line,
    /// before anybody reads: records that belong to those of a seed or of a hand edit. `edited` names the collections whose
    /// array file is not the one that the last compaction wrote: a seed, or a person's edit.
    ///
    /// # Errors
    /// A reason refuses the start.
    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Self::Change>, String>;
}

/// Writes the elements of one array file, one record a line.
pub struct ArrayWriter<'a> {
    out: &'a mut dyn Write,
    records: u64,
}

impl<'a> ArrayWriter<'a> {
    /// Writes into an array that has been begun.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, records: 0 }
    }

    /// Writes the next record.
    ///
    /// # Errors
    /// The disk's, or that the record does not serialize.
    pub fn element<T: Serialize + ?Sized>(&mut self, record: &T) -> io::Result<()> {
        self.out.write_all(if self.records == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *self.out, record)?;
        self.records += 1;
        Ok(())
    }
}
