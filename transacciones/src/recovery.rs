//! Settles what a killed coordinator left: holds that nobody confirmed or cancelled (docs/PURCHASE.md).
//!
//! Every replica does this, from its start, once a second, and never gives up. A hold is settled by the store's word. Where
//! its attempt is bought, the hold is confirmed. Otherwise the abort is made durable **first**, so that the attempt can never
//! commit, and then the hold is cancelled.

use crate::domain::{Fate, Word};
use crate::error::Error;
use crate::purchase::runner::Coordinator;
use crate::store::Overtaken;
use chrono::TimeDelta;
use futures_util::future::join_all;
use journal::Need;
use market::contract::{Hold, PAGE};
use market::participant::Participant;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Between two passes.
const EVERY: Duration = Duration::from_secs(1);
/// Holds that are settled at once: enough for group commit to gather, few enough to leave room for purchases.
const AT_ONCE: usize = 16;

/// What recovery has done, for `/metrics`.
#[derive(Debug, Default)]
pub struct Tally {
    /// Old holds that the last pass could not settle.
    pub backlog: AtomicU64,
    /// Holds confirmed, since the start.
    pub confirmed: AtomicU64,
    /// Holds cancelled, since the start.
    pub cancelled: AtomicU64,
}

/// How a hold was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its attempt is bought.
    Confirmed,
    /// Its attempt is aborted.
    Cancelled,
}

/// Recovery with what it works on.
pub struct Recovery {
    /// Whose holds.
    pub coordinator: Coordinator,
    /// Younger holds belong to purchases under way.
    pub orphan_age: Duration,
    /// What came of the passes.
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

    /// Settles each old hold of both participants once.
    pub async fn pass(&self) {
        let c = &self.coordinator;
        let (tokens, usuarios): (&dyn Participant, &dyn Participant) =
            (c.tokens.as_ref(), c.usuarios.as_ref());
        let (a, b) = tokio::join!(self.settle_all("tokens", tokens), self.settle_all("usuarios", usuarios));
        self.tally.backlog.store(a + b, Ordering::Relaxed);
    }

    /// How many holds are left.
    async fn settle_all(&self, name: &str, participant: &dyn Participant) -> u64 {
        let age = TimeDelta::from_std(self.orphan_age).unwrap_or(TimeDelta::MAX);
        let mut after: Option<Hold> = None;
        let (mut confirmed, mut cancelled, mut left, mut last) = (0_u64, 0_u64, 0_u64, None);
        loop {
            let deadline = Instant::now() + self.coordinator.deadline;
            let page = match participant.pending(age, after.as_ref(), deadline).await {
                Ok(Ok(page)) => page,
                Ok(Err(refusal)) => {
                    log::error!("recovery: {name} refused its list of holds: {refusal}");
                    return left.max(1);
                }
                Err(e) => {
                    log::warn!("recovery: {e}");
                    return left.max(1);
                }
            };
            for some in page.chunks(AT_ONCE) {
                for settled in join_all(some.iter().map(|t| self.settle(name, participant, t))).await {
                    match settled {
                        Ok(Settled::Confirmed) => confirmed += 1,
                        Ok(Settled::Cancelled) => cancelled += 1,
                        Err(why) => {
                            left += 1;
                            last = Some(why);
                        }
                    }
                }
            }
            if page.len() < PAGE {
                break;
            }
            after = page.into_iter().next_back();
        }
        // one line a pass, however many a crash left
        if confirmed + cancelled > 0 {
            log::info!("recovery: {name}: {confirmed} holds confirmed, {cancelled} cancelled");
        }
        if let Some(why) = last {
            log::warn!("recovery: {name}: {left} holds are left for the next pass, the last since {why}");
        }
        left
    }

    async fn settle(
        &self,
        name: &str,
        participant: &dyn Participant,
        orphan: &Hold,
    ) -> Result<Settled, Error> {
        let settled = settle(&self.coordinator, participant, orphan).await;
        log::debug!("recovery: {} at {name}: {settled:?}", orphan.intento);
        let count = match &settled {
            Ok(Settled::Confirmed) => &self.tally.confirmed,
            Ok(Settled::Cancelled) => &self.tally.cancelled,
            Err(_) => return settled,
        };
        count.fetch_add(1, Ordering::Relaxed);
        settled
    }
}

/// What is to be done with a hold that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Confirm the hold: its attempt is bought.
    Confirm,
    /// Cancel the hold: its attempt never will be bought.
    Cancel,
    /// Nothing is decided: make the abort durable, then ask again.
    AbortFirst,
}

/// What the store's word on a clave means for a hold of one of its attempts.
pub fn verdict(word: &Word, numero: u32) -> Verdict {
    match word.fate(numero) {
        Fate::Bought => Verdict::Confirm,
        Fate::Lost => Verdict::Cancel,
        Fate::Open => Verdict::AbortFirst,
    }
}

/// Settles one hold by the store's word.
///
/// # Errors
/// Why the hold is left for the next pass. [`Error::Bug`] where the participant's word contradicts the store's.
pub async fn settle(c: &Coordinator, participant: &dyn Participant, orphan: &Hold) -> Result<Settled, Error> {
    let deadline = Instant::now() + c.deadline;
    let intento = &orphan.intento;
    let ask = async || c.store.word(&intento.clave).await.map(|word| verdict(&word, intento.numero));
    let mut found = ask().await?;
    if found == Verdict::AbortFirst {
        match c.store.abort(Need::End, intento.clone(), orphan.usuario_id, orphan.token_id).await? {
            // bought meanwhile, by this attempt or another
            Ok(()) | Err(Overtaken) => found = ask().await?,
        }
    }
    let (answer, settled) = match found {
        Verdict::Confirm => (participant.confirm(intento, deadline).await, Settled::Confirmed),
        Verdict::Cancel => (participant.cancel(intento, deadline).await, Settled::Cancelled),
        Verdict::AbortFirst => {
            return Err(Error::bug("its abort is written and does not show"));
        }
    };
    match answer {
        Ok(Ok(())) => Ok(settled),
        Ok(Err(refusal)) => Err(Error::bug(format!("{settled:?} was refused: {refusal}"))),
        Err(e) => {
            log::debug!("recovery: {intento}: {e}");
            Err(Error::NoAnswer)
        }
    }
}
