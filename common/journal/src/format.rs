//! The journal file: a header line, then one line for each atomic change, then padding.
//!
//! ```text
//! 3f0c… {"format":1,"store":"9a…","generation":4,"base":17,"arrays":{…}}
//! 77b1… {"seq":18,"cambios":[…]}
//! 0d52… {"seq":19,"lote":18,"cambios":[…]}
//! ```
//! `lote` is the first line of the batch that wrote this one, where that is another. It tells a torn batch from damage: a
//! batch is written only after the one before it is durable.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const FORMAT: u32 = 1;
/// No store counts so far: a number above it is damage, and below it no sum overflows.
pub(super) const MOST: u64 = 1 << 53;
/// 16 hex digits and a space before the JSON.
const PREFIX: usize = 17;
/// Fills the file ahead of the lines, so that a sync has no new length to record. A carriage return is text to every tool,
/// and `cat` and `tail` show nothing of it, where they would show thousands of blank lines.
pub(super) const PADDING: u8 = b'\r';

/// A 64-bit value as 16 hex digits: JSON readers lose integers over 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Hex(pub(super) u64);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        format!("{:016x}", hex.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// Which bytes an array file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) bytes: u64,
    pub(super) xxh3: Hex,
}

impl Image {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, xxh3: Hex(xxh3_64(bytes)) }
    }
}

/// An array file that belongs to a generation. Its bytes are in `<c>.json`, or still in `<c>.json.tmp` while `<c>.json`
/// is what was there `before`: the rename of the journal is the one step that switches all files.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ArrayEntry {
    pub(super) now: Image,
    pub(super) before: Option<Image>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// Drawn once; the seed of every line's checksum, so that a line from another store is not taken for one of ours.
    pub(super) store: Hex,
    pub(super) generation: u64,
    /// The last line that the arrays include; the first line here is `base + 1`.
    pub(super) base: u64,
    pub(super) arrays: BTreeMap<String, ArrayEntry>,
}

impl Header {
    pub(super) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::new();
        sealed(&mut out, 0, self)?;
        Ok(out)
    }

    /// The header and the length of its line.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, u64), String> {
        let end = bytes.iter().position(|b| *b == b'\n').ok_or("the header line does not end")?;
        let body = verify(&bytes[..end], 0)?;
        let header: Self = serde_json::from_slice(body).map_err(|e| format!("the header: {e}"))?;
        if header.format != FORMAT {
            return Err(format!(
                "format {} is not known to this version, which reads {FORMAT}",
                header.format
            ));
        }
        if header.generation > MOST || header.base > MOST {
            return Err(format!("generation {} or line {} is out of range", header.generation, header.base));
        }
        Ok((header, end as u64 + 1))
    }

    /// The line number, from 1, that line `seq` has in this file.
    pub(super) fn line_of(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.base) + 1
    }

    pub(super) fn array_bytes(&self) -> u64 {
        self.arrays.values().map(|entry| entry.now.bytes).sum()
    }
}

#[derive(Serialize)]
struct Written<'a, C> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lote: Option<u64>,
    cambios: &'a [C],
}

/// A journal line.
#[derive(Deserialize)]
pub(super) struct Line<C> {
    pub(super) seq: u64,
    #[serde(default)]
    lote: Option<u64>,
    pub(super) cambios: C,
}

impl<C> Line<C> {
    pub(super) fn batch(&self) -> u64 {
        self.lote.unwrap_or(self.seq)
    }
}

/// Adds one line to a buffer; on an error the buffer is as before.
pub(super) fn push_line<C: Serialize>(
    out: &mut Vec<u8>,
    store: Hex,
    seq: u64,
    batch: u64,
    changes: &[C],
) -> serde_json::Result<()> {
    let lote = (batch != seq).then_some(batch);
    sealed(out, store.0, &Written { seq, lote, cambios: changes })
}

