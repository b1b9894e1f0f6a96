//! Puts a new array in the place of the old one, and keeps what a person wrote there meanwhile.

use super::{
    error::Failure,
    format::{ArrayEntry, Fingerprint, Hex},
    paths::Paths,
};
use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use xxhash_rust::xxh3::Xxh3Default;

/// An array is read in pieces: it need not fit into memory a second time.
const PIECE: u64 = 1 << 20;
const DAY: u64 = 86_400;

/// Renames `<c>.json.tmp`, which has the bytes `entry.now`, over `<c>.json`. A file there that the store did not write is
/// somebody's edit, made while the store was in use: it is kept beside, under a name that a warning tells.
pub(super) fn put_in_place(paths: &Paths, collection: &str, entry: &ArrayEntry) -> Result<(), Failure> {
    let path = paths.array(collection);
    let there = fingerprint(paths, &path)?;
    if there.is_some_and(|there| Some(there) != entry.before && there != entry.now) {
        let kept = free_name(paths, &path)?;
        // an editor makes files that everybody may read
        paths.volume.tighten(&path);
        paths.volume.rename(&path, &kept)?;
        paths.volume.sync_dir(&paths.dir)?;
        log::warn!(
            "{} was edited while the store was in use, which takes no edits then; the edited file is {} now",
            path.display(),
            kept.display()
        );
    }
    paths.volume.rename(&Paths::tmp(&path), &path)
}

/// Which bytes a file has; `None` where there is none.
fn fingerprint(paths: &Paths, path: &Path) -> Result<Option<Fingerprint>, Failure> {
    if !paths.volume.exists(path)? {
        return Ok(None);
    }
    let file = paths.volume.open_to_read(path)?;
    let (mut bytes, mut hash) = (0, Xxh3Default::new());
    loop {
        let piece = file.read_range(bytes, bytes + PIECE)?;
        if piece.is_empty() {
            return Ok(Some(Fingerprint { bytes, xxh3: Hex(hash.digest()) }));
        }
        hash.update(&piece);
        bytes += piece.len() as u64;
    }
}

/// `<c>.json.edited-20260101T120000Z`; a number follows where there is one of this second already.
fn free_name(paths: &Paths, path: &Path) -> Result<PathBuf, Failure> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}", paths.words.edited, utc(seconds)));
    let (mut free, mut number) = (PathBuf::from(&name), 1);
    while paths.volume.exists(&free)? {
        number += 1;
        let mut next = name.clone();
        next.push(format!("-{number}"));
        free = next.into();
    }
    Ok(free)
}

/// Seconds since 1970 as a time that can stand in a file's name.
fn utc(seconds: u64) -> String {
    // Years that begin in March have their leap day at the end: `days` counts from 0000-03-01, in eras of 400 years.
    let days = seconds / DAY + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_767_225_599, "20251231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
