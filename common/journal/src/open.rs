//! Opening: load and verify without the write lock, then repair, seed and settle under it. A refusal changes nothing.

use super::{
    Model, Options,
    append::{begin_journal, reopen_journal, switch_files},
    array,
    compact::{remove_tmp, settle},
    disk::{File, Volume},
    error::{Failure, OpenError},
    format::{ArrayEntry, FORMAT, Header, Image, push_line, scan},
    lock::{Held, Locks},
    mark::Mark,
    store::{Opened, Paths, Source, State, Store, damaged, new_store_id, open_journal, replay},
};
use serde::de::IgnoredAny;
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
        return Err(OpenError::NetworkFileSystem { dir: options.dir, kind });
    }
    let paths = Paths::new(volume, &options.dir, M::NAME);
    let locks = Locks::open(&paths).map_err(OpenError::creating)?;
    // Taken first by everybody who takes both. While it is held, the files change only by lines that are appended.
    let compaction = paths.volume.open_or_create(&paths.compact).map_err(OpenError::creating)?;
    compaction.lock()?;
    refuse_unfinished(&paths)?;
    let mark = paths.volume.open(&paths.lock)?;
    let mut store: Store<M> = match open_journal(&paths)? {
        Some(opened) => resume(paths, options, &locks, mark, opened)?,
        None => begin(paths, options, &locks, mark)?,
    };
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

/// What a move that was cut off left is no market: it is whole only once all stores are.
pub(super) fn refuse_unfinished(paths: &Paths) -> Result<(), Failure> {
    let file = Paths::unfinished(&paths.dir);
    if !paths.volume.exists(&file)? {
        return Ok(());
    }
    let reason = "a move into this directory has not ended: run `mercado migrar` again, which begins anew, or remove \
                  what is in the directory, this file last";
    Err(Failure::damage(&file, None, reason))
}

/// Array files for a new generation.
#[derive(Default)]
pub(super) struct Arrays {
    entries: BTreeMap<String, ArrayEntry>,
    /// Bytes that are not in `<c>.json` yet.
    fresh: Vec<(PathBuf, Vec<u8>)>,
    /// What a person put into `<c>.json`.
    found: Vec<(PathBuf, Vec<u8>)>,
}

impl Arrays {
    fn keep(&mut self, collection: &str, path: PathBuf, bytes: Vec<u8>) {
        let now = Image::of(&bytes);
        self.found.push((path, bytes));
        self.entries.insert(collection.to_owned(), ArrayEntry { now, before: Some(now) });
    }

    fn add(&mut self, collection: &str, path: PathBuf, bytes: Vec<u8>) {
        let entry = ArrayEntry { now: Image::of(&bytes), before: None };
        self.entries.insert(collection.to_owned(), entry);
        self.fresh.push((path, bytes));
    }
}

/// A directory without a journal: array files that a person put there, or the seed, or nothing.
fn begin<M: Model>(paths: Paths, options: Options, locks: &Locks, mark: File) -> Result<Store<M>, OpenError> {
    let mut found = Vec::new();
    for collection in M::COLLECTIONS {
        found.push((*collection, paths.volume.read(&paths.array(collection))?));
    }
    // The directory may be as new as what is in it.
    paths.volume.sync_above(&paths.dir)?;
    let seeding = found.iter().all(|(_, bytes)| bytes.is_none());
    let (mut model, mut edited, mut arrays) = (M::default(), Vec::new(), Arrays::default());
    for (collection, bytes) in found {
        let path = paths.array(collection);
        let seed = if seeding { seed(&paths.volume, &options, collection)? } else { None };
        match (bytes, seed) {
            (Some(bytes), _) => {
                array::load(&mut model, collection, &path, &bytes)?;
                arrays.keep(collection, path, bytes);
                edited.push(collection);
            }
            (None, Some((from, bytes))) => {
                array::load(&mut model, collection, &from, &bytes)?;
                arrays.add(collection, path, bytes);
                edited.push(collection);
            }
            (None, _) => arrays.add(collection, path, EMPTY.to_vec()),
        }
    }
    let held = locks.hold()?;
    // A journal that a person removed was of an earlier generation than this one.
    let generation = Mark::read(held.file())?.map_or(1, |mark| mark.generation + 1);
    let changes = on_open(&model, &edited, &paths)?;
    remove_tmp::<M>(&paths);
    let entries = std::mem::take(&mut arrays.entries);
    let header = Header { format: FORMAT, store: new_store_id(), generation, base: 0, arrays: entries };
    let (source, state) = found_generation(&paths, &held, &header, &arrays, model, &changes)?;
    Ok(Store::new(paths, options, mark, source, state))
}

