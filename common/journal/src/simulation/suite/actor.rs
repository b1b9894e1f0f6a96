//! One process on the machine, without threads: the writer's own code, called where its thread would call it.

use super::{
    ledger::{EDIT, Law, Note, Violation},
    machine::NotedMachine,
    model::{Change, Item, Register},
};
use crate::{
    Need, Options, StoreError,
    disk::File,
    error::OpenError,
    handle::work,
    lock::Locks,
    open,
    simulation::memory::Process,
    store::Store,
    writer::{Tx, Writer, on_a_thread},
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::sync::{mpsc, oneshot};

pub(super) const DIR: &str = "/vol/data";
pub(super) const SEED_DIR: &str = "/seed";

pub(super) struct Actor {
    machine: NotedMachine,
    pub(super) process: Process,
    store: Arc<Store<Register>>,
    writer: Writer<Register>,
}

/// One write of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Bytes of text that come with it.
    pub(super) bytes: usize,
    /// Its closure puts, and then refuses.
    pub(super) refuses: bool,
}

fn put(tx: &mut Tx<'_, Register>, entry: Entry) {
    let pos = tx.items.len() as u64;
    tx.put(Change::Item(Item { id: entry.id, pos, text: "x".repeat(entry.bytes) }));
    if entry.id.is_multiple_of(2) {
        tx.put(Change::Pair(entry.id, pos));
    }
}

impl Actor {
    pub(super) fn open(machine: &NotedMachine, process: Process) -> Result<Self, OpenError> {
        let options = Options {
            seed_dir: Some(SEED_DIR.into()),
            // Never by itself: the run says when.
            compact_bytes: u64::MAX,
            ..Options::new(DIR)
        };
        let store = Arc::new(open::open::<Register>(process.volume(), options)?);
        let (_, queue) = mpsc::unbounded_channel();
        let writer = Writer::new(store.clone(), Locks::open(&store.paths)?, queue, on_a_thread);
        let actor = Self { machine: machine.clone(), process, store, writer };
        let state = actor.store.state.load();
        if state.model.items.contains_key(&EDIT) {
            machine.note(Note::Adopted);
        }
        machine.note(Note::Settled(state.model.ids()));
        drop(state);
        Ok(actor)
    }

    pub(super) fn state(&self) -> Register {
        self.store.state.load().model.clone()
    }

    /// Writes a batch and notes what each write was told. True: all that should be are acknowledged.
    pub(super) fn write(&mut self, entries: &[Entry]) -> Result<bool, Violation> {
        self.machine.note(Note::Begun(entries.iter().map(|e| e.id).collect()));
        let seen: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
        let (mut batch, mut answers) = (Vec::new(), Vec::new());
        for entry in entries.iter().copied() {
            let (reply, answer) = oneshot::channel();
            let seen = seen.clone();
            batch.push(work(
                move |tx: &mut Tx<'_, Register>| {
                    put(tx, entry);
                    *seen.lock().unwrap() = tx.ids();
                    if entry.refuses { Err(()) } else { Ok(()) }
                },
                Need::Add,
                (),
                reply,
            ));
            answers.push((entry, answer));
        }
        self.writer.serve(batch.into_iter());
        let mut all = true;
        for (entry, mut answer) in answers {
            let note = match answer.try_recv() {
                Ok(Ok(Ok(()))) => Note::Acked(entry.id),
                Ok(Ok(Err(())) | Err(StoreError::Io { .. } | StoreError::Latched { .. })) => {
                    all &= entry.refuses;
                    Note::Refused(entry.id)
                }
                Ok(Err(StoreError::Unknown { .. })) => {
                    all = false;
                    if entry.refuses {
                        Note::Refused(entry.id)
                    } else {
                        continue;
                    }
                }
                other => return Err(Violation::new(Law::Stuck, format!("answered {other:?}"))),
            };
            self.machine.note(note);
        }
        if all {
            let seen = seen.lock().unwrap().clone();
            self.machine.note(Note::Settled(seen));
        }
        Ok(all)
    }

    /// A read, which must agree with all that was promised; what it shows is promised from then on.
    pub(super) fn read(&self) -> Result<bool, Violation> {
        let Ok(state) = self.store.read() else { return Ok(false) };
        self.machine.saw(&state.model).map(|()| true)
    }

    pub(super) fn latched(&self) -> bool {
        self.store.latched().is_some()
    }

    /// What the writer's thread does once a second while latched. True: writes are taken.
    pub(super) fn reopen(&mut self) -> bool {
        if self.latched() {
            self.writer.try_reopen();
        }
        !self.latched()
    }

    /// As the writer starts it, or a clean stop does. True: done, or somebody else is at it.
    pub(super) fn compact(&self) -> bool {
        let paths = &self.store.paths;
        let lock = paths.volume.open_or_create(&paths.compact);
        match lock.and_then(|file: File| Ok(file.try_lock()?.then_some(file))) {
            Ok(Some(_lock)) => self.store.compact().is_ok(),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

pub(super) fn in_dir(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}
