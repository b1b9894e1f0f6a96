//! How a service opens its store, tells of it, and closes it.

use crate::config::{EX_USAGE, StartError, StoreOptions, StoreUrl};
use crate::journal::{Journal, Model, Options};
use crate::metrics::Metrics;
use std::path::Path;
use std::{fs, io};

/// Opens a service's JSON store. Blocking: for the start of the process.
///
/// # Errors
/// With the exit code of [`crate::journal::OpenError`] and its line for the operator; 64 for a bad `SEED_DIR`.
pub fn open<M: Model>(options: &StoreOptions) -> Result<Journal<M>, StartError> {
    open_with(options, &[])
}

/// The same, with array files by collection for a store that was never used and is given no `SEED_DIR`.
///
/// # Errors
/// As [`open`].
pub fn open_with<M: Model>(
    options: &StoreOptions,
    sample: &'static [(&'static str, &'static str)],
) -> Result<Journal<M>, StartError> {
    let StoreUrl::Json(dir) = &options.store;
    let seed_dir = options.seed_dir.clone();
    if let Some(dir) = &seed_dir {
        look_at_seed(dir, M::NAME, M::COLLECTIONS)?;
    }
    Journal::open(Options { seed_dir, sample, ..Options::new(dir) })
        .map_err(|e| StartError::new(e.exit_code(), format!("{}: {e}", M::NAME)))
}

/// A seed directory can be read, or the start ends, also where the store is in use already: a typing error is noticed at the
/// first start that has it, and not at the one that should have taken the data. Whether one of the files is there.
fn look_at_seed(dir: &Path, store: &str, collections: &[&str]) -> Result<bool, StartError> {
    let names: io::Result<Vec<_>> =
        fs::read_dir(dir).and_then(|all| all.map(|e| Ok(e?.file_name())).collect());
    let names = names.map_err(|e| {
        let dir = dir.display();
        let what = format!(
            "--seed-dir (SEED_DIR): {dir}: {e}; name a directory that can be read, with the JSON arrays that fill an empty \
             store, or leave the option out"
        );
        StartError::new(EX_USAGE, what)
    })?;
    let files: Vec<_> = collections.iter().map(|collection| format!("{collection}.json")).collect();
    let found = names.iter().any(|name| files.iter().any(|file| *name == **file));
    if !found {
        let (dir, files) = (dir.display(), files.join(" nor "));
        log::warn!(
            "{store}: --seed-dir (SEED_DIR): there is neither {files} in {dir}; an empty store stays empty"
        );
    }
    Ok(found)
}

/// `2 usuarios, 3 movimientos, opened in 4 ms`: for the line that a start logs.
pub fn describe<M: Model>(journal: &Journal<M>) -> String {
    format!("{}, opened in {} ms", counts(journal), journal.stats().load.as_millis())
}

/// Adds the store's numbers to `/metrics`.
pub fn measure<M: Model>(journal: &Journal<M>, metrics: &Metrics) {
    let read = |pick: fn(&crate::journal::Stats) -> u64| {
        let journal = journal.clone();
        move || pick(&journal.stats())
    };
    let name = M::NAME;
    let label = |what: &str| -> &'static str { Box::leak(format!("journal_{name}_{what}").into_boxed_str()) };
    metrics.counter(label("lines"), "Changes that this process wrote", read(|s| s.lines));
    metrics.counter(
        label("syncs"),
        "Times that this process synced them; fewer than lines: group commit",
        read(|s| s.syncs),
    );
    metrics.counter(label("compactions"), "Compactions that this process finished", read(|s| s.compactions));
    metrics.gauge(label("bytes"), "Length of the journal file", read(|s| s.journal_bytes));
    let health = journal.clone();
    metrics.gauge(label("writable"), "1 where the store takes writes", move || {
        u64::from(health.health().is_ok())
    });
}

/// Compacts and closes. Blocking: for the end of the process. What it came to, for the line that a stop logs.
///
/// # Errors
/// Exit code 74 where the last compaction failed. Nothing acknowledged is lost then: it is in the journal.
pub fn close<M: Model>(journal: &Journal<M>) -> Result<String, StartError> {
    let start = std::time::Instant::now();
    journal
        .close()
        .map_err(|e| StartError::new(74, format!("{}: the last compaction failed: {e}", M::NAME)))?;
    Ok(format!("{}, closed in {} ms", counts(journal), start.elapsed().as_millis()))
}

fn counts<M: Model>(journal: &Journal<M>) -> String {
    let stats = journal.stats();
    stats.records.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_directory_has_one_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let look = || look_at_seed(dir.path(), "usuarios", &["usuarios", "movimientos"]).unwrap();
        fs::write(dir.path().join("tokens.json"), "[]").unwrap();
        assert!(!look(), "which is warned of");
        fs::write(dir.path().join("movimientos.json"), "[]").unwrap();
        assert!(look());
    }
}
