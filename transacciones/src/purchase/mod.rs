//! A purchase as a pure state machine: try - confirm - cancel with presumed abort (docs/PURCHASE.md).
//!
//! [`Step::action`] says what to do in a step and [`next`] where its outcome leads. Nothing here waits, reads a clock or
//! knows a network: [`runner`] gives it real events, the tests and the model checker invented ones.
//!
//! ```text
//! Look ─ nothing ────────> Reserve ─ held ─> Charge ─ held ─> Commit ─ ok ─> Confirm ─> Answer 201
//!  │ ├── aborted at n ──> Clear(n) ──^          │ no             │ no: Overtaken ─ bought ──> Confirm, answer again
//!  │ └── bought ────────> Confirm, answer again └─> Abort ─> Cancel ─> Answer 409 └─ aborted ─> Answer 503
//! ```
//!
//! One request makes one attempt. Whoever aborted it meanwhile may have told its client 409, and only a request that begins
//! after that may buy.
//!
//! The law: **nobody cancels a try before the abort of its attempt is durable in the coordinator's store**; only
//! [`Step::Abort`] leads to [`Step::Cancel`], and [`Step::Clear`] comes from an abort that was read from the store.

pub mod runner;
#[cfg(test)]
mod tests;

use crate::domain::{Compra, Palabra, Transaccion};
use market::contract::Refusal;
use market::domain::{Intento, Monto};

/// Where a purchase is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Asking the store for its word on the clave.
    Look,
    /// Asking it again, after somebody else decided this request's attempt: it makes no other.
    Overtaken,
    /// Cancelling what is left of an aborted attempt, before the next.
    Clear {
        /// The aborted one.
        numero: u32,
    },
    /// Asking for the token.
    Reserve {
        /// Under this attempt.
        numero: u32,
    },
    /// Asking for the money.
    Charge {
        /// Under this attempt.
        numero: u32,
        /// What the token costs.
        precio: Monto,
    },
    /// Asking the store to decide.
    Commit {
        /// For this attempt.
        numero: u32,
        /// What the token costs.
        precio: Monto,
    },
    /// Telling the participants that it is bought.
    Confirm {
        /// What.
        transaccion: Transaccion,
        /// Whether an earlier request bought it.
        repetida: bool,
    },
    /// Making the attempt's end durable, before anybody may cancel.
    Abort {
        /// Which.
        numero: u32,
        /// What the buyer will hear.
        motivo: Motivo,
        /// What may be held.
        retenido: Retenido,
    },
    /// Cancelling what is held.
    Cancel {
        /// Of this attempt.
        numero: u32,
        /// What the buyer will hear.
        motivo: Motivo,
        /// What may be held.
        retenido: Retenido,
    },
    /// The end.
    Answer(Outcome),
}

/// Why a purchase comes to nothing, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Motivo {
    /// A participant said no.
    Rechazo(Refusal),
    /// The buyer saw another price than this.
    PrecioCambiado(Monto),
}

/// What an attempt may hold when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retenido {
    /// Nothing: the token was refused.
    Nada,
    /// The token.
    Reserva,
}

/// How a purchase ends for its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Bought: 201.
    Comprado {
        /// What was recorded.
        transaccion: Transaccion,
        /// Whether an earlier request with this key did it.
        repetida: bool,
    },
    /// Not bought, and nothing is held: 4xx. This key has not bought and will not, unless it is sent again.
    Rechazado(Motivo),
    /// The key was used for something else: 422.
    ClaveReutilizada,
    /// A participant gave no answer: 503; the same key may be sent again.
    SinRespuesta,
    /// Another request or recovery gave this attempt up: 503; the same key may be sent again.
    Superado,
    /// The store gave no answer, or one that leaves the outcome open: 503; the same key may be sent again.
    SinAlmacen,
}

/// What to do in a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the store.
    Look,
    /// Reserve the token.
    Reserve(Intento),
    /// Debit the balance.
    Charge(Intento, Monto),
    /// Write the transaction, where the clave is free and the attempt not aborted.
    Commit(Intento, Monto),
    /// Confirm both tries of the transaction.
    Confirm(Transaccion),
    /// Write the abort, where the clave is not bought.
    Abort(Intento),
    /// Cancel these tries.
    Cancel {
        /// Of which attempt.
        intento: Intento,
        /// Whether there may be a debit too.
        cargo: bool,
    },
    /// Tell the client.
    Answer(Outcome),
}

/// How an action came out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The store's word.
    Word(Palabra),
    /// The token is held, at this price.
    Reserved(Monto),
    /// The money is held.
    Charged,
    /// A participant says no.
    Refused(Refusal),
    /// The transaction is durable.
    Committed(Transaccion),
    /// The abort is durable.
    Aborted,
    /// The store has decided otherwise meanwhile: ask it.
    Overtaken,
    /// Done: confirmed or cancelled, as far as could be; recovery does the rest.
    Done,
    /// No answer before the deadline; it may or may not have happened.
    NoAnswer,
    /// The store failed; it may or may not have happened.
    NoStore,
}

/// An event that cannot come in a step: a bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot follow on {step:?}")]
pub struct Unexpected {
    /// Where the purchase was.
    pub step: Step,
    /// What came.
    pub event: Event,
}

