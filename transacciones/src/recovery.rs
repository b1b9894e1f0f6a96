//! Settles what a killed coordinator left behind: tries that nobody confirmed or cancelled (docs/PURCHASE.md).
//!
//! Every replica does it, from its start, once a second, and never gives up. A try is settled by the store's word: bought
//! -> confirm; otherwise the abort is made durable **first**, so that the attempt can never commit, and then cancelled.

use crate::domain::{Palabra, Suerte};
use crate::participants::Participant;
use crate::purchase::runner::Coordinator;
use crate::store::Overtaken;
use chrono::TimeDelta;
use futures_util::future::join_all;
use http_kit::client::Unavailable;
use journal::StoreError;
use market::contract::{PAGE, Try};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Between two passes.
const EVERY: Duration = Duration::from_secs(1);
/// Tries that are settled at once: enough for group commit to gather, few enough to leave room for purchases.
const AT_ONCE: usize = 16;

/// What recovery has done, for `/metrics`.
#[derive(Debug, Default)]
pub struct Tally {
    /// Old tries that the last pass could not settle.
    pub backlog: AtomicU64,
    /// Tries confirmed, since the start.
    pub confirmed: AtomicU64,
    /// Tries cancelled, since the start.
    pub cancelled: AtomicU64,
}

/// How a try was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its attempt is bought.
    Confirmed,
    /// Its attempt is aborted.
    Cancelled,
}

/// Why a try is left for the next pass.
#[derive(Debug, thiserror::Error)]
pub enum Left {
    /// A participant does not answer.
    #[error(transparent)]
    Participant(#[from] Unavailable),
    /// The store decides nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The participant has it otherwise than the store: a broken invariant.
    #[error("{0}")]
    Refused(String),
}

/// Recovery with what it works on.
pub struct Recovery {
    /// Whose tries.
    pub coordinator: Coordinator,
    /// Younger ones belong to purchases under way.
    pub orphan_age: Duration,
    /// What came of it.
    pub tally: Arc<Tally>,
}

impl Recovery {
    /// Passes until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            if stop.run_until_cancelled(self.pass()).await.is_none() {
                return;
            }
        }
    }

    /// Settles each old try of both participants once.
    pub async fn pass(&self) {
        let c = &self.coordinator;
        let (tokens, usuarios): (&dyn Participant, &dyn Participant) =
            (c.tokens.as_ref(), c.usuarios.as_ref());
        let (a, b) = tokio::join!(self.settle_all("tokens", tokens), self.settle_all("usuarios", usuarios));
        self.tally.backlog.store(a + b, Ordering::Relaxed);
    }

    /// How many are left.
    async fn settle_all(&self, name: &str, participant: &dyn Participant) -> u64 {
        let age = TimeDelta::from_std(self.orphan_age).unwrap_or(TimeDelta::MAX);
        let mut after: Option<Try> = None;
        let mut left = 0;
        loop {
            let deadline = Instant::now() + self.coordinator.deadline;
            let page = match participant.pending(age, after.as_ref(), deadline).await {
                Ok(Ok(page)) => page,
                Ok(Err(refusal)) => {
                    log::error!("recovery: {name} refused its list of tries: {refusal}");
                    return left.max(1);
                }
                Err(e) => {
                    log::warn!("recovery: {e}");
                    return left.max(1);
                }
            };
            for some in page.chunks(AT_ONCE) {
                let settled = join_all(some.iter().map(|t| self.settle(name, participant, t))).await;
                left += settled.iter().filter(|settled| !**settled).count() as u64;
            }
            if page.len() < PAGE {
                return left;
            }
            after = page.into_iter().next_back();
        }
    }

    async fn settle(&self, name: &str, participant: &dyn Participant, orphan: &Try) -> bool {
        match settle(&self.coordinator, participant, orphan).await {
            Ok(settled) => {
                let count = match settled {
                    Settled::Confirmed => &self.tally.confirmed,
                    Settled::Cancelled => &self.tally.cancelled,
                };
                count.fetch_add(1, Ordering::Relaxed);
                log::info!("recovery: {} at {name}: {settled:?}", orphan.intento);
                true
            }
            Err(why) => {
                log::warn!("recovery: {} at {name} is left for the next pass: {why}", orphan.intento);
                false
            }
        }
    }
}

/// What is to be done with a try that was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Confirm it: its attempt is bought.
    Confirm,
    /// Cancel it: its attempt never will be.
    Cancel,
    /// Nothing is decided: make its abort durable, then ask again.
    AbortFirst,
}

/// What the store's word on a clave means for a try of one of its attempts.
pub fn verdict(palabra: &Palabra, numero: u32) -> Verdict {
    match palabra.suerte(numero) {
        Suerte::Comprada => Verdict::Confirm,
        Suerte::Perdida => Verdict::Cancel,
        Suerte::Abierta => Verdict::AbortFirst,
    }
}

/// Settles one try by the store's word.
///
/// # Errors
/// [`Left`]: it can be tried again.
pub async fn settle(c: &Coordinator, participant: &dyn Participant, orphan: &Try) -> Result<Settled, Left> {
    let deadline = Instant::now() + c.deadline;
    let intento = &orphan.intento;
    let ask = async || c.store.palabra(&intento.clave).await.map(|word| verdict(&word, intento.numero));
    let mut found = ask().await?;
    if found == Verdict::AbortFirst {
        match c.store.abort(intento.clone(), orphan.usuario_id, orphan.token_id).await? {
            // bought meanwhile, by this attempt or another
            Ok(()) | Err(Overtaken) => found = ask().await?,
        }
    }
    let (answer, settled) = match found {
        Verdict::Confirm => (participant.confirm(intento, deadline).await, Settled::Confirmed),
        Verdict::Cancel => (participant.cancel(intento, deadline).await, Settled::Cancelled),
        Verdict::AbortFirst => {
            return Err(Left::Refused("its abort is written and does not show".to_owned()));
        }
    };
    answer?.map(|()| settled).map_err(|refusal| Left::Refused(format!("{settled:?} was refused: {refusal}")))
}
