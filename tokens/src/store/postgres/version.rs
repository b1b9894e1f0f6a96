//! The number of the state. Readers who ask for it at the same time share one query.

use crate::store::Version;
use journal::StoreError;
use pg::{Schema, run};
use sqlx::Error as SqlError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Mutex;

/// Callers that arrive during a query share the result of the next query: the query under way may have been sent before the
/// write that they know of. So there is one query at a time, for any number of readers, and no result is too old.
pub(super) struct Versions {
    asked: AtomicU64,
    last: Mutex<LastVersion>,
    /// How many tokens there were at the last query.
    tokens: AtomicUsize,
}

#[derive(Default)]
struct LastVersion {
    /// The number of the last caller who had arrived when the query was sent.
    to: u64,
    word: Option<Result<Version, StoreError>>,
}

impl Versions {
    pub(super) fn new() -> Self {
        Self { asked: AtomicU64::new(0), last: Mutex::default(), tokens: AtomicUsize::new(usize::MAX) }
    }

    /// About how many tokens there are; very many where nobody has asked yet.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.load(Ordering::Relaxed)
    }

    pub(super) async fn now(&self, schema: &Schema) -> Result<Version, StoreError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        match &last.word {
            Some(word) if last.to >= mine => word.clone(),
            _ => {
                let to = self.asked.load(Ordering::SeqCst);
                let word = run!(schema.repeatable(), |c, _| {
                    let sums = sqlx::query!(
                        r#"select sum(version)::text as "version!", sum(tokens)::bigint as "tokens!" from tokens.cuentas"#
                    );
                    let sums = sums.fetch_one(c).await?;
                    self.tokens.store(usize::try_from(sums.tokens).unwrap_or_default(), Ordering::Relaxed);
                    read_version(&sums.version)
                });
                *last = LastVersion { to, word: Some(word.clone()) };
                word
            }
        }
    }
}

/// A number that came as text.
pub(super) fn read_version(text: &str) -> Result<Version, SqlError> {
    text.parse().map(Version).map_err(|e| SqlError::Decode(format!("version {text}: {e}").into()))
}
