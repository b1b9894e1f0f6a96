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
//! A purchase under the server's own clave, which is new, begins with Reserve.
//!
//! One request makes one attempt. Whoever aborted the attempt meanwhile may have told a client 409, and only a request that
//! begins after that answer may buy.
//!
//! The law: **nobody cancels a hold before the abort of its attempt is durable in the coordinator's store**. Only
//! [`Step::Abort`] leads to [`Step::Cancel`], and [`Step::Clear`] comes from an abort that was read from the store.

#[cfg(feature = "fault-points")]
pub mod point;
pub mod runner;
#[cfg(test)]
mod tests;

use crate::domain::{Bought, Compra, Era, Transaccion, Word};
use crate::error::Error;
use journal::Need;
use market::contract::Refusal;
use market::domain::{Intento, Monto};

/// Where a purchase is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Asking the store for its word on the clave.
    Look,
    /// Asking the store again, after somebody else decided this request's attempt. The request makes no other attempt.
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
        replayed: bool,
    },
    /// Making the attempt's end durable, before anybody may cancel.
    Abort {
        /// Which.
        numero: u32,
        /// What the buyer will hear.
        why: Error,
        /// What may be held.
        held: StillHeld,
    },
    /// Cancelling what is held.
    Cancel {
        /// Of this attempt.
        numero: u32,
        /// What the buyer will hear.
        why: Error,
        /// What may be held.
        held: StillHeld,
    },
    /// The end.
    Answer(Result<Bought, Error>),
}

/// What an attempt may hold when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StillHeld {
    /// Nothing: the token was refused.
    Nothing,
    /// The token.
    Reserva,
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
    /// Confirm both holds of the transaction.
    Confirm(Transaccion),
    /// Write the abort, where the clave is not bought.
    Abort(Intento),
    /// Cancel these holds.
    Cancel {
        /// Of which attempt.
        intento: Intento,
        /// Whether there may be a debit too.
        cargo: bool,
    },
    /// Tell the client.
    Answer(Result<Bought, Error>),
}

/// How an action came out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The store's word.
    Word(Word),
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
    /// The store has no room for it: nothing was written.
    StoreFull,
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
    /// What a write of this step may use of the store's memory. To keep that a key was refused, where nothing is held, is the
    /// one that adds something for which no money was held: anybody can ask for any number of them.
    pub fn need(&self) -> Need {
        match self {
            Self::Abort { held: StillHeld::Nothing, .. } => Need::Add,
            _ => Need::End,
        }
    }

    /// Where a purchase begins. The server's own clave is new: nobody has decided anything under it.
    pub fn first(compra: &Compra) -> Self {
        if compra.clave_from_client { Self::Look } else { Self::Reserve { numero: 1 } }
    }

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
            // a debit that was refused is not there; recovery cancels one that arrives late
            Self::Cancel { numero, .. } => Action::Cancel { intento: intento(*numero), cargo: false },
            Self::Answer(answer) => Action::Answer(answer.clone()),
        }
    }
}

/// An attempt is numbered by the era that its purchase began in, which is read before the word on its clave. Else a request
/// that read the word, then waited for the next era, would buy after a younger one was refused.
pub fn numbered(step: Step, era: Era) -> Step {
    match step {
        Step::Reserve { numero } => match era.attempt(numero) {
            Some(numero) => Step::Reserve { numero },
            // thousands of attempts under one key, and the next era is a few minutes or hours away
            None => Step::Answer(Err(Error::GivenUp)),
        },
        other => other,
    }
}

