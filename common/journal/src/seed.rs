//! What a store that was never used begins with.

use super::{
    array,
    disk::Volume,
    error::{Failure, OpenError},
    model::Model,
    options::Options,
};
use std::path::PathBuf;

/// The array that a first start takes for a collection, and where that is from.
pub(super) fn seed_array(
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

/// The arrays of `seed_dir`, or the sample, with what a first start adds to them: for stores of another kind. `dir` is not
/// looked at. Blocks.
///
/// # Errors
/// As those of [`Journal::open`](super::Journal::open).
pub fn seeded<M: Model>(options: &Options) -> Result<M, OpenError> {
    let (volume, mut model, mut found) = (Volume::real(), M::default(), Vec::new());
    for collection in M::COLLECTIONS {
        if let Some((path, bytes)) = seed_array(&volume, options, collection)? {
            array::load(&mut model, collection, &path, &bytes)?;
            found.push(*collection);
        }
    }
    let refused = |reason| Failure::damage(options.seed_dir.as_deref().unwrap_or(&options.dir), None, reason);
    for change in model.on_open(&found).map_err(refused)? {
        model.apply(&change);
    }
    Ok(model)
}
