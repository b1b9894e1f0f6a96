//! How a service opens its store, of whichever kind, tells of it, and closes it.

use clap::Args;
use http_kit::exit::{EX_USAGE, StartError};
use http_kit::metrics::Metrics;
use http_kit::server;
use journal::{Journal, Model, OpenError, Options};
use pg::{Database, PostgresUrl, Schema, Tables};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

/// Array files by collection, for a store that was never used and is given no `SEED_DIR`.
pub type Sample = &'static [(&'static str, &'static str)];

/// Where a process's stores are; a database is connected to once for all of them.
pub enum Place<'a> {
    /// A directory.
    Json(&'a StoreOptions, &'a Path),
    /// A database.
    Postgres(&'a StoreOptions, Database),
}

/// A service's open store.
pub enum Opened<M: Model> {
    /// In a directory.
    Json(Journal<M>),
    /// In a schema; it may not be reached yet.
    Postgres(Schema),
}

impl<M: Model> Clone for Opened<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Json(journal) => Self::Json(journal.clone()),
            Self::Postgres(schema) => Self::Postgres(schema.clone()),
        }
    }
}

impl<'a> Place<'a> {
    /// Of a process that names itself to the database. Must be called on its Tokio runtime.
    pub fn of(options: &'a StoreOptions, application: &str, metrics: &Metrics) -> Self {
        match &options.store {
            StoreUrl::Json(dir) => Self::Json(options, dir),
            StoreUrl::Postgres(url) => {
                let database = Database::open(url, options.pool.into(), application);
                database.measure(metrics);
                Self::Postgres(options, database)
            }
        }
    }

    /// Opens a service's store. Blocking: for the start of the process.
    ///
    /// # Errors
    /// With the exit code of [`OpenError`] and its line for the operator; 64 for a bad `SEED_DIR`. A database that cannot be reached is none: the
    /// process is not ready until it can.
    pub fn open<M: Tables>(&self, sample: Sample) -> Result<Opened<M>, StartError> {
        let (Self::Json(options, _) | Self::Postgres(options, _)) = self;
        if let Some(dir) = &options.seed_dir {
            look_at_seed(dir, M::NAME, M::COLLECTIONS)?;
        }
        match self {
            Self::Json(options, dir) => {
                let journal = Journal::open(from(options, dir, sample)).map_err(|e| refused::<M>(&e))?;
                Ok(Opened::Json(journal))
            }
            Self::Postgres(options, database) => {
                let seed = journal::seed(&from(options, "", sample)).map_err(|e| refused::<M>(&e))?;
                Ok(Opened::Postgres(Schema::open::<M>(database, seed)))
            }
        }
    }
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

fn from(options: &StoreOptions, dir: impl Into<PathBuf>, sample: Sample) -> Options {
    Options { seed_dir: options.seed_dir.clone(), sample, ..Options::new(dir) }
}

fn refused<M: Model>(e: &OpenError) -> StartError {
    StartError::new(e.exit_code(), format!("{}: {e}", M::NAME))
}

impl<M: Model> Opened<M> {
    /// Whether it takes writes.
    ///
    /// # Errors
    /// Why not, for the log.
    pub fn health(&self) -> Result<(), String> {
        let health = match self {
            Self::Json(journal) => journal.health(),
            Self::Postgres(schema) => schema.health(),
        };
        health.map_err(|e| e.to_string())
    }

    /// `2 usuarios, 3 movimientos, opened in 4 ms`: for the line that a start logs.
    pub fn describe(&self) -> String {
        match self {
            Self::Json(journal) => {
                format!("{}, opened in {} ms", counts(journal), journal.stats().load.as_millis())
            }
            Self::Postgres(_) => format!("schema {}", M::NAME),
        }
    }

    /// Adds the store's numbers to `/metrics`. Those of a database are its [`Place`]'s.
    pub fn measure(&self, metrics: &Metrics) {
        if let Self::Json(journal) = self {
            measure(journal, metrics);
        }
    }

    /// Compacts and closes: for the end of the process. What it came to, for the line that a stop logs.
    ///
    /// # Errors
    /// Exit code 74 where the last compaction failed. Nothing acknowledged is lost then: it is in the journal.
    pub async fn close(self) -> Result<String, StartError> {
        match self {
            Self::Json(journal) => server::blocking(move || close(&journal)).await,
            Self::Postgres(schema) => {
                schema.database().close().await;
                Ok(format!("schema {}", M::NAME))
            }
        }
    }
}

fn measure<M: Model>(journal: &Journal<M>, metrics: &Metrics) {
    let read = |pick: fn(&journal::Stats) -> u64| {
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

fn close<M: Model>(journal: &Journal<M>) -> Result<String, StartError> {
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

/// Where a service keeps its data.
#[derive(Args, Clone, Debug)]
pub struct StoreOptions {
    /// Where the data are: `json:DIR` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; `PGPASSWORD` may hold the password
    #[arg(long, env = "STORE", default_value = "json:./datos", hide_env_values = true)]
    pub store: StoreUrl,
    /// Connections to PostgreSQL that this process may have open, besides one that looks whether it is there
    #[arg(long, env = "POOL", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pool: u16,
    /// A directory with the JSON arrays that fill an empty store, once
    #[arg(long, env = "SEED_DIR")]
    pub seed_dir: Option<PathBuf>,
}

/// A parsed `STORE`.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// JSON arrays and a journal in a directory.
    Json(PathBuf),
    /// A schema for each service in a database.
    Postgres(PostgresUrl),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.starts_with("postgres:") || s.starts_with("postgresql:") {
            return s.parse().map(Self::Postgres);
        }
        match s.strip_prefix("json:") {
            Some("") => Err("json: needs a directory, as in json:./datos".to_owned()),
            Some(dir) => Ok(Self::Json(dir.into())),
            // it is not repeated: a misspelt URL may have a password in it
            None => {
                Err("expected json:DIR, as in json:./datos, or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                    .to_owned())
            }
        }
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(dir) => write!(f, "json:{}", dir.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
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
