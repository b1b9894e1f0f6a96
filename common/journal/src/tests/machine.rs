//! A machine whose story tells what was promised, too.

use super::{
    super::memory::{self, platter::Image},
    ledger::{Checked, Ledger, Note},
    model::Registro,
};
use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

/// The promises that were made on a machine; its log has the number of each at its place.
#[derive(Clone)]
pub(super) struct Machine {
    disk: memory::Machine,
    book: Arc<Mutex<(Ledger, Vec<Note>)>>,
}

impl Deref for Machine {
    type Target = memory::Machine;
    fn deref(&self) -> &memory::Machine {
        &self.disk
    }
}

impl Machine {
    /// A machine that starts with these files, of which this was promised.
    pub(super) fn boot(image: &Image, ledger: Ledger) -> Self {
        Self { disk: memory::Machine::boot(image), book: Arc::new(Mutex::new((ledger, Vec::new()))) }
    }

    /// Lets other threads in: a lock is then waited for.
    pub(super) fn with_threads(self) -> Self {
        Self { disk: self.disk.with_threads(), ..self }
    }

    pub(super) fn note(&self, note: Note) {
        let mut book = self.book.lock().unwrap();
        book.0.take(&note);
        self.disk.mark(book.1.len());
        book.1.push(note);
    }

    /// The note of a mark in the log.
    pub(super) fn noted(&self, number: usize) -> Note {
        self.book.lock().unwrap().1[number].clone()
    }

    /// A reader's state: it must be what was promised, and what is new in it is promised from now on.
    pub(super) fn saw(&self, state: &Registro) -> Checked {
        let ledger = self.ledger();
        ledger.check(state).map_err(|v| v.at("a reader"))?;
        if ledger.is_news(state) {
            self.note(Note::Saw(state.ids()));
        }
        Ok(())
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.book.lock().unwrap().0.clone()
    }
}
