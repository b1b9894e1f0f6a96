//! Stores as a whole, for a program that moves them: [`Quiet`] reads one that nobody has open, and changes nothing;
//! [`Filling`] fills a directory that has none.
//!
//! A directory is filled at one moment, for all of its stores: while it holds the file [`Words::filling`], which is there
//! before anything else and goes last, no store in it opens. What a kill or a power failure leaves before that moment is
//! cleared by the next move.

use super::{
    append::{begin_journal, switch_files},
    array,
    disk::{File, Volume},
    error::{Failure, OpenError},
    format::{ArrayEntry, FORMAT, Header},
    journal_file::JournalFile,
    load::{IntoModel, Upto, load, refuse_unknown},
    lock::Locks,
    mark::Mark,
    model::Model,
    options::Words,
    paths::Paths,
    store::new_store_id,
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
    /// Each process that has the store open has a share of this file's lock; this one has all of it.
    _journal: File,
}

impl Quiet {
    /// The store `M::NAME` of a directory, `None` where there is none.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where a process has it open; `Data` where the directory is the target of a move that has not
    /// ended.
    pub fn of<M: Model>(dir: &Path, words: Words) -> Result<Option<Self>, OpenError> {
        let paths = Paths::new(Volume::real(), words, dir, M::NAME);
        paths.refuse_unfinished()?;
        Ok(alone(&paths)?.map(|journal| Self { paths, _journal: journal }))
    }

    /// All that is in it: what a start would find.
    ///
    /// # Errors
    /// As those of a start. An array that was edited since the last stop is refused, too: a start must record the edit first.
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
    // a compaction may have put another file in this one's place, and then that file is in use
    if journal.try_lock()? && paths.volume.inode(&paths.journal)? == journal.inode()? {
        Ok(Some(journal))
    } else {
        Err(OpenError::InUse { path: paths.journal.clone(), reason: IN_USE.to_owned() })
    }
}

fn read<M: Model>(paths: &Paths) -> Result<M, Failure> {
    let Some(journal) = JournalFile::look(paths)? else {
        return Err(Failure::damage(&paths.journal, None, "it was removed meanwhile"));
    };
    refuse_unknown::<M>(paths, &journal.header)?;
    let mut model = M::default();
    let mut into = IntoModel { model: &mut model, applied: journal.header.base };
    // whole lines after the mark count, since the next start keeps them; a torn end does not
    let mark = Mark::look(paths)?;
    let mut found = load(paths, &journal, mark, M::COLLECTIONS, Upto::End, &mut into)?;
    found.refuse_damage()?;
    if let Some(array) = found.edited() {
        let reason = "it was edited since the last stop: start a service on this directory and stop it, so that the edit is \
                      recorded";
        return Err(Failure::damage(&array.file, None, reason));
    }
    let changes = model.on_open(&[]).map_err(|reason| Failure::damage(&paths.journal, None, reason))?;
    changes.iter().for_each(|change| model.apply(change));
    Ok(model)
}

/// A directory that is being filled. Dropped, it stays as a kill would leave it; see [`Filling::abandon`].
pub struct Filling {
    volume: Volume,
    words: Words,
    dir: PathBuf,
    stores: Vec<Paths>,
    /// The lock that an open takes first, of each store, so that nobody opens one meanwhile.
    _opening: Vec<File>,
    /// The files with records.
    files: Vec<PathBuf>,
}

impl Filling {
    /// Begins in a directory, which is made if missing; `stores` are the names and collections of all that will be written.
    /// What an earlier move that did not end left there is removed. `Err(files)` where there is a store already, or a part of
    /// one.
    ///
    /// # Errors
    /// The directory cannot be made or written, is on a network file system, or another process is at work in it.
    pub fn begin(
        dir: &Path,
        words: Words,
        stores: &[(&str, &[&str])],
    ) -> Result<Result<Self, Vec<PathBuf>>, OpenError> {
        let volume = Volume::real();
        let named = |name: &str| Paths::new(volume.clone(), words, dir, name);
        let unwritable = |source| OpenError::Unwritable { path: dir.to_owned(), source };
        let paths: Vec<_> = stores.iter().map(|(name, _)| named(name)).collect();
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
        let unfinished = dir.join(words.filling);
        if !volume.exists(&unfinished)? && !found()?.is_empty() {
            return found().map(Err);
        }
        volume.create_dir_all(dir).map_err(unwritable)?;
        if let Some(kind) = volume.network(dir).map_err(|e| Failure::io(dir, e))? {
            let instead = words.instead_of_network;
            return Err(OpenError::NetworkFileSystem { dir: dir.to_owned(), kind, instead });
        }
        let mut opening = Vec::new();
        for paths in &paths {
            let file = volume.open_or_create(&paths.compact).map_err(OpenError::creating)?;
            if !file.try_lock()? {
                let reason = format!("another {} fills this directory, or a service opens it", words.mover);
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
        let filling = Self { volume, words, dir: dir.to_owned(), stores: paths, _opening: opening, files };
        filling.claim()?;
        Ok(Ok(filling))
    }

    /// From here on nothing in the directory opens, whatever happens, until [`Filling::finish`].
    fn claim(&self) -> Result<(), OpenError> {
        let path = self.dir.join(self.words.filling);
        let file = self.volume.create(&path).map_err(OpenError::creating)?;
        let text =
            format!("{} fills this directory. Until it has ended, nothing starts here.\n", self.words.mover);
        file.write_all_at(text.as_bytes(), 0)?;
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
        known.cloned().unwrap_or_else(|| Paths::new(self.volume.clone(), self.words, &self.dir, name))
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
        let mut arrays = BTreeMap::new();
        for collection in M::COLLECTIONS {
            let path = paths.array(collection);
            let file = self.volume.create(&Paths::tmp(&path))?;
            let now = array::dump(model, collection, &file)?;
            file.sync_data()?;
            arrays.insert((*collection).to_owned(), ArrayEntry { now, before: None });
        }
        let header = Header { format: FORMAT, store: new_store_id(), generation, base: 0, arrays };
        let (journal, length) = begin_journal(&paths, &header)?;
        journal.sync_data()?;
        switch_files(&paths, &header, M::COLLECTIONS)?;
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

    /// Lets its stores be opened.
    ///
    /// # Errors
    /// The disk's: it is then not known whether they can be opened.
    pub fn finish(self) -> Result<(), OpenError> {
        self.volume.sync_dir(&self.dir)?;
        self.volume.remove(&self.dir.join(self.words.filling))?;
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
