//! Two models held against each other, as their array files would be.

use super::{array, hide::hide, model::Model};
use std::io::{self, Write};
use xxhash_rust::xxh3::Xxh3Default;

/// What a collection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub collection: &'static str,
    /// How many records.
    pub records: usize,
    /// The XXH3-128 of its array file: of all records, byte by byte and in order.
    pub hash: u128,
}

#[derive(Default)]
struct OnlyHashed(Xxh3Default);

impl Write for OnlyHashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What each collection of a model holds.
///
/// # Errors
/// That a record does not serialize.
pub fn contents<M: Model>(model: &M) -> io::Result<Vec<Content>> {
    let content = |collection: &&'static str| {
        let mut hashed = OnlyHashed::default();
        array::write(model, collection, &mut hashed)?;
        let hash = hashed.0.digest128();
        Ok(Content { collection, records: model.count(collection), hash })
    };
    M::COLLECTIONS.iter().map(content).collect()
}

/// The first record in which two models differ, for people: `counters.json: {"id":1,…} there, {"id":1,…} here`. Needs memory
/// for both array files; [`contents`] does not, and tells only whether they differ. Of members that are called as one of
/// `secrets` the value is `***`.
///
/// # Errors
/// That a record does not serialize.
pub fn difference<M: Model>(here: &M, there: &M, secrets: &[&str]) -> io::Result<Option<String>> {
    for collection in M::COLLECTIONS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        array::write(here, collection, &mut ours)?;
        array::write(there, collection, &mut theirs)?;
        if ours == theirs {
            continue;
        }
        // one record a line, and the last without its comma
        let records = |bytes: Vec<u8>| -> Vec<String> {
            let text = String::from_utf8_lossy(&bytes);
            text.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|l| l.len() > 1).collect()
        };
        let (ours, theirs) = (records(ours), records(theirs));
        let nothing = "nothing".to_owned();
        let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let at = |records: &[String]| hide(records.get(same).unwrap_or(&nothing), secrets).into_owned();
        return Ok(Some(format!("{collection}.json: {} there, {} here", at(&theirs), at(&ours))));
    }
    Ok(None)
}