/// What a store that was never used begins with, and where that is from.
pub(super) fn seed(
    volume: &Volume,
    options: &Options,
    collection: &str,
) -> Result<Option<(PathBuf, Vec<u8>)>, Failure> {
    let file = format!("{collection}.json");
    let Some(dir) = &options.seed_dir else {
        let sample = options.sample.iter().find(|(name, _)| *name == collection);
        return Ok(sample.map(|(_, json)| (file.into(), json.as_bytes().to_vec())));
    };
    let path = dir.join(file);
    Ok(volume.read(&path)?.map(|bytes| (path, bytes)))
}

/// A directory with a journal.
fn resume<M: Model>(
    paths: Paths,
    options: Options,
    locks: &Locks,
    mark: File,
    opened: Opened,
) -> Result<Store<M>, OpenError> {
    let Opened { source, body } = opened;
    let header = source.header.clone();
    let durable = acknowledged::<M>(&paths, &header, body, Mark::read(&mark)?)?;
    let (mut model, edited, mut arrays) = load_arrays::<M>(&paths, &header)?;
    let length = source.file.len()?;
    if length < durable {
        let reason = format!(
            "it ends at byte {length}, and {durable} bytes were acknowledged; restore it, or if this directory is a \
             copy that was made while the service ran, remove {} to go on without the missing changes",
            paths.lock.display()
        );
        return Err(Failure::damage(&paths.journal, None, reason).into());
    }
    if let Some(collection) = edited.first() {
        refuse_lines(&paths, collection, &source, body)?;
    }
    let bytes = source.file.read_range(body, durable)?;
    let (valid, seq) = replay(&mut model, &source, &bytes, header.base + 1, header.base)?;
    if body + valid < durable {
        let reason = "acknowledged lines are not there any more; restore the directory from a copy";
        return Err(Failure::damage(&paths.journal, header.line_of(seq + 1), reason).into());
    }
    let state = State { model, seq, mark: Mark { generation: header.generation, length: durable } };
    let store = Store::new(paths, options, mark, source, state);

    let held = locks.hold()?;
    store.recover(&held)?;
    // After a power failure padding can come before the rest of a write, so here the whole tail is looked at.
    let file = store.source().file.clone();
    store.adopt_tail(&held, &file)?;
    settle(&store.paths, &header)?;
    let state = store.state.load_full();
    let changes = on_open(&state.model, &edited, &store.paths)?;
    if let Some(collection) = edited.first() {
        // Another process may have written since the look above, without the lock.
        refuse_lines(&store.paths, collection, &store.source(), body)?;
        for (name, entry) in &header.arrays {
            arrays.entries.entry(name.clone()).or_insert(*entry);
        }
        // The edit counts as a line: a process that has the state before it must load the arrays, not go on from there.
        let (generation, base) = (header.generation + 1, state.seq + 1);
        let header = Header { generation, base, arrays: std::mem::take(&mut arrays.entries), ..header };
        let model = state.model.clone();
        let (source, state) = found_generation(&store.paths, &held, &header, &arrays, model, &changes)?;
        return Ok(Store::new(store.paths, store.options, store.mark, source, state));
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

/// How much of a journal was acknowledged, as far as that is known.
pub(super) fn acknowledged<M: Model>(
    paths: &Paths,
    header: &Header,
    body: u64,
    mark: Option<Mark>,
) -> Result<u64, Failure> {
    if let Some(name) = header.arrays.keys().find(|name| !M::COLLECTIONS.contains(&name.as_str())) {
        let reason =
            format!("it holds a collection {name:?} that this version does not know; start a newer one");
        return Err(Failure::damage(&paths.journal, 1, reason));
    }
    match mark {
        Some(mark) if mark.generation == header.generation && mark.length < body => {
            let reason = "its mark is inside of the journal's header, so it is another store's; if this directory was \
                          restored from a copy, remove this file";
            Err(Failure::damage(&paths.lock, None, reason))
        }
        Some(mark) if mark.generation == header.generation => Ok(mark.length),
        Some(mark) if mark.generation > header.generation => {
            let reason = "it speaks of a newer journal than there is; if this directory was restored from a copy, \
                          remove this file";
            Err(Failure::damage(&paths.lock, None, reason))
        }
        _ => Ok(body),
    }
}

/// The arrays that a header speaks of, the collections that somebody edited, and what a new generation must record.
pub(super) fn load_arrays<M: Model>(
    paths: &Paths,
    header: &Header,
) -> Result<(M, Vec<&'static str>, Arrays), Failure> {
    let (mut model, mut edited, mut arrays) = (M::default(), Vec::new(), Arrays::default());
    for collection in M::COLLECTIONS {
        let path = paths.array(collection);
        let bytes = paths.volume.read(&path)?;
        let image = bytes.as_deref().map(Image::of);
        let entry = header.arrays.get(*collection);
        if let (Some(entry), true) = (entry, image != entry.map(|entry| entry.now)) {
            let tmp = Paths::tmp(&path);
            match paths.volume.read(&tmp)?.filter(|bytes| Image::of(bytes) == entry.now) {
                // A compaction died between its renames.
                Some(bytes) if image.is_none() || image == entry.before => {
                    array::load(&mut model, collection, &tmp, &bytes)?;
                    continue;
                }
                Some(_) => {
                    let reason = format!(
                        "it was edited while {} waited to take its place after an unclean stop; put the file back as \
                         it was, or rename the other over it",
                        tmp.display()
                    );
                    return Err(Failure::damage(&path, None, reason));
                }
                None => {}
            }
        }
        match (bytes, image) {
            (Some(bytes), Some(image)) => {
                array::load(&mut model, collection, &path, &bytes)?;
                if entry.is_none_or(|entry| entry.now != image) {
                    edited.push(*collection);
                    arrays.keep(collection, path, bytes);
                }
            }
            _ if entry.is_some() => {
                let reason = "it is missing, and the journal builds on it; restore the directory from a copy";
                return Err(Failure::damage(&path, None, reason));
            }
            // A collection that an older version did not have; without an edit, the next compaction makes its file.
            _ => arrays.add(collection, path, EMPTY.to_vec()),
        }
    }
    Ok((model, edited, arrays))
}

/// An array that was edited after an unclean stop: the journal has changes that its editor did not see, and would undo
/// the edit of every record in them.
fn refuse_lines(paths: &Paths, collection: &str, source: &Source, body: u64) -> Result<(), Failure> {
    let bytes = source.file.read_range(body, source.file.len()?)?;
    let found = scan::<IgnoredAny>(&bytes, source.header.store, source.header.base + 1, |_| {});
    if let Some(stop) = found.stop.filter(|stop| !stop.torn) {
        return Err(damaged(source, &stop));
    }
    let lines = found.next - 1 - source.header.base;
    if lines == 0 {
        return Ok(());
    }
    let reason = format!(
        "it was edited while {} holds {lines} changes that are not in it yet, after an unclean stop; put the file back \
         as it was, start and stop the service, and edit it then; or remove the journal to lose those changes",
        paths.journal.display()
    );
    Err(Failure::damage(&paths.array(collection), None, reason))
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

/// Starts a generation whose arrays are not a compaction's. The opening changes are in the same file as the header that
/// takes note of the edit: a crash leaves both or neither.
fn found_generation<M: Model>(
    paths: &Paths,
    held: &Held<'_>,
    header: &Header,
    arrays: &Arrays,
    mut model: M,
    changes: &[M::Change],
) -> Result<(Source, State<M>), Failure> {
    // An editor or `cp` may not have synced what it wrote, and a sync now would say nothing of one that failed before.
    for (path, bytes) in &arrays.found {
        write_tmp(paths, path, bytes)?;
        paths.volume.rename(&Paths::tmp(path), path)?;
    }
    for (path, bytes) in &arrays.fresh {
        write_tmp(paths, path, bytes)?;
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
    let renames: Vec<PathBuf> = arrays.fresh.iter().map(|(path, _)| path.clone()).collect();
    switch_files(paths, &renames)?;
    let mark = Mark { generation: header.generation, length };
    mark.write(held.file())?;
    Ok((reopen_journal(paths)?, State { model, seq, mark }))
}