fn sealed<T: Serialize>(out: &mut Vec<u8>, seed: u64, body: &T) -> serde_json::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[b' '; PREFIX]);
    if let Err(e) = serde_json::to_writer(&mut *out, body) {
        out.truncate(start);
        return Err(e);
    }
    let check = format!("{:016x}", xxh3_64_with_seed(&out[start + PREFIX..], seed));
    out[start..start + 16].copy_from_slice(check.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// The JSON of a line (without its newline) whose checksum holds.
fn verify(line: &[u8], seed: u64) -> Result<&[u8], String> {
    let (Some(check), Some(b' '), Some(body)) = (line.get(..16), line.get(16), line.get(PREFIX..)) else {
        return Err("the line is cut short".into());
    };
    // Lower case only: each byte of an acknowledged line is then covered, also those of the checksum.
    if format!("{:016x}", xxh3_64_with_seed(body, seed)).as_bytes() != check {
        return Err("the checksum is wrong".into());
    }
    Ok(body)
}

/// Why a scan stopped before the end of the lines.
#[derive(Debug)]
pub(super) struct Stop {
    /// The number that the line should have.
    pub(super) seq: u64,
    pub(super) reason: String,
    /// Nothing after it was written by a later batch: it may be the end of a write that never finished.
    pub(super) torn: bool,
}

/// What [`scan`] read.
#[derive(Debug)]
pub(super) struct Scan {
    /// Bytes of whole, valid lines.
    pub(super) valid: usize,
    /// The next line's number.
    pub(super) next: u64,
    pub(super) stop: Option<Stop>,
}

/// Where the padding at the end begins. Compared in pieces: there is up to 128 KiB of it.
fn content(bytes: &[u8]) -> usize {
    const PIECE: [u8; 4096] = [PADDING; 4096];
    let pieces = bytes.rchunks_exact(PIECE.len()).take_while(|piece| *piece == PIECE).count();
    let rest = &bytes[..bytes.len() - pieces * PIECE.len()];
    rest.len() - rest.iter().rev().take_while(|b| **b == PADDING).count()
}

/// Reads lines in order, the first being number `next` and the first of its batch, and gives each to `take`. Padding at the
/// end is no line.
pub(super) fn scan<'a, C: Deserialize<'a>>(
    bytes: &'a [u8],
    store: Hex,
    mut next: u64,
    mut take: impl FnMut(Line<C>),
) -> Scan {
    let content = content(bytes);
    let (mut at, mut batch) = (0, None);
    while at < content {
        let rest = &bytes[at..];
        let end = rest.iter().position(|b| *b == b'\n');
        let line = match end {
            None => Err("the line does not end".to_owned()),
            Some(end) => verify(&rest[..end], store.0),
        };
        let failed = match line {
            Err(reason) => (reason, true),
            Ok(body) => match serde_json::from_slice::<Line<C>>(body) {
                Ok(line) if line.seq == next && (line.batch() == next || batch == Some(line.batch())) => {
                    batch = Some(line.batch());
                    take(line);
                    next += 1;
                    at += end.unwrap_or_default() + 1;
                    continue;
                }
                // Its batch was never acknowledged, and others wrote over the beginning of it: a page that a failed sync left
                // in the cache, where the page before it was forgotten.
                Ok(line) if line.seq == next => ("it is left of a batch that failed".to_owned(), true),
                // With a checksum that holds, this is what was written: no torn write.
                Ok(line) => (format!("it is line {} where {next} belongs", line.seq), false),
                Err(e) => (format!("it is not understood (written by a newer version?): {e}"), false),
            },
        };
        let (reason, may_be_torn) = failed;
        let torn = may_be_torn && !later_batch(rest, store, next);
        return Scan { valid: at, next, stop: Some(Stop { seq: next, reason, torn }) };
    }
    Scan { valid: at, next, stop: None }
}

/// Whether a batch that was begun after line `seq` was acknowledged left a valid line in `bytes`. Damage may have taken the
/// newline before it: a line is looked for wherever one could begin.
fn later_batch(bytes: &[u8], store: Hex, seq: u64) -> bool {
    let later = |line: &[u8]| {
        verify(line, store.0)
            .ok()
            .and_then(|body| serde_json::from_slice::<Line<serde::de::IgnoredAny>>(body).ok())
            .is_some_and(|line| line.batch() > seq)
    };
    bytes.split(|b| *b == b'\n').any(|text| {
        let bodies = text.windows(2).enumerate().filter(|(at, two)| *two == b" {" && *at + 1 >= PREFIX);
        bodies.map(|(at, _)| &text[at + 1 - PREFIX..]).any(later)
    })
}

/// [`scan`] for owned changes.
pub(super) fn scan_changes<C: DeserializeOwned>(
    bytes: &[u8],
    store: Hex,
    next: u64,
    mut take: impl FnMut(u64, Vec<C>),
) -> Scan {
    scan(bytes, store, next, |line: Line<Vec<C>>| take(line.seq, line.cambios))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a mark only what stands behind tells damage from a write that never finished.
    #[test]
    fn no_spoiled_byte_before_an_acknowledged_line_passes_for_a_torn_write() {
        let store = Hex(7);
        let mut bytes = Vec::new();
        push_line(&mut bytes, store, 1, 1, &["first"]).unwrap();
        let first = bytes.len();
        push_line(&mut bytes, store, 2, 2, &["{\"seq\":9}"]).unwrap();
        for at in 0..first {
            for flip in [1, 0x20, 0xff] {
                let mut spoiled = bytes.clone();
                spoiled[at] ^= flip;
                let found = scan(&spoiled, store, 1, |_: Line<Vec<String>>| {});
                assert!(!found.stop.unwrap().torn, "byte {at} ^ {flip}");
            }
        }
    }
}
