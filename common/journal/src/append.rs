//! What happens under the write lock: catching up, repairing what a dead process left, appending, changing generation.

use super::{
    Model,
    disk::File,
    error::{Failure, StoreError},
    format::{Header, PADDING, scan},
    lock::Held,
    mark::Mark,
    store::{Paths, Source, State, Store, damaged, open_journal},
};
use std::{path::PathBuf, sync::atomic::Ordering};

impl<M: Model> Store<M> {
    /// Brings this process up to the journal's real end, which becomes durable. Afterwards the published state is the
    /// newest, and the source file is the one that the path names.
    pub(super) fn recover(&self, held: &Held<'_>) -> Result<(), Failure> {
        let file = {
            let mut source = self.source();
            if self.paths.volume.inode(&self.paths.journal)? != source.inode && !self.switch(&mut source)? {
                return Err(Failure::damage(
                    &self.paths.lock,
                    None,
                    "its mark is of a generation yet to come",
                ));
            }
            source.file.clone()
        };
        let state = self.state.load_full();
        match Mark::read(held.file())? {
            Some(mark) if mark.generation == state.mark.generation => self.follow(&mut self.source())?,
            found => {
                // The one who renamed this file died before its mark, or the lock file was new: what is in the file was
                // synced before its rename, but the rename itself need not be durable.
                if found.is_some_and(|mark| mark.generation > state.mark.generation) {
                    let reason = "its mark is of a later generation than the journal; if this directory was restored \
                                  from a copy, remove this file";
                    return Err(Failure::damage(&self.paths.lock, None, reason));
                }
                file.sync_data()?;
                self.paths.volume.sync_dir(&self.paths.dir)?;
                state.mark.write(held.file())?;
            }
        }
        self.repair_tail(held, &file)
    }

    /// Deals with bytes after the mark. They are of a process that died between write and mark, or whose sync failed.
    fn repair_tail(&self, held: &Held<'_>, file: &File) -> Result<(), Failure> {
        let from = self.state.load().mark.length;
        let mut first = [PADDING];
        if file.read_at(&mut first, from)? == 0 || first[0] == PADDING {
            return Ok(());
        }
        self.adopt_tail(held, file)
    }

    /// Makes whole lines after the mark durable and cuts the rest. Damage that is not a torn end changes nothing.
    pub(super) fn adopt_tail(&self, held: &Held<'_>, file: &File) -> Result<(), Failure> {
        let state = self.state.load_full();
        let from = state.mark.length;
        let bytes = file.read_range(from, file.len()?)?;
        let (found, journal) = {
            let source = self.source();
            // As changes of this version: a line that it does not know is refused before anything is done about it.
            let found = scan::<Vec<M::Change>>(&bytes, source.header.store, state.seq + 1, |_| {});
            if let Some(stop) = found.stop.as_ref().filter(|stop| !stop.torn) {
                return Err(damaged(&source, stop));
            }
            (found, source.file.path().to_owned())
        };
        if let Some(stop) = &found.stop {
            log::warn!(
                "{}: cut a torn line that was never acknowledged, line {} at byte {}: {}",
                journal.display(),
                stop.seq,
                from + found.valid as u64,
                stop.reason
            );
        }
        let length = from + found.valid as u64;
        if found.valid > 0 {
            // Written again and not only synced: after a failed sync the kernel takes the pages for clean.
            file.write_all_at(&bytes[..found.valid], from)?;
            log::info!(
                "{}: kept {} whole lines after the mark",
                journal.display(),
                found.next - state.seq - 1
            );
        }
        if found.stop.is_some() || found.valid > 0 {
            file.set_len(length)?;
            file.sync_data()?;
            Mark { length, ..state.mark }.write(held.file())?;
            self.follow(&mut self.source())?;
        }
        Ok(())
    }

    /// Appends whole lines, makes them durable, tells the other processes, and publishes `model`.
    ///
    /// The error says what the lines' writers are to be told.
    pub(super) fn append(
        &self,
        held: &Held<'_>,
        mut lines: Vec<u8>,
        model: M,
        seq: u64,
    ) -> Result<(), StoreError> {
        let state = self.state.load_full();
        let file = self.source().file.clone();
        let from = state.mark.length;
        let length = from + lines.len() as u64;
        let written = (|| {
            if length > file.len()? {
                lines.resize(lines.len() + self.paths.volume.growth(), PADDING);
            }
            file.write_all_at(&lines, from)?;
            self.counters.syncs.fetch_add(1, Ordering::Relaxed);
            file.sync_data()
        })();
        if let Err(failure) = written {
            // Only a truncation that is itself on disk makes sure that the lines do not come back.
            return match file.set_len(from).and_then(|()| file.sync_data()) {
                Ok(()) => Err(failure.into()),
                Err(_) => Err(StoreError::Unknown { reason: failure.to_string().into() }),
            };
        }
        let mark = Mark { length, ..state.mark };
        let source = self.source();
        // Durable, but without the mark no other process would show it: it is not acknowledged, a reopen adopts it.
        mark.write(held.file())
            .map_err(|failure| StoreError::Unknown { reason: failure.to_string().into() })?;
        self.publish(&source, State { model, seq, mark });
        self.counters.lines.fetch_add(seq - state.seq, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the disk takes and syncs as much as an append of `bytes` can need: padding, which is no line if we die here,
    /// and which that append then finds in place.
    pub(super) fn probe(&self, bytes: usize) -> Result<(), Failure> {
        let file = self.source().file.clone();
        let from = self.state.load().mark.length;
        file.write_all_at(&vec![PADDING; bytes + self.paths.volume.growth()], from)?;
        file.sync_data()
    }
}

/// Puts a new generation in place: `journal.tmp` (written and synced by the caller) and the arrays in `renames`, whose
/// `.tmp` files are synced as well. The journal's rename is the step that counts: its header says which bytes the
/// arrays have, so that an open finishes the other renames. Needs the compaction lock and the write lock.
pub(super) fn switch_files(paths: &Paths, renames: &[PathBuf]) -> Result<(), Failure> {
    // The names of the .tmp files must be durable before the header that relies on them.
    paths.volume.sync_dir(&paths.dir)?;
    paths.volume.rename(&Paths::tmp(&paths.journal), &paths.journal)?;
    paths.volume.sync_dir(&paths.dir)?;
    for path in renames {
        paths.volume.rename(&Paths::tmp(path), path)?;
    }
    paths.volume.sync_dir(&paths.dir)
}

/// Writes and syncs the next generation's `journal.tmp` up to the header; returns it and its length.
pub(super) fn begin_journal(paths: &Paths, header: &Header) -> Result<(File, u64), Failure> {
    let path = Paths::tmp(&paths.journal);
    let file = paths.volume.create(&path)?;
    let line = header.encode().map_err(|e| Failure::damage(&path, 1, e.to_string()))?;
    file.write_all_at(&line, 0)?;
    Ok((file, line.len() as u64))
}

/// The journal that [`switch_files`] has just put in place.
pub(super) fn reopen_journal(paths: &Paths) -> Result<Source, Failure> {
    let opened = open_journal(paths)?;
    opened.map(|o| o.source).ok_or_else(|| Failure::damage(&paths.journal, None, "it is gone"))
}
