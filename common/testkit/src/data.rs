//! A service's store of either kind, for a suite that holds both to one law.

use super::postgres::Server;
use http_kit::metrics::Metrics;
use market::store::{Place, ServiceStore, StoreOptions};
use pg::Tables;
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

/// How long an operation on a database may take in a test that is not about that: longer than a busy machine stands still.
pub const STORE_PATIENCE: Duration = Duration::from_secs(15);

/// What a suite runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files in a fresh directory.
    Json,
    /// A fresh database of a server as it comes: READ COMMITTED.
    Postgres,
    /// A fresh database of a server whose transactions are SERIALIZABLE, as some engines' always are.
    Serializable,
}

/// Data of a test, which any number of processes may have open.
pub struct TestData {
    options: StoreOptions,
    /// The kind it is of.
    pub kind: Kind,
    _dir: TempDir,
}

impl TestData {
    /// Nothing but the seed: arrays by collection.
    pub async fn new(kind: Kind, seed: &[(&str, Value)]) -> Self {
        let dir = TempDir::with_prefix("mercado-").expect("a directory");
        let arrays = dir.path().join("seed");
        std::fs::create_dir(&arrays).expect("a directory");
        for (collection, array) in seed {
            std::fs::write(arrays.join(format!("{collection}.json")), array.to_string()).expect("an array");
        }
        let store = match kind {
            Kind::Json => format!("json:{}", dir.path().join("datos").display()),
            Kind::Postgres => Server::shared().database().await,
            Kind::Serializable => Server::serializable().database().await,
        };
        Self::at(kind, &store, Some(arrays), dir).patient()
    }

    fn at(kind: Kind, store: &str, seed_dir: Option<std::path::PathBuf>, dir: TempDir) -> Self {
        let options = StoreOptions {
            store: store.parse().expect("a STORE"),
            store_memory_mib: None,
            pool: 4,
            pool_queue: 1000,
            patience: pg::PATIENCE,
            seed_dir,
        };
        Self { options, kind, _dir: dir }
    }

    /// What is in a database already, or will be.
    pub fn on(store: &str) -> Self {
        Self::at(Kind::Postgres, store, None, TempDir::new().expect("a directory"))
    }

    /// What a service has to be told to open it.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The same, by so many connections, and with so many operations that may wait for one.
    #[must_use]
    pub fn limited(mut self, pool: u16, pool_queue: u16) -> Self {
        (self.options.pool, self.options.pool_queue) = (pool, pool_queue);
        self
    }

    /// The same with [`STORE_PATIENCE`], as [`TestData::new`] has it.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.options.patience = STORE_PATIENCE;
        self
    }

    /// Opens it as one more process does.
    pub fn open<M: Tables>(&self) -> ServiceStore<M> {
        Place::of(&self.options, "prueba", &Metrics::new()).open(&[]).expect("an open store")
    }
}

/// One test for each kind of store, of each function of `$suite` that takes a [`Kind`].
#[macro_export]
macro_rules! suite {
    ($suite:ident: $($test:ident)+) => {
        mod json {
            $($crate::suite!(@ $suite $test Json);)+
        }
        mod postgres {
            $($crate::suite!(@ $suite $test Postgres);)+
        }
        mod serializable {
            $($crate::suite!(@ $suite $test Serializable);)+
        }
    };
    (@ $suite:ident $test:ident $kind:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            super::$suite::$test(testkit::data::Kind::$kind).await;
        }
    };
}
