//! How a process opens the stores of its services, of whichever kind.

use crate::backend::Backend;
use crate::memory;
use clap::Args;
use http_kit::exit::{EX_USAGE, StartError};
use http_kit::metrics::Metrics;
use journal::{Budget, Journal, Model, OpenError, Options, Words};
use pg::{Database, PostgresUrl, Schema, Tables};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

/// What the JSON store calls the program around it. The names of files are on disk, and stay as they are for ever.
pub const WORDS: Words = Words {
    filling: "migrar.pendiente",
    mover: "`mercado migrar`",
    instead_of_network: "use a local disk, or PostgreSQL (STORE=postgres://...)",
    edited: "editado",
};

/// Array files by collection, for a store that was never used and is given no `SEED_DIR`.
pub type Sample = &'static [(&'static str, &'static str)];

/// Where a process's stores are. A process connects to a database once, for all of its stores.
pub struct Place<'a> {
    options: &'a StoreOptions,
    /// Where `STORE` names one.
    database: Option<Database>,
    /// For the records of all stores in files; a database has its own memory.
    budget: Option<Budget>,
}

/// A service's open store. Clones share it.
pub enum ServiceStore<M: Model> {
    /// In a directory.
    Json(Journal<M>),
    /// In a schema; the database may not be reached yet.
    Postgres(Schema),
}

impl<M: Model> Clone for ServiceStore<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Json(journal) => Self::Json(journal.clone()),
            Self::Postgres(schema) => Self::Postgres(schema.clone()),
        }
    }
}

impl<M: Model> ServiceStore<M> {
    /// The store as its host sees it.
    pub fn backend(&self) -> Arc<dyn Backend> {
        match self {
            Self::Json(journal) => Arc::new(journal.clone()),
            Self::Postgres(schema) => Arc::new(schema.clone()),
        }
    }
}

/// In a method of an enum with the variants `Json` and `Postgres`, calls an async method of the store that there is:
/// `on_store!(self, store => store.token(id))`. The future of a database is boxed: it is large, and beside a round trip the
/// allocation is nothing. The future of files stays small.
#[macro_export]
macro_rules! on_store {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Json($store) => $call.await,
            Self::Postgres($store) => Box::pin($call).await,
        }
    };
}

impl<'a> Place<'a> {
    /// The place that options name. `application` is the process's name at the database. Must be called on the process's Tokio
    /// runtime.
    pub fn of(options: &'a StoreOptions, application: &str, metrics: &Metrics) -> Self {
        let database = match &options.store {
            StoreUrl::Json(_) => None,
            StoreUrl::Postgres(url) => {
                let (size, queue) = (options.pool.into(), options.pool_queue.into());
                let database = Database::open(url, size, queue, options.patience, application);
                database.measure(metrics);
                Some(database)
            }
        };
        let budget = match options.store {
            StoreUrl::Json(_) => options.budget(memory::limit()),
            StoreUrl::Postgres(_) => None,
        };
        if let Some(budget) = &budget {
            let (used, most) = (budget.clone(), budget.most());
            metrics.gauge("store_memory_bytes", "Memory that the records in files take", move || used.used());
            metrics.gauge("store_memory_budget_bytes", "Memory that they may take", move || most);
        }
        Self { options, database, budget }
    }

    /// Opens a service's store. Blocking: for the start of the process. A database that cannot be reached is no error: the
    /// process is not ready until it can be.
    ///
    /// # Errors
    /// One line for the operator with the exit code of [`OpenError`], or 64 for a bad `SEED_DIR`.
    pub fn open<M: Tables>(&self, sample: Sample) -> Result<ServiceStore<M>, StartError> {
        let StoreOptions { store, seed_dir, .. } = self.options;
        if let Some(dir) = seed_dir {
            look_at_seed(dir, M::NAME, M::COLLECTIONS)?;
        }
        let dir = if let StoreUrl::Json(dir) = store { dir.clone() } else { PathBuf::new() };
        let (seed_dir, budget) = (seed_dir.clone(), self.budget.clone());
        let options = Options { seed_dir, sample, budget, words: WORDS, ..Options::new(dir) };
        let refused = |e: OpenError| StartError::new(e.exit_code(), format!("{}: {e}", M::NAME));
        match &self.database {
            None => Ok(ServiceStore::Json(Journal::open(options).map_err(refused)?)),
            Some(database) => {
                let seed = journal::seeded(&options).map_err(refused)?;
                Ok(ServiceStore::Postgres(Schema::open::<M>(database, seed)))
            }
        }
    }
}

