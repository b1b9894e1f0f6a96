//! The wall clock: the machine's, or for one task another that was put in its place. A simulation gives each of its
//! processes one that jumps and drifts.

use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: Clock;
}

/// What a process takes for the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a clock at {}", (self.0)())
    }
}

impl Clock {
    /// Shows what the function says.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Runs a task by this clock; what it spawns goes by the machine's again.
    pub async fn scope<F: Future>(self, task: F) -> F::Output {
        CURRENT.scope(self, task).await
    }

    /// Runs a function by this clock.
    pub fn sync_scope<T>(self, f: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, f)
    }
}

/// The time now.
pub fn now() -> DateTime<Utc> {
    CURRENT.try_with(|clock| (clock.0)()).unwrap_or_else(|_| Utc::now())
}