/// Where the outcome of a step's action leads.
///
/// # Errors
/// [`Unexpected`] for a pair that the protocol does not have.
pub fn next(compra: &Compra, step: Step, event: Event) -> Result<Step, Box<Unexpected>> {
    let no = |why: Error| Step::Answer(Err(why));
    Ok(match (step, event) {
        (Step::Look, Event::Word(word)) => look(compra, word),
        (Step::Overtaken, Event::Word(word)) => match look(compra, word) {
            // another attempt would be a request that nobody sent
            Step::Clear { .. } | Step::Reserve { .. } => no(Error::GivenUp),
            decided => decided,
        },
        (Step::Look | Step::Overtaken, Event::NoStore) => no(Error::NoStore),

        // the token may still be held by the attempt that is to be cleared: a refusal of the next would be a lie
        (Step::Clear { .. }, Event::NoAnswer) => no(Error::NoAnswer),
        (Step::Clear { numero }, Event::Done) => Step::Reserve { numero: numero.saturating_add(1) },

        (Step::Reserve { numero }, Event::Reserved(precio)) => match compra.precio {
            Some(seen) if seen != precio => {
                let why = Error::PrecioChanged { token_id: compra.token_id, precio };
                Step::Abort { numero, why, held: StillHeld::Reserva }
            }
            _ => Step::Charge { numero, precio },
        },
        (Step::Reserve { .. }, Event::Refused(Refusal::ClaveReused)) => {
            no(Error::ClaveReused(compra.clave.clone()))
        }
        // the token was free for this body, so the debit is left over from a reservation that was given up: one of another
        // body, or of this body at another price
        (Step::Charge { .. }, Event::Refused(Refusal::ClaveReused)) => Step::Overtaken,
        // nothing is known against the attempt: what may be held of an earlier sending stays held, as after no answer
        (Step::Reserve { .. } | Step::Charge { .. }, Event::Refused(Refusal::StoreFull)) => {
            no(Error::StoreFull)
        }
        (Step::Reserve { numero }, Event::Refused(refusal)) => {
            let why = refused(compra, refusal);
            if compra.clave_from_client {
                // an earlier request with this key may be under way elsewhere, and must not buy after this refusal
                Step::Abort { numero, why, held: StillHeld::Nothing }
            } else {
                no(why)
            }
        }
        (Step::Charge { numero, precio }, Event::Charged) => Step::Commit { numero, precio },
        (Step::Charge { numero, .. }, Event::Refused(refusal)) => {
            Step::Abort { numero, why: refused(compra, refusal), held: StillHeld::Reserva }
        }
        // what may be held stays held, so that the same key can go on; recovery frees it if the key is not sent again
        (Step::Reserve { .. } | Step::Charge { .. }, Event::NoAnswer) => no(Error::NoAnswer),

        (Step::Commit { .. }, Event::Committed(transaccion)) => {
            Step::Confirm { transaccion, replayed: false }
        }
        (Step::Commit { .. } | Step::Abort { .. }, Event::Overtaken) => Step::Overtaken,
        // the line may be on the disk after all: never cancel on a guess
        (Step::Commit { .. } | Step::Abort { .. }, Event::NoStore) => no(Error::NoStore),

        // nothing may be cancelled, and no refusal told: recovery has a reserve for the abort of what is held
        (Step::Commit { .. } | Step::Abort { .. }, Event::StoreFull) => no(Error::StoreFull),

        (Step::Abort { why, held: StillHeld::Nothing, .. }, Event::Aborted) => no(why),
        (Step::Abort { numero, why, held }, Event::Aborted) => Step::Cancel { numero, why, held },
        (Step::Cancel { why, .. }, Event::Done | Event::NoAnswer) => no(why),

        // bought is bought: recovery repeats a confirmation that got lost
        (Step::Confirm { transaccion, replayed }, Event::Done | Event::NoAnswer) => {
            Step::Answer(Ok(Bought { transaccion, replayed }))
        }
        (step, event) => return Err(Box::new(Unexpected { step, event })),
    })
}

fn refused(compra: &Compra, refusal: Refusal) -> Error {
    Error::Refused { usuario_id: compra.usuario_id, token_id: compra.token_id, refusal }
}

fn look(compra: &Compra, word: Word) -> Step {
    match word {
        Word::Nothing => Step::Reserve { numero: 1 },
        Word::Bought(transaccion) if transaccion.answers(compra) => {
            Step::Confirm { transaccion, replayed: true }
        }
        Word::Aborted(a)
            if a.usuario_id == compra.usuario_id && a.token_id.is_none_or(|t| t == compra.token_id) =>
        {
            Step::Clear { numero: a.numero }
        }
        Word::Bought(_) | Word::Aborted(_) => Step::Answer(Err(Error::ClaveReused(compra.clave.clone()))),
    }
}