/// Looks whether a seed directory can be read and whether one of a store's files is in it. The start ends where the directory
/// cannot be read, also if the store is in use already: so a typing error is noticed at the first start that has it, and not
/// at the start that should have taken the data.
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

/// Of the memory that there is, the hundredths that records may take: the rest is for a start, which has the text of an
/// array or of a journal in memory beside the records, twice after some crashes, for connections, and for the allocator.
/// `docs/LIMITS.md` has the sum.
const SHARE_PERCENT: u64 = 32;
/// A reserve is so many hundredths of what records may take: one for purchases, and as much again for their ends.
const RESERVE_PERCENT: u64 = 12;

impl StoreOptions {
    /// What the records of a process's stores in files may take, of so much memory.
    fn budget(&self, limit: Option<u64>) -> Option<Budget> {
        let named = self.store_memory_mib.map(|mib| mib << 20);
        let most = named.or_else(|| limit.map(|limit| limit / 100 * SHARE_PERCENT))?;
        Some(Budget::new(most, most / 100 * RESERVE_PERCENT))
    }
}

/// Where a service keeps its data.
#[derive(Args, Clone, Debug)]
pub struct StoreOptions {
    /// Where the data are: `json:DIR` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; `PGPASSWORD` may hold the password
    #[arg(long, env = "STORE", default_value = "json:./datos", hide_env_values = true)]
    pub store: StoreUrl,
    /// MiB of memory that the records of stores in files may take; more are refused with 507. Without it, 32 hundredths of
    /// what the container may have, or else the machine has
    #[arg(long, env = "STORE_MEMORY_MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub store_memory_mib: Option<u64>,
    /// Connections to PostgreSQL that this process may have open, besides one that looks whether it is there
    #[arg(long, env = "POOL", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pool: u16,
    /// Operations that may wait for one of them; the next one is answered 503 at once
    #[arg(long, env = "POOL_QUEUE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    pub pool_queue: u16,
    /// How long an operation on a database may take. No option, since a service must answer before its callers give it up:
    /// only tests have another
    #[arg(skip = pg::PATIENCE)]
    pub patience: Duration,
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
            // the text is not repeated: a misspelt URL may have a password in it
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
    fn records_take_the_share_that_is_named_or_a_share_of_what_there_is() {
        #[derive(clap::Parser)]
        struct Options {
            #[command(flatten)]
            store: StoreOptions,
        }
        let most = |args: &[&str], limit| {
            let options = <Options as clap::Parser>::parse_from([&["x"], args].concat());
            options.store.budget(limit).map(|budget| budget.most())
        };
        assert_eq!(most(&["--store-memory-mib", "7"], Some(100)), Some(7 << 20));
        assert_eq!(most(&[], Some(256 << 20)), Some((256 << 20) / 100 * SHARE_PERCENT));
        assert_eq!(most(&[], None), None, "as much as there is");
    }

    #[test]
    fn a_seed_directory_has_one_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let look = || look_at_seed(dir.path(), "usuarios", &["usuarios", "movimientos"]).unwrap();
        fs::write(dir.path().join("tokens.json"), "[]").unwrap();
        assert!(!look(), "and a warning is logged");
        fs::write(dir.path().join("movimientos.json"), "[]").unwrap();
        assert!(look());
    }
}
