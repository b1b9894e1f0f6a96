//! Clocks that jump: one for each service, in a file `reloj-…` that Debian's libfaketime reads.

use crate::plan::Service;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After so many whole seconds, and the one that has begun, a process looks at the file of its clock again.
const KEPT: Duration = Duration::from_secs(1);
/// Until a clock that was moved has jumped in every process.
pub const JUMP: Duration = KEPT.saturating_add(Duration::from_millis(1100));

/// `LIBFAKETIME`, or where Debian's package puts the library.
pub fn library() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LIBFAKETIME") {
        return Some(path.into());
    }
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    machines.flatten().map(|m| m.path().join("faketime/libfaketimeMT.so.1")).find(|p| p.exists())
}

/// What a process needs whose clock can jump. Its file is in this directory.
///
/// # Errors
/// With the file's name.
pub fn environment(library: &Path, dir: &Path, service: Service) -> Result<Vec<(String, String)>, String> {
    set(dir, service, 0)?;
    let environment = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file(dir, service).display().to_string()),
        ("FAKETIME_CACHE_DURATION", KEPT.as_secs().to_string()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(environment.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// Moves the clock of a service to so many seconds from the machine's.
///
/// # Errors
/// With the file's name.
pub fn set(dir: &Path, service: Service, seconds: i64) -> Result<(), String> {
    let file = file(dir, service);
    std::fs::write(&file, format!("{seconds:+}s")).map_err(|e| format!("{}: {e}", file.display()))
}

fn file(dir: &Path, service: Service) -> PathBuf {
    dir.join(format!("reloj-{}", service.name()))
}
