//! What a host does with an open store, whatever service it is of: files and databases alike.

use async_trait::async_trait;
use http_kit::exit::StartError;
use http_kit::metrics::Metrics;
use http_kit::server;
use journal::{Journal, Model};
use pg::Schema;
use std::time::Instant;

/// An open store, seen from the process that has it open.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Whether the store takes writes.
    ///
    /// # Errors
    /// Why not, for the log.
    fn health(&self) -> Result<(), String>;

    /// What was opened, for the line that a start logs: `2 usuarios, 3 movimientos, opened in 4 ms`.
    fn describe(&self) -> String;

    /// Adds the store's numbers to `/metrics`. A schema has none: the process adds those of its database once.
    fn measure(&self, metrics: &Metrics);

    /// Compacts and closes the store, at the end of the process; says what it came to, for the line that a stop logs.
    ///
    /// # Errors
    /// Exit code 74 where the last compaction failed. Nothing acknowledged is lost then: it is in the journal.
    async fn close(&self) -> Result<String, StartError>;
}

#[async_trait]
impl<M: Model> Backend for Journal<M> {
    fn health(&self) -> Result<(), String> {
        Self::health(self).map_err(|e| e.to_string())
    }

    fn describe(&self) -> String {
        format!("{}, opened in {} ms", counts(self), self.stats().load.as_millis())
    }

    fn measure(&self, metrics: &Metrics) {
        let read = |pick: fn(&journal::Stats) -> u64| {
            let journal = self.clone();
            move || pick(&journal.stats())
        };
        let name = M::NAME;
        let label =
            |what: &str| -> &'static str { Box::leak(format!("journal_{name}_{what}").into_boxed_str()) };
        metrics.counter(label("lines"), "Changes that this process wrote", read(|s| s.lines));
        metrics.counter(
            label("syncs"),
            "Times that this process synced them; fewer than lines: group commit",
            read(|s| s.syncs),
        );
        metrics.counter(
            label("compactions"),
            "Compactions that this process finished",
            read(|s| s.compactions),
        );
        metrics.gauge(label("bytes"), "Length of the journal file", read(|s| s.journal_bytes));
        metrics.gauge(label("queued"), "Writes that wait for the disk now", read(|s| s.queued as u64));
        metrics.counter(
            label("refused"),
            "Writes that were refused because too many waited",
            read(|s| s.refused),
        );
        metrics.counter(
            label("full"),
            "Writes that were refused because the memory for records is used up",
            read(|s| s.full),
        );
        let health = self.clone();
        metrics.gauge(label("writable"), "1 where the store takes writes", move || {
            u64::from(health.health().is_ok())
        });
    }

    async fn close(&self) -> Result<String, StartError> {
        let journal = self.clone();
        server::blocking(move || {
            let start = Instant::now();
            Self::close(&journal)
                .map_err(|e| StartError::new(74, format!("{}: the last compaction failed: {e}", M::NAME)))?;
            Ok(format!("{}, closed in {} ms", counts(&journal), start.elapsed().as_millis()))
        })
        .await
    }
}

fn counts<M: Model>(journal: &Journal<M>) -> String {
    let stats = journal.stats();
    stats.records.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Backend for Schema {
    fn health(&self) -> Result<(), String> {
        Self::health(self).map_err(|e| e.to_string())
    }

    fn describe(&self) -> String {
        format!("schema {}", self.name())
    }

    fn measure(&self, _metrics: &Metrics) {}

    async fn close(&self) -> Result<String, StartError> {
        self.database().close().await;
        Ok(self.describe())
    }
}
