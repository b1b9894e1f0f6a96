//! The number of the state, asked for once for all who want to know it at the same time.

use crate::store::Version;
use journal::StoreError;
use pg::{Schema, run};
use sqlx::Error as SqlError;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Who asks while a question is under way gets the next one's answer: that under way may have been asked before the write
/// which he knows of. So one question at a time answers any number of readers, and none too old.
#[derive(Default)]
pub(super) struct Versiones {
    asked: AtomicU64,
    last: Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    /// The last who had asked when the question was sent.
    to: u64,
    word: Option<Result<Version, StoreError>>,
}

impl Versiones {
    pub(super) async fn now(&self, schema: &Schema) -> Result<Version, StoreError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        match &last.word {
            Some(word) if last.to >= mine => word.clone(),
            _ => {
                let to = self.asked.load(Ordering::SeqCst);
                let word = run!(schema.repeatable(), |c, _| {
                    let version =
                        sqlx::query_scalar!(r#"select sum(version)::text as "version!" from tokens.cuentas"#);
                    leer(&version.fetch_one(c).await?)
                });
                *last = Answer { to, word: Some(word.clone()) };
                word
            }
        }
    }
}

/// A number that came as text.
pub(super) fn leer(text: &str) -> Result<Version, SqlError> {
    text.parse().map(Version).map_err(|e| SqlError::Decode(format!("version {text}: {e}").into()))
}
