//! Array files: any JSON array is read, since people edit them; one record a line is written.

use super::{
    Model, disk,
    error::Failure,
    format::{Hex, Image},
};
use serde::{
    Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    fmt,
    io::{self, Write},
    path::Path,
};
use xxhash_rust::xxh3::Xxh3Default;

/// Large enough that a million records are a few thousand writes.
const BUFFER: usize = 256 << 10;

/// Writes the elements of one array file.
pub struct ArrayWriter<'a> {
    out: &'a mut dyn Write,
    records: u64,
}

impl ArrayWriter<'_> {
    /// Writes the next record.
    ///
    /// # Errors
    /// The disk's, or that the record does not serialize.
    pub fn element<T: Serialize + ?Sized>(&mut self, record: &T) -> io::Result<()> {
        self.out.write_all(if self.records == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *self.out, record)?;
        self.records += 1;
        Ok(())
    }
}

/// Passes bytes on and hashes them on their way, in large pieces.
struct Hashing<'a> {
    file: &'a disk::File,
    at: u64,
    hash: Xxh3Default,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at).map_err(Failure::into_source)?;
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a collection's array.
pub(super) fn write<M: Model>(model: &M, collection: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"[")?;
    model.dump(collection, &mut ArrayWriter { out, records: 0 })?;
    out.write_all(b"\n]\n")
}

/// Writes a collection's array to a new file. It is not synced.
pub(super) fn dump<M: Model>(model: &M, collection: &str, file: &disk::File) -> Result<Image, Failure> {
    let mut out = io::BufWriter::with_capacity(BUFFER, Hashing { file, at: 0, hash: Xxh3Default::new() });
    let written = write(model, collection, &mut out).and_then(|()| out.flush());
    written.map_err(|e| Failure::io(file.path(), e))?;
    let done = out.get_ref();
    Ok(Image { bytes: done.at, xxh3: Hex(done.hash.digest()) })
}

/// Adds every element of an array file to the model.
pub(super) fn load<M: Model>(
    model: &mut M,
    collection: &str,
    path: &Path,
    bytes: &[u8],
) -> Result<(), Failure> {
    each(path, bytes, |element| model.load(collection, element))
}

/// Calls `take` with the text of each element. What is wrong is named with its line.
pub(super) fn each(
    path: &Path,
    bytes: &[u8],
    take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Failure> {
    let line_at = |offset: usize| 1 + bytes[..offset].iter().filter(|b| **b == b'\n').count() as u64;
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Failure::damage(
            path,
            1,
            "it begins with a byte order mark; save it as UTF-8 without one",
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Failure::damage(path, line_at(e.valid_up_to()), "it is not UTF-8 text"))?;
    let mut refused = None;
    let elements = Elements { text, take, refused: &mut refused };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_seq(elements).and_then(|()| json.end());
    match (refused, read) {
        (Some((offset, reason)), _) => Err(Failure::damage(path, line_at(offset), reason)),
        (None, Err(e)) => {
            Err(Failure::damage(path, e.line() as u64, format!("it is not a JSON array of records: {e}")))
        }
        (None, Ok(())) => Ok(()),
    }
}

struct Elements<'t, F> {
    text: &'t str,
    take: F,
    /// Where the element that was refused begins, and why.
    refused: &'t mut Option<(usize, String)>,
}

impl<'t, F: FnMut(&str) -> Result<(), String>> Visitor<'t> for Elements<'t, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'t>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(element) = array.next_element::<&'t RawValue>()? {
            if let Err(reason) = (self.take)(element.get()) {
                // A borrowed RawValue points into the text, so their distance is the offset.
                let offset = (element.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
                *self.refused = Some((offset, reason));
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
