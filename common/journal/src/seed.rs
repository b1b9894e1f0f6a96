//! What a store that was never used begins with, for stores of another kind.

use super::{Model, OpenError, Options, disk::Volume, error::Failure, open};

/// The arrays of `seed_dir`, or the sample, with what a first start adds to them. `dir` is not looked at. Blocks.
///
/// # Errors
/// As those of [`super::Journal::open`].
pub fn seed<M: Model>(options: &Options) -> Result<M, OpenError> {
    let (volume, mut model, mut found) = (Volume::real(), M::default(), Vec::new());
    for collection in M::COLLECTIONS {
        if let Some((path, bytes)) = open::seed(&volume, options, collection)? {
            super::array::load(&mut model, collection, &path, &bytes)?;
            found.push(*collection);
        }
    }
    let refused = |reason| Failure::damage(options.seed_dir.as_deref().unwrap_or(&options.dir), None, reason);
    for change in model.on_open(&found).map_err(refused)? {
        model.apply(&change);
    }
    Ok(model)
}
