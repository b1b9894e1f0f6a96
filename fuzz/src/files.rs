//! The files of a store as a text that a person and a fuzzer can write.
//!
//! ```text
//! == altas.json
//! [1]
//! == hojas.journal
//! ~{"format":1,"store":"0000000000000007","generation":1,"base":0,"arrays":{"altas":{"now":@altas.json,"before":null}}}
//! ~{"seq":1,"cambios":[2]}
//! == hojas.lock
//! ~1 @hojas.journal
//! ```
//! A line that begins with `~` gets the checksum that it should have, and `@name` in it is the length and hash of an earlier
//! file: without that no fuzzer would get past the first check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) const DIR: &str = "/datos";
const MARK_SEED: u64 = 0x6d65_7263_6164_6f31;

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// The files that the bytes describe; only those with one of these names count.
pub(crate) fn parse(data: &[u8], names: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut sections: Vec<(&str, Vec<&[u8]>)> = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        let name = line.strip_prefix(b"== ").and_then(|name| names.iter().find(|n| n.as_bytes() == name));
        match (name, sections.last_mut()) {
            (Some(name), _) => sections.push((name, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    for (name, lines) in sections {
        let mut store = 0;
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| sealed(name, line, &files, &mut store)).collect();
        let bytes = lines.join(&b'\n');
        files.insert(path(name), bytes);
    }
    files
}

fn sealed(name: &str, line: &[u8], files: &BTreeMap<PathBuf, Vec<u8>>, store: &mut u64) -> Vec<u8> {
    let Some(body) = line.strip_prefix(b"~") else { return line.to_vec() };
    if name.ends_with(".lock") {
        return mark(body, files).unwrap_or_else(|| line.to_vec());
    }
    let body = with_images(body, files);
    // the header's own seed is 0, and it says which the lines have
    let header = body.starts_with(b"{\"format\"");
    if let (true, Ok(header)) = (header, serde_json::from_slice::<serde_json::Value>(&body)) {
        let id = header["store"].as_str().unwrap_or_default();
        *store = u64::from_str_radix(id, 16).unwrap_or_default();
    }
    let seed = if header { 0 } else { *store };
    [format!("{:016x} ", xxh3_64_with_seed(&body, seed)).as_bytes(), &body].concat()
}

/// `generation length`, the length being a number or `@name`, that file's.
fn mark(body: &[u8], files: &BTreeMap<PathBuf, Vec<u8>>) -> Option<Vec<u8>> {
    let (generation, length) = std::str::from_utf8(body).ok()?.split_once(' ')?;
    let length = match length.strip_prefix('@') {
        Some(name) => files.get(&path(name))?.iter().rposition(|b| *b != b'\r').map_or(0, |at| at as u64 + 1),
        None => length.parse::<u64>().ok()?,
    };
    let mut bytes = generation.parse::<u64>().ok()?.to_le_bytes().to_vec();
    bytes.extend(length.to_le_bytes());
    let check = xxh3_64_with_seed(&bytes, MARK_SEED);
    bytes.extend(check.to_le_bytes());
    Some(bytes)
}

fn with_images(body: &[u8], files: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<u8> {
    let mut body = body.to_vec();
    // the longer names first: `@altas.json` is also the beginning of `@altas.json.tmp`
    for (path, bytes) in files.iter().rev() {
        let name = format!("@{}", path.file_name().unwrap_or_default().to_string_lossy());
        let image = format!(r#"{{"bytes":{},"xxh3":"{:016x}"}}"#, bytes.len(), xxh3_64_with_seed(bytes, 0));
        while let Some(at) = find(&body, name.as_bytes()) {
            body.splice(at..at + name.len(), image.bytes());
        }
    }
    body
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
