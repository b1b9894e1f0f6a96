//! Runs a purchase: does what each [`Step`] asks for and feeds the outcome back.

use super::{Action, Event, Step, next, numbered};
use crate::complaint::Complaint;
use crate::domain::{Bought, Compra, Transaccion};
use crate::error::Error;
use crate::store::{Overtaken, Store};
use http_kit::client::{Unavailable, repeat};
use journal::{Need, StoreError};
use market::contract::Answer;
use market::contract::{CargoRequest, ReservaRequest};
use market::domain::Intento;
use market::participant::{Holder, Participant};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// One of the purchases that may be under way at once. It is kept until the purchase's background task is done, too.
pub type Slot = Arc<OwnedSemaphorePermit>;

/// The coordinator: its own store and the two participants. Clones share them.
#[derive(Clone)]
pub struct Coordinator {
    /// Decides.
    pub store: Store,
    /// Holds the goods.
    pub tokens: Arc<dyn Holder<ReservaRequest>>,
    /// Holds the money.
    pub usuarios: Arc<dyn Holder<CargoRequest>>,
    /// How long a purchase may wait for participants.
    pub deadline: Duration,
    /// Purchases and their background tasks; a process that leaves waits for them.
    pub background: TaskTracker,
    /// What is said of a store that decides nothing.
    pub trouble: Arc<Complaint>,
}

impl Coordinator {
    /// One purchase from its beginning to its answer. It must run in a task of its own, so that a client that hangs up
    /// does not stop it half-way.
    ///
    /// # Errors
    /// Why it is not bought. After [`Error::Bug`] recovery settles what is held.
    pub async fn run(&self, compra: &Compra, slot: &Slot) -> Result<Bought, Error> {
        let deadline = Instant::now() + self.deadline;
        // Before the word on the clave is read: so whoever numbers in a later era has seen all that is refused in this one.
        let era = match self.store.era().await {
            Ok(era) => era,
            Err(e) => {
                self.no_store(&e);
                return Err(Error::NoStore);
            }
        };
        let mut step = numbered(Step::first(compra), era);
        loop {
            let event = match step.action(compra) {
                Action::Answer(answer) => return answer,
                action => self.perform(action, step.need(), compra, slot, deadline).await,
            };
            log::debug!("{}: {step:?} -> {event:?}", compra.clave);
            #[cfg(feature = "fault-points")]
            super::point::reached(&step, &event);
            let next = next(compra, step, event).map_err(|unexpected| Error::bug(unexpected.to_string()))?;
            step = numbered(next, era);
        }
    }

    async fn perform(
        &self,
        action: Action,
        need: Need,
        compra: &Compra,
        slot: &Slot,
        deadline: Instant,
    ) -> Event {
        match action {
            Action::Look => match self.store.word(&compra.clave).await {
                Ok(word) => Event::Word(word),
                Err(e) => self.no_store(&e),
            },
            Action::Reserve(intento) => {
                let request = ReservaRequest { token_id: compra.token_id, usuario_id: compra.usuario_id };
                event(self.tokens.hold(&intento, request, deadline).await, |r| Event::Reserved(r.precio))
            }
            Action::Charge(intento, monto) => {
                let request = CargoRequest { usuario_id: compra.usuario_id, monto, session: compra.session };
                event(self.usuarios.hold(&intento, request, deadline).await, |()| Event::Charged)
            }
            Action::Commit(intento, precio) => match self.store.commit(intento, compra, precio).await {
                Ok(Ok(transaccion)) => {
                    let Transaccion { id, usuario_id, token_id, precio, .. } = &transaccion;
                    log::info!("transaccion {id}: usuario {usuario_id} bought token {token_id} for {precio}");
                    Event::Committed(transaccion)
                }
                Ok(Err(Overtaken)) => Event::Overtaken,
                Err(e) => self.no_store(&e),
            },
            Action::Abort(intento) => {
                match self.store.abort(need, intento, compra.usuario_id, Some(compra.token_id)).await {
                    Ok(Ok(())) => Event::Aborted,
                    Ok(Err(Overtaken)) => Event::Overtaken,
                    Err(e) => self.no_store(&e),
                }
            }
            Action::Cancel { intento, cargo } => self.cancel(&intento, cargo, deadline).await,
            Action::Confirm(transaccion) => match transaccion.intento {
                Some(intento) => self.confirm(intento, slot, deadline).await,
                None => Event::Done,
            },
            Action::Answer(_) => Event::Done,
        }
    }