impl Step {
    /// What to do now.
    pub fn action(&self, compra: &Compra) -> Action {
        let intento = |numero: u32| Intento { clave: compra.clave.clone(), numero };
        match self {
            Self::Look | Self::Overtaken => Action::Look,
            Self::Clear { numero } => Action::Cancel { intento: intento(*numero), cargo: true },
            Self::Reserve { numero } => Action::Reserve(intento(*numero)),
            Self::Charge { numero, precio } => Action::Charge(intento(*numero), *precio),
            Self::Commit { numero, precio } => Action::Commit(intento(*numero), *precio),
            Self::Confirm { transaccion, .. } => Action::Confirm(transaccion.clone()),
            Self::Abort { numero, .. } => Action::Abort(intento(*numero)),
            // a debit that was refused is not there; one that arrives late is recovery's
            Self::Cancel { numero, .. } => Action::Cancel { intento: intento(*numero), cargo: false },
            Self::Answer(outcome) => Action::Answer(outcome.clone()),
        }
    }
}

/// Where the outcome of a step's action leads.
///
/// # Errors
/// [`Unexpected`] for a pair that the protocol does not have.
pub fn next(compra: &Compra, step: Step, event: Event) -> Result<Step, Box<Unexpected>> {
    use Outcome::{ClaveReutilizada, Rechazado, SinAlmacen, SinRespuesta, Superado};
    Ok(match (step, event) {
        (Step::Look, Event::Word(word)) => look(compra, word),
        (Step::Overtaken, Event::Word(word)) => match look(compra, word) {
            // another attempt would be a request that nobody sent
            Step::Clear { .. } | Step::Reserve { .. } => Step::Answer(Superado),
            decided => decided,
        },
        (Step::Look | Step::Overtaken, Event::NoStore) => Step::Answer(SinAlmacen),

        // the token may still be held by the attempt that is to be cleared: a refusal of the next would be a lie
        (Step::Clear { .. }, Event::NoAnswer) => Step::Answer(SinRespuesta),
        (Step::Clear { numero }, Event::Done) => Step::Reserve { numero: numero.saturating_add(1) },

        (Step::Reserve { numero }, Event::Reserved(precio)) => match compra.precio {
            Some(visto) if visto != precio => {
                Step::Abort { numero, motivo: Motivo::PrecioCambiado(precio), retenido: Retenido::Reserva }
            }
            _ => Step::Charge { numero, precio },
        },
        (Step::Reserve { .. }, Event::Refused(Refusal::ClaveReutilizada)) => Step::Answer(ClaveReutilizada),
        // the token was free for this body, so the debit is what is left of a reservation that was given up: of another
        // body, or of this one at another price
        (Step::Charge { .. }, Event::Refused(Refusal::ClaveReutilizada)) => Step::Overtaken,
        (Step::Reserve { numero }, Event::Refused(refusal)) => {
            let motivo = Motivo::Rechazo(refusal);
            if compra.clave_del_cliente {
                // an earlier request with this key may be under way elsewhere, and must not buy after this refusal
                Step::Abort { numero, motivo, retenido: Retenido::Nada }
            } else {
                Step::Answer(Rechazado(motivo))
            }
        }
        (Step::Charge { numero, precio }, Event::Charged) => Step::Commit { numero, precio },
        (Step::Charge { numero, .. }, Event::Refused(refusal)) => {
            Step::Abort { numero, motivo: Motivo::Rechazo(refusal), retenido: Retenido::Reserva }
        }
        // what may be held stays held for the same key to be sent again; recovery frees it if it is not
        (Step::Reserve { .. } | Step::Charge { .. }, Event::NoAnswer) => Step::Answer(SinRespuesta),

        (Step::Commit { .. }, Event::Committed(transaccion)) => {
            Step::Confirm { transaccion, repetida: false }
        }
        (Step::Commit { .. } | Step::Abort { .. }, Event::Overtaken) => Step::Overtaken,
        // the line may be on the disk after all: never cancel on a guess
        (Step::Commit { .. } | Step::Abort { .. }, Event::NoStore) => Step::Answer(SinAlmacen),

        (Step::Abort { motivo, retenido: Retenido::Nada, .. }, Event::Aborted) => {
            Step::Answer(Rechazado(motivo))
        }
        (Step::Abort { numero, motivo, retenido }, Event::Aborted) => {
            Step::Cancel { numero, motivo, retenido }
        }
        (Step::Cancel { motivo, .. }, Event::Done | Event::NoAnswer) => Step::Answer(Rechazado(motivo)),

        // bought is bought: a confirmation that got lost is recovery's
        (Step::Confirm { transaccion, repetida }, Event::Done | Event::NoAnswer) => {
            Step::Answer(Outcome::Comprado { transaccion, repetida })
        }
        (step, event) => return Err(Box::new(Unexpected { step, event })),
    })
}

fn look(compra: &Compra, word: Palabra) -> Step {
    match word {
        Palabra::Nada => Step::Reserve { numero: 1 },
        Palabra::Comprado(transaccion) if transaccion.responde_a(compra) => {
            Step::Confirm { transaccion, repetida: true }
        }
        Palabra::Abortado(a)
            if a.usuario_id == compra.usuario_id && a.token_id.is_none_or(|t| t == compra.token_id) =>
        {
            Step::Clear { numero: a.numero }
        }
        Palabra::Comprado(_) | Palabra::Abortado(_) => Step::Answer(Outcome::ClaveReutilizada),
    }
}
