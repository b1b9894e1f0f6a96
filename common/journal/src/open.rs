//! Opening: load and verify without the write lock, then repair, seed and settle under it. A refusal changes nothing.

use super::{
    append::{begin_journal, switch_files},
    array,
    compact::{remove_tmp, settle},
    disk::{File, Volume},
    error::{Failure, OpenError},
    format::{ArrayEntry, FORMAT, Fingerprint, Header, push_line},
    journal_file::JournalFile,
    load::{FoundArray, IntoModel, Origin, Upto, edited_beside_lines, load, refuse_unknown},
    lock::{Held, Locks},
    mark::Mark,
    model::Model,
    options::Options,
    paths::Paths,
    seed::seed_array,
    store::{State, Store, new_store_id},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

const EMPTY: &[u8] = b"[\n]\n";

/// Opens or makes a store.
pub(super) fn open<M: Model>(volume: Volume, options: Options) -> Result<Store<M>, OpenError> {
    let started = Instant::now();
    let unwritable = |path: &PathBuf, source| OpenError::Unwritable { path: path.clone(), source };
    volume.create_dir_all(&options.dir).map_err(|e| unwritable(&options.dir, e))?;
    let network = volume.network(&options.dir).map_err(|e| Failure::io(&options.dir, e))?;
    if let Some(kind) = network {
        let instead = options.words.instead_of_network;
        return Err(OpenError::NetworkFileSystem { dir: options.dir, kind, instead });
    }
    let paths = Paths::new(volume, options.words, &options.dir, M::NAME);
    let locks = Locks::open(&paths).map_err(OpenError::creating)?;
    // Whoever takes both locks takes this one first. While it is held, the files change only by lines that are appended.
    let compaction = paths.volume.open_or_create(&paths.compact).map_err(OpenError::creating)?;
    if !compaction.try_lock()? {
        log::info!("{}: waits until another process has opened or compacted it", M::NAME);
        compaction.lock()?;
    }
    paths.refuse_unfinished()?;
    let mark = paths.volume.open(&paths.lock)?;
    let mut store: Store<M> = match JournalFile::open(&paths)? {
        Some(journal) => resume(paths, options, &locks, mark, journal)?,
        None => begin(paths, options, &locks, mark)?,
    };
    store.paths.all(M::COLLECTIONS).iter().for_each(|path| store.paths.volume.tighten(path));
    store.paths.volume.tighten_dir(&store.paths.dir, store.paths.words.edited);
    store.load = started.elapsed();
    let state = store.state.load();
    let counts: Vec<_> = M::COLLECTIONS.iter().map(|c| format!("{} {c}", state.model.count(c))).collect();
    log::debug!(
        "{}: opened {} with {}, line {}, in {:?}",
        M::NAME,
        store.paths.dir.display(),
        counts.join(", "),
        state.seq,
        store.load
    );
    drop(state);
    Ok(store)
}

/// Array files for a new generation.
#[derive(Default)]
struct Arrays {
    entries: BTreeMap<String, ArrayEntry>,
    /// Bytes that are not in `<c>.json` yet.
    fresh: Vec<(&'static str, Vec<u8>)>,
    /// What a person put into `<c>.json`.
    found: Vec<(PathBuf, Vec<u8>)>,
}

impl Arrays {
    fn keep(&mut self, collection: &str, path: PathBuf, bytes: Vec<u8>) {
        let now = Fingerprint::of(&bytes);
        self.found.push((path, bytes));
        self.entries.insert(collection.to_owned(), ArrayEntry { now, before: Some(now) });
    }

    fn add(&mut self, collection: &'static str, bytes: Vec<u8>) {
        let entry = ArrayEntry { now: Fingerprint::of(&bytes), before: None };
        self.entries.insert(collection.to_owned(), entry);
        self.fresh.push((collection, bytes));
    }
}

/// A directory without a journal: array files that a person put there, or the seed, or nothing.
fn begin<M: Model>(paths: Paths, options: Options, locks: &Locks, mark: File) -> Result<Store<M>, OpenError> {
    let mut found = Vec::new();
    for collection in M::COLLECTIONS {
        found.push((*collection, paths.volume.read(&paths.array(collection))?));
    }
    // The directory may be new as well, and its name not durable yet.
    paths.volume.sync_above(&paths.dir)?;
    let seeding = found.iter().all(|(_, bytes)| bytes.is_none());
    let (mut model, mut edited, mut arrays) = (M::default(), Vec::new(), Arrays::default());
    for (collection, bytes) in found {
        let path = paths.array(collection);
        let seed = if seeding { seed_array(&paths.volume, &options, collection)? } else { None };
        match (bytes, seed) {
            (Some(bytes), _) => {
                array::load(&mut model, collection, &path, &bytes)?;
                arrays.keep(collection, path, bytes);
                edited.push(collection);
            }
            (None, Some((from, bytes))) => {
                array::load(&mut model, collection, &from, &bytes)?;
                arrays.add(collection, bytes);
                edited.push(collection);
            }
            (None, _) => arrays.add(collection, EMPTY.to_vec()),
        }
    }
    let held = locks.hold()?;
    // Where a person removed the journal, the mark still says its generation: the new one must be later.
    let generation = Mark::read(held.file())?.map_or(1, |mark| mark.generation + 1);
    let changes = on_open(&model, &edited, &paths)?;
    remove_tmp::<M>(&paths);
    let entries = std::mem::take(&mut arrays.entries);
    let header = Header { format: FORMAT, store: new_store_id(), generation, base: 0, arrays: entries };
    let (source, state) = found_generation(&paths, &held, &header, &arrays, model, &changes)?;
    Ok(Store::new(paths, options, mark, source, state))
}

/// A directory with a journal.
fn resume<M: Model>(
    paths: Paths,
    options: Options,
    locks: &Locks,
    mark: File,
    journal: JournalFile,
) -> Result<Store<M>, OpenError> {
    let header = journal.header.clone();
    refuse_unknown::<M>(&paths, &header)?;
    let mut model = M::default();
    let mut into = IntoModel { model: &mut model, applied: header.base };
    let mut found = load(&paths, &journal, Mark::read(&mark)?, M::COLLECTIONS, Upto::Mark, &mut into)?;
    found.refuse_damage()?;
    let mark_now = Mark { generation: header.generation, length: found.acknowledged };
    let state = State { model, seq: found.lines.last, mark: mark_now };
    let store = Store::new(paths, options, mark, journal, state);

    let held = locks.hold()?;
    store.recover(&held)?;
    // After a power failure padding can come before the rest of a write, so here the whole tail is looked at.
    let file = store.source().file.clone();
    store.adopt_tail(&held, &file)?;
    settle(&store.paths, &header)?;
    let state = store.state.load_full();
    let edited: Vec<_> = M::COLLECTIONS.iter().copied().filter(|c| is_edited(&found.arrays, c)).collect();
    let changes = on_open(&state.model, &edited, &store.paths)?;
    if let Some(array) = found.edited() {
        // Another process may have written since the arrays were read, without the lock.
        if state.seq > header.base {
            return Err(
                Failure::from(edited_beside_lines(&store.paths, array, state.seq - header.base)).into()
            );
        }
        return edit(store, &held, &header, found.arrays, &changes);
    }
    if !changes.is_empty() {
        let (lines, model) =
            line_of_changes(&store.paths, &header, state.seq, state.model.clone(), &changes)?;
        store
            .append(&held, lines, model, state.seq + 1)
            .map_err(|e| Failure::io(&store.paths.journal, std::io::Error::other(e)))?;
    }
    Ok(store)
}

fn is_edited(arrays: &[FoundArray<'_>], collection: &str) -> bool {
    arrays.iter().any(|array| array.collection == collection && array.origin == Origin::Edited)
}

/// Starts the generation that builds on the arrays as somebody edited them.
fn edit<M: Model>(
    store: Store<M>,
    held: &Held<'_>,
    old: &Header,
    found: Vec<FoundArray<'static>>,
    changes: &[M::Change],
) -> Result<Store<M>, OpenError> {
    let mut arrays = Arrays::default();
    for array in found {
        match array.origin {
            Origin::Edited => arrays.keep(array.collection, array.file, array.edit),
            // An older version did not have this collection. Where nothing was edited, the next compaction makes its file.
            Origin::New => arrays.add(array.collection, EMPTY.to_vec()),
            _ => {}
        }
    }
    for (name, entry) in &old.arrays {
        arrays.entries.entry(name.clone()).or_insert(*entry);
    }
    let state = store.state.load_full();
    // The edit counts as a line: a process that has the state before it must load the arrays, not go on from there.
    let (generation, base) = (old.generation + 1, state.seq + 1);
    let header = Header { generation, base, arrays: std::mem::take(&mut arrays.entries), ..old.clone() };
    let model = state.model.clone();
    let (source, state) = found_generation(&store.paths, held, &header, &arrays, model, changes)?;
    Ok(Store::new(store.paths, store.options, store.mark, source, state))
}

fn on_open<M: Model>(model: &M, edited: &[&'static str], paths: &Paths) -> Result<Vec<M::Change>, Failure> {
    let file = edited.first().map_or_else(|| paths.journal.clone(), |collection| paths.array(collection));
    model.on_open(edited).map_err(|reason| Failure::damage(&file, None, reason))
}

/// The line for what `on_open` wants changed, and the model with it.
fn line_of_changes<M: Model>(
    paths: &Paths,
    header: &Header,
    seq: u64,
    mut model: M,
    changes: &[M::Change],
) -> Result<(Vec<u8>, M), Failure> {
    let mut lines = Vec::new();
    push_line(&mut lines, header.store, seq + 1, seq + 1, changes)
        .map_err(|e| Failure::damage(&paths.journal, None, format!("a change does not serialize: {e}")))?;
    changes.iter().for_each(|change| model.apply(change));
    Ok((lines, model))
}

fn write_tmp(paths: &Paths, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = paths.volume.create(&Paths::tmp(path))?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()
}

/// Starts a generation whose arrays no compaction has written. The opening changes are in the same file as the header that
/// takes note of the edit, so that a crash leaves both or neither.
fn found_generation<M: Model>(
    paths: &Paths,
    held: &Held<'_>,
    header: &Header,
    arrays: &Arrays,
    mut model: M,
    changes: &[M::Change],
) -> Result<(JournalFile, State<M>), Failure> {
    // An editor or `cp` may not have synced what it wrote. A sync of ours would not tell of one that failed before we came.
    for (path, bytes) in &arrays.found {
        write_tmp(paths, path, bytes)?;
        paths.volume.rename(&Paths::tmp(path), path)?;
    }
    for (collection, bytes) in &arrays.fresh {
        write_tmp(paths, &paths.array(collection), bytes)?;
    }
    let (file, mut length) = begin_journal(paths, header)?;
    let mut seq = header.base;
    if !changes.is_empty() {
        let lines;
        (lines, model) = line_of_changes(paths, header, seq, model, changes)?;
        file.write_all_at(&lines, length)?;
        length += lines.len() as u64;
        seq += 1;
    }
    file.sync_data()?;
    let fresh: Vec<&str> = arrays.fresh.iter().map(|(collection, _)| *collection).collect();
    switch_files(paths, header, &fresh)?;
    let mark = Mark { generation: header.generation, length };
    mark.write(held.file())?;
    Ok((JournalFile::reopen(paths)?, State { model, seq, mark }))
}