    async fn cancel(&self, intento: &Intento, cargo: bool, deadline: Instant) -> Event {
        // What stands before another attempt (Clear, with its debit) is cleared again by the next request. After a refusal nobody
        // comes back, and the token would stay held for ORPHAN_AGE.
        let deadline = if cargo { deadline } else { self.extended(deadline) };
        let charged =
            async { if cargo { self.usuarios.cancel(intento, deadline).await } else { Ok(Ok(())) } };
        let (reserved, charged) = tokio::join!(self.tokens.cancel(intento, deadline), charged);
        for answer in [reserved, charged] {
            match answer {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => {
                    log::error!("{intento} is aborted, and yet its hold cannot be cancelled: {refusal}");
                }
                Err(e) => return no_answer(&e),
            }
        }
        Event::Done
    }

    /// The sale is waited for, so that the buyer's next read shows it in any replica. The end of the debit shows nowhere, so
    /// a background task confirms the debit.
    async fn confirm(&self, intento: Intento, slot: &Slot, deadline: Instant) -> Event {
        // also for a purchase that used up its time: recovery would take ORPHAN_AGE
        let deadline = self.extended(deadline);
        let (usuarios, of, slot) = (Arc::clone(&self.usuarios), intento.clone(), Arc::clone(slot));
        let context = http_kit::context::Context::current().unwrap_or_default();
        self.background.spawn(context.scope(async move {
            confirmed("usuarios", usuarios.as_ref(), &of, deadline).await;
            drop(slot);
        }));
        confirmed("tokens", self.tokens.as_ref(), &intento, deadline).await
    }

    /// A deadline for what ends an attempt, however late it is.
    fn extended(&self, deadline: Instant) -> Instant {
        deadline.max(Instant::now() + self.deadline / 3)
    }

    fn no_store(&self, e: &StoreError) -> Event {
        if matches!(e, StoreError::Full) {
            return Event::StoreFull;
        }
        self.trouble.say(&format_args!("the store decides nothing: {e}"));
        Event::NoStore
    }
}

/// Tells a participant that an attempt is bought, again and again while there is time: a participant that cannot hear it at once
/// (its store is full, or its breaker open) may hear it before the buyer has the answer.
async fn confirmed(
    service: &'static str,
    participant: &(impl Participant + ?Sized),
    intento: &Intento,
    deadline: Instant,
) -> Event {
    let once = || async { participant.confirm(intento, deadline).await.map_err(Into::into) };
    // the participant's own client draws the jitter
    match repeat(service, deadline, || 1.0, once).await {
        Ok(Ok(())) => Event::Done,
        Ok(Err(refusal)) => {
            log::error!("{intento} is bought, and yet its hold cannot be confirmed: {refusal}");
            Event::Done
        }
        Err(e) => no_answer(&e),
    }
}

fn event<T>(answer: Answer<T>, yes: impl FnOnce(T) -> Event) -> Event {
    match answer {
        Ok(Ok(value)) => yes(value),
        Ok(Err(refusal)) => Event::Refused(refusal),
        Err(e) => no_answer(&e),
    }
}

/// The participant's breaker has logged it, once for all purchases that wait for the same answer.
fn no_answer(e: &Unavailable) -> Event {
    log::debug!("{e}");
    Event::NoAnswer
}
