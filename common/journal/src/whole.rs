//! Stores as a whole, for `mercado migrar`: [`Quiet`] reads one that nobody has open, and changes nothing; [`Filling`] fills a
//! directory that has none.
//!
//! A directory becomes a market at one moment, for all of its stores: while it holds `migrar.pendiente`, which is there
//! before anything else and goes last, no store in it opens. What a kill or a power failure leaves before that moment is
//! cleared by the next move.

use super::{
    Model, OpenError,
    append::{begin_journal, switch_files},
    array,
    disk::{File, Volume},
    error::Failure,
    format::{ArrayEntry, FORMAT, Header, scan_changes},
    lock::Locks,
    mark::Mark,
    open::{acknowledged, load_arrays, refuse_unfinished},
    store::{Paths, damaged, look_at_journal, new_store_id},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const IN_USE: &str =
    "a process has this store open: stop every service on it first, or wait for the move that reads it";

/// A store that no process opens for as long as this lives. Its directory may be read-only.
pub struct Quiet {
    paths: Paths,
    /// Its lock is what each process that has the store open has a share of.
    _journal: File,
}

impl Quiet {
    /// The store `M::NAME` of a directory, `None` where there is none.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where a process has it open; `Data` where the directory is the target of a move that has not
    /// ended.
    pub fn of<M: Model>(dir: &Path) -> Result<Option<Self>, OpenError> {
        let paths = Paths::new(Volume::real(), dir, M::NAME);
        refuse_unfinished(&paths)?;
        Ok(alone(&paths)?.map(|journal| Self { paths, _journal: journal }))
    }

    /// All that is in it: what a start would find.
    ///
    /// # Errors
    /// As those of a start. An array that was edited since the last stop is one, too: a start writes into the ledger what
    /// was edited, with the time.
    pub fn read<M: Model>(&self) -> Result<M, OpenError> {
        read(&self.paths).map_err(OpenError::from)
    }
}

/// The journal, locked against every process; `None` where there is none.
fn alone(paths: &Paths) -> Result<Option<File>, OpenError> {
    if !paths.volume.exists(&paths.journal)? {
        return Ok(None);
    }
    let journal = paths.volume.open_to_read(&paths.journal)?;
    // a compaction may have put another file in its place, which is the one that is in use
    if journal.try_lock()? && paths.volume.inode(&paths.journal)? == journal.inode()? {
        Ok(Some(journal))
    } else {
        Err(OpenError::InUse { path: paths.journal.clone(), reason: IN_USE.to_owned() })
    }
}

fn read<M: Model>(paths: &Paths) -> Result<M, Failure> {
    let Some(opened) = look_at_journal(paths)? else {
        return Err(Failure::damage(&paths.journal, None, "it was removed meanwhile"));
    };
    let (source, header) = (&opened.source, &opened.source.header);
    // a copy of a directory has no lock file
    let mark = if paths.volume.exists(&paths.lock)? {
        Mark::read(&paths.volume.open_to_read(&paths.lock)?)?
    } else {
        None
    };
    let durable = acknowledged::<M>(paths, header, opened.body, mark)?;
    let (mut model, edited, _) = load_arrays::<M>(paths, header)?;
    if let Some(collection) = edited.first() {
        let reason = "it was edited since the last stop: start the market on this directory and stop it, so that the \
                      ledger says so";
        return Err(Failure::damage(&paths.array(collection), None, reason));
    }
    let bytes = source.file.read_range(opened.body, source.file.len()?)?;
    let found = scan_changes(&bytes, header.store, header.base + 1, |_, changes: Vec<M::Change>| {
        changes.iter().for_each(|change| model.apply(change));
    });
    // whole lines after the mark count, since the next start keeps them; a torn end does not
    let lost = opened.body + (found.valid as u64) < durable;
    match found.stop {
        Some(stop) if lost || !stop.torn => return Err(damaged(source, &stop)),
        None if lost => {
            let reason =
                format!("it ends before byte {durable}, which was acknowledged; restore it from a copy");
            return Err(Failure::damage(&paths.journal, None, reason));
        }
        _ => {}
    }
    let changes = model.on_open(&[]).map_err(|reason| Failure::damage(&paths.journal, None, reason))?;
    changes.iter().for_each(|change| model.apply(change));
    Ok(model)
}

/// A directory that is being filled. Dropped, it stays as a kill would leave it; see [`Filling::abandon`].
pub struct Filling {
    volume: Volume,
    dir: PathBuf,
    stores: Vec<Paths>,
    /// Of each store, the lock that an open takes first: nobody opens one meanwhile.
    _opening: Vec<File>,
    /// The files that make a market.
    files: Vec<PathBuf>,
}

impl Filling {
    /// Begins in a directory, which is made if missing; `stores` are the names and collections of all that will be written.
    /// What an earlier move that did not end left there is removed. `Err(files)` where there is a market, or a part of one.
    ///
    /// # Errors
    /// The directory cannot be made or written, is on a network file system, or another process is at work in it.
    pub fn begin(dir: &Path, stores: &[(&str, &[&str])]) -> Result<Result<Self, Vec<PathBuf>>, OpenError> {
        let volume = Volume::real();
        let unwritable = |source| OpenError::Unwritable { path: dir.to_owned(), source };
        let paths: Vec<_> = stores.iter().map(|(name, _)| Paths::new(volume.clone(), dir, name)).collect();
        let arrays =
            stores.iter().zip(&paths).flat_map(|((_, all), paths)| all.iter().map(|c| paths.array(c)));
        let files: Vec<_> = arrays.chain(paths.iter().map(|paths| paths.journal.clone())).collect();
        let found = || -> Result<Vec<PathBuf>, OpenError> {
            let mut found = Vec::new();
            for file in &files {
                if volume.exists(file)? {
                    found.push(file.clone());
                }
            }
            Ok(found)
        };
        let unfinished = Paths::unfinished(dir);
        if !volume.exists(&unfinished)? && !found()?.is_empty() {
            return found().map(Err);
        }
        volume.create_dir_all(dir).map_err(unwritable)?;
        if let Some(kind) = volume.network(dir).map_err(|e| Failure::io(dir, e))? {
            return Err(OpenError::NetworkFileSystem { dir: dir.to_owned(), kind });
        }
        let mut opening = Vec::new();
        for paths in &paths {
            let file = volume.open_or_create(&paths.compact).map_err(OpenError::creating)?;
            if !file.try_lock()? {
                let reason =
                    "another `mercado migrar` fills this directory, or a service opens it".to_owned();
                return Err(OpenError::InUse { path: paths.compact.clone(), reason });
            }
            opening.push(file);
        }
        // looked at again, now that nobody else can open it
        if volume.exists(&unfinished)? {
            for paths in &paths {
                alone(paths)?;
            }
        } else if !found()?.is_empty() {
            return found().map(Err);
        }
        let filling = Self { volume, dir: dir.to_owned(), stores: paths, _opening: opening, files };
        filling.claim()?;
        Ok(Ok(filling))
    }

    /// From here on the directory is no market, whatever happens, until [`Filling::finish`].
    fn claim(&self) -> Result<(), OpenError> {
        let path = Paths::unfinished(&self.dir);
        let file = self.volume.create(&path).map_err(OpenError::creating)?;
        file.write_all_at(
            b"`mercado migrar` fills this directory. Until it has ended, nothing starts here.\n",
            0,
        )?;
        file.sync_data()?;
        self.volume.sync_dir(&self.dir)?;
        self.volume.sync_above(&self.dir)?;
        self.clear()?;
        Ok(())
    }

    fn clear(&self) -> Result<(), Failure> {
        for file in &self.files {
            self.volume.remove(&Paths::tmp(file))?;
            self.volume.remove(file)?;
        }
        self.volume.sync_dir(&self.dir)
    }

    fn paths(&self, name: &str) -> Paths {
        let known =
            self.stores.iter().find(|paths| paths.journal.file_stem().is_some_and(|stem| stem == name));
        known.cloned().unwrap_or_else(|| Paths::new(self.volume.clone(), &self.dir, name))
    }

    /// Writes a store, durably.
    ///
    /// # Errors
    /// The disk's.
    pub fn write<M: Model>(&self, model: &M) -> Result<(), OpenError> {
        let paths = self.paths(M::NAME);
        let locks = Locks::open(&paths).map_err(OpenError::creating)?;
        let held = locks.hold()?;
        // an earlier move left its mark
        let generation = Mark::read(held.file())?.map_or(1, |mark| mark.generation + 1);
        let (mut arrays, mut renames) = (BTreeMap::new(), Vec::new());
        for collection in M::COLLECTIONS {
            let path = paths.array(collection);
            let file = self.volume.create(&Paths::tmp(&path))?;
            let now = array::dump(model, collection, &file)?;
            file.sync_data()?;
            arrays.insert((*collection).to_owned(), ArrayEntry { now, before: None });
            renames.push(path);
        }
        let header = Header { format: FORMAT, store: new_store_id(), generation, base: 0, arrays };
        let (journal, length) = begin_journal(&paths, &header)?;
        journal.sync_data()?;
        switch_files(&paths, &renames)?;
        Mark { generation, length }.write(held.file())?;
        Ok(())
    }

    /// Reads back what was written.
    ///
    /// # Errors
    /// As those of [`Quiet::read`].
    pub fn read<M: Model>(&self) -> Result<M, OpenError> {
        read(&self.paths(M::NAME)).map_err(OpenError::from)
    }

    /// Makes it a market.
    ///
    /// # Errors
    /// The disk's: it is not known then whether it is one.
    pub fn finish(self) -> Result<(), OpenError> {
        self.volume.sync_dir(&self.dir)?;
        self.volume.remove(&Paths::unfinished(&self.dir))?;
        self.volume.sync_dir(&self.dir)?;
        Ok(())
    }

    /// Takes out again what was written.
    ///
    /// # Errors
    /// The disk's: the directory is then as a kill would have left it.
    pub fn abandon(self) -> Result<(), OpenError> {
        self.clear()?;
        self.finish()
    }
}
