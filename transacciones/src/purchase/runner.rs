//! Runs a purchase: does what each [`Step`] asks for and feeds the outcome back.

use super::{Action, Event, Outcome, Step, Unexpected, next};
use crate::domain::Compra;
use crate::participants::{Tokens, Usuarios};
use crate::store::{Overtaken, Store};
use http_kit::client::Unavailable;
use journal::StoreError;
use market::contract::Answer;
use market::contract::{PedidoCargo, PedidoReserva};
use market::domain::Intento;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// The coordinator: its own store and the two participants. Clones share them.
#[derive(Clone)]
pub struct Coordinator {
    /// Decides.
    pub store: Store,
    /// Holds the goods.
    pub tokens: Arc<dyn Tokens>,
    /// Holds the money.
    pub usuarios: Arc<dyn Usuarios>,
    /// How long a purchase may wait for participants.
    pub deadline: Duration,
    /// Work that goes on behind an answer; a process that leaves waits for it.
    pub behind: TaskTracker,
}

impl Coordinator {
    /// One purchase from its beginning to its answer. It must run in a task of its own, so that a client that hangs up
    /// does not stop it half-way.
    ///
    /// # Errors
    /// [`Unexpected`]: a bug. What is held then, recovery settles.
    pub async fn run(&self, compra: &Compra) -> Result<Outcome, Box<Unexpected>> {
        let deadline = Instant::now() + self.deadline;
        let mut step = Step::Look;
        loop {
            let event = match step.action(compra) {
                Action::Answer(outcome) => return Ok(outcome),
                action => self.perform(action, compra, deadline).await,
            };
            log::debug!("{}: {step:?} -> {event:?}", compra.clave);
            step = next(compra, step, event)?;
        }
    }

    async fn perform(&self, action: Action, compra: &Compra, deadline: Instant) -> Event {
        match action {
            Action::Look => match self.store.palabra(&compra.clave).await {
                Ok(palabra) => Event::Word(palabra),
                Err(e) => no_store(&e),
            },
            Action::Reserve(intento) => {
                let pedido = PedidoReserva { token_id: compra.token_id, usuario_id: compra.usuario_id };
                event(self.tokens.reserve(&intento, pedido, deadline).await, |r| Event::Reserved(r.precio))
            }
            Action::Charge(intento, monto) => {
                let pedido = PedidoCargo { usuario_id: compra.usuario_id, monto };
                event(self.usuarios.charge(&intento, pedido, deadline).await, |()| Event::Charged)
            }
            Action::Commit(intento, precio) => match self.store.commit(intento, compra, precio).await {
                Ok(Ok(transaccion)) => Event::Committed(transaccion),
                Ok(Err(Overtaken)) => Event::Overtaken,
                Err(e) => no_store(&e),
            },
            Action::Abort(intento) => {
                match self.store.abort(intento, compra.usuario_id, Some(compra.token_id)).await {
                    Ok(Ok(())) => Event::Aborted,
                    Ok(Err(Overtaken)) => Event::Overtaken,
                    Err(e) => no_store(&e),
                }
            }
            Action::Cancel { intento, cargo } => self.cancel(&intento, cargo, deadline).await,
            Action::Confirm(transaccion) => match transaccion.intento {
                Some(intento) => self.confirm(intento, deadline).await,
                None => Event::Done,
            },
            Action::Answer(_) => Event::Done,
        }
    }

    async fn cancel(&self, intento: &Intento, cargo: bool, deadline: Instant) -> Event {
        let charged =
            async { if cargo { self.usuarios.cancel(intento, deadline).await } else { Ok(Ok(())) } };
        let (reserved, charged) = tokio::join!(self.tokens.cancel(intento, deadline), charged);
        for answer in [reserved, charged] {
            match answer {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => {
                    log::error!("{intento} is aborted, and yet its try cannot be cancelled: {refusal}");
                }
                Err(e) => return no_answer(&e),
            }
        }
        Event::Done
    }

    /// The sale is waited for, so that the buyer's next read shows it in any replica; the debit's end shows nowhere, so
    /// it happens behind the answer.
    async fn confirm(&self, intento: Intento, deadline: Instant) -> Event {
        // a purchase that used up its time still deserves a try: recovery would take ORPHAN_AGE
        let deadline = deadline.max(Instant::now() + self.deadline / 3);
        let (usuarios, of) = (Arc::clone(&self.usuarios), intento.clone());
        let context = http_kit::context::Context::current().unwrap_or_default();
        self.behind.spawn(context.scope(async move {
            confirmed(&of, usuarios.confirm(&of, deadline).await);
        }));
        confirmed(&intento, self.tokens.confirm(&intento, deadline).await)
    }
}

fn confirmed(intento: &Intento, answer: Answer<()>) -> Event {
    match answer {
        Ok(Ok(())) => Event::Done,
        Ok(Err(refusal)) => {
            log::error!("{intento} is bought, and yet its try cannot be confirmed: {refusal}");
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

fn no_answer(e: &Unavailable) -> Event {
    log::warn!("{e}");
    Event::NoAnswer
}

fn no_store(e: &StoreError) -> Event {
    log::error!("the store decides nothing: {e}");
    Event::NoStore
}
