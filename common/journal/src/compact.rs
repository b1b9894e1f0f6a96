//! Compaction: new arrays and a journal without what they include, made beside the writes.

use super::{
    Model,
    append::{begin_journal, reopen_journal, switch_files},
    array,
    disk::File,
    error::Failure,
    format::{ArrayEntry, FORMAT, Header},
    lock::Locks,
    mark::Mark,
    store::{Paths, State, Store},
};
use std::sync::atomic::Ordering;

impl<M: Model> Store<M> {
    /// Whether the journal has grown enough that rewriting the arrays costs each write a constant share.
    pub(super) fn due(&self) -> bool {
        let length = self.state.load().mark.length;
        length > self.options.compact_bytes && length > self.source().header.array_bytes()
    }

    /// Compacts, unless no line follows the arrays. The caller holds the lock of the compaction file.
    pub(super) fn compact(&self) -> Result<(), Failure> {
        let locks = Locks::open(&self.paths)?;
        {
            let held = locks.hold()?;
            self.recover(&held)?;
        }
        // From here on nobody but this thread changes the generation: that takes the compaction lock.
        let (old, journal) = {
            let source = self.source();
            (source.header.clone(), source.file.clone())
        };
        settle(&self.paths, &old)?;
        let state = self.state.load_full();
        let known = M::COLLECTIONS.iter().all(|c| old.arrays.contains_key(*c));
        if state.seq == old.base && known {
            return Ok(());
        }
        let done = self.rewrite(&locks, &old, &journal, &state);
        if done.is_err() {
            // Best effort, and only while they are nobody's: once the journal is renamed, a .tmp may be the array.
            if reopen_journal(&self.paths).is_ok_and(|now| now.header.generation == old.generation) {
                remove_tmp::<M>(&self.paths);
            }
        }
        done
    }

    fn rewrite(&self, locks: &Locks, old: &Header, journal: &File, state: &State<M>) -> Result<(), Failure> {
        let paths = &self.paths;
        let mut header = Header {
            format: FORMAT,
            store: old.store,
            generation: old.generation + 1,
            base: state.seq,
            arrays: old.arrays.clone(),
        };
        let mut renames = Vec::new();
        for collection in M::COLLECTIONS {
            let path = paths.array(collection);
            let tmp = Paths::tmp(&path);
            let file = paths.volume.create(&tmp)?;
            let now = array::dump(&state.model, collection, &file)?;
            let before = old.arrays.get(*collection).map(|entry| entry.now);
            if before == Some(now) {
                paths.volume.remove(&tmp)?;
            } else {
                file.sync_data()?;
                renames.push(path);
            }
            header.arrays.insert((*collection).to_owned(), ArrayEntry { now, before });
        }

        // The lines since `state`: most of them now, while writes go on, and only the last few under the lock.
        let (next, head) = begin_journal(paths, &header)?;
        let first = state.mark.length;
        let copy = |from: u64, to: u64| -> Result<(), Failure> {
            next.write_all_at(&journal.read_range(from, to)?, head + (from - first))?;
            next.sync_data()
        };
        let copied = self.state.load().mark.length;
        copy(first, copied)?;

        let held = locks.hold()?;
        self.recover(&held)?;
        let last = self.state.load_full();
        copy(copied, last.mark.length)?;
        switch_files(paths, &renames)?;
        let mark = Mark { generation: header.generation, length: head + (last.mark.length - first) };
        let mut source = self.source();
        mark.write(held.file())?;
        *source = reopen_journal(paths)?;
        self.publish(&source, State { model: last.model.clone(), seq: last.seq, mark });
        self.counters.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Finishes the renames of a switch that was cut short, and removes other `.tmp` files. Needs the compaction lock.
pub(super) fn settle(paths: &Paths, header: &Header) -> Result<(), Failure> {
    let mut changed = false;
    for (collection, entry) in &header.arrays {
        let path = paths.array(collection);
        let tmp = Paths::tmp(&path);
        let Some(bytes) = paths.volume.read(&tmp)? else { continue };
        let image = super::format::Image::of;
        let current = paths.volume.read(&path)?.map(|bytes| image(&bytes));
        if image(&bytes) == entry.now && current != Some(entry.now) {
            paths.volume.rename(&tmp, &path)?;
        } else {
            paths.volume.remove(&tmp)?;
        }
        changed = true;
    }
    paths.volume.remove(&Paths::tmp(&paths.journal))?;
    if changed { paths.volume.sync_dir(&paths.dir) } else { Ok(()) }
}

pub(super) fn remove_tmp<M: Model>(paths: &Paths) {
    let arrays = M::COLLECTIONS.iter().map(|c| paths.array(c));
    for path in arrays.chain([paths.journal.clone()]) {
        if let Err(e) = paths.volume.remove(&Paths::tmp(&path)) {
            log::warn!("journal: {e}");
        }
    }
}
