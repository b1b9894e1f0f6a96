//! Protocol bugs that the checker must find. They live in the model's world and around `next`, never in the product.

use transacciones::domain::{Compra, Era, Fate, Word};
use transacciones::error::Error;
use transacciones::purchase::{self, Event, Step, StillHeld, Unexpected};
use transacciones::recovery::{self, Verdict};
use transacciones::store::{self, Overtaken};

/// What is wrong with the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Participants hear of a purchase before the store has decided it.
    ConfirmsBeforeCommit,
    /// The store commits an attempt that was aborted.
    NoFence,
    /// Holds are cancelled while their abort is on its way to the store.
    CancelsBeforeAbort,
    /// Each replica keeps claves unique by itself.
    UniquePerProcess,
    /// `usuarios` charges an attempt again when its message comes again.
    ChargesAgain,
    /// Recovery takes "not bought" for "never will be".
    RecoveryCancelsUndecided,
    /// Recovery confirms every try of a bought clave, whatever its attempt.
    RecoveryConfirmsAnyAttempt,
    /// A commit of unknown outcome is taken for one that failed.
    CancelsOnAGuess,
    /// The store aborts an attempt that is bought.
    AbortsWhatIsBought,
    /// A refused reservation is not made to last.
    RefusalNotFenced,
    /// A request whose attempt was aborted by another one goes on with the next attempt.
    GoesOnAfterOvertaken,
    /// After an abort the same attempt is tried again.
    AttemptUsedAgain,
    /// What an aborted attempt may hold is not cancelled before the next one.
    ClearSkipped,
    /// An abort is forgotten while its attempt may still be committed.
    ForgetsTooEarly,
    /// An attempt may be committed in any era.
    CommitsInAnyEra,
    /// A clave whose abort was forgotten is numbered from 1 again.
    NumbersUsedAgain,
    /// The same key of two people is one clave.
    KeyOfNobody,
}

/// The product's arrows, or what a bug makes of one.
pub fn next(bug: Option<Bug>, compra: &Compra, step: Step, event: Event) -> Result<Step, Box<Unexpected>> {
    match (bug, &step, &event) {
        (Some(Bug::CancelsOnAGuess), Step::Commit { numero, precio }, Event::NoStore) => {
            let why = Error::PrecioChanged { token_id: compra.token_id, precio: *precio };
            return Ok(Step::Cancel { numero: *numero, why, held: StillHeld::Reserva });
        }
        (Some(Bug::AttemptUsedAgain), Step::Clear { numero }, Event::Done) => {
            return Ok(Step::Reserve { numero: *numero });
        }
        (Some(Bug::GoesOnAfterOvertaken), Step::Overtaken, _) => {
            return purchase::next(compra, Step::Look, event);
        }
        _ => {}
    }
    Ok(match (bug, purchase::next(compra, step, event)?) {
        (Some(Bug::RefusalNotFenced), Step::Abort { why, held: StillHeld::Nothing, .. }) => {
            Step::Answer(Err(why))
        }
        (Some(Bug::ClearSkipped), Step::Clear { numero }) => Step::Reserve { numero: numero + 1 },
        (_, step) => step,
    })
}

/// Recovery's verdict.
pub fn verdict(bug: Option<Bug>, word: &Word, numero: u32) -> Verdict {
    match (bug, recovery::verdict(word, numero), word) {
        (Some(Bug::RecoveryCancelsUndecided), Verdict::AbortFirst, _) => Verdict::Cancel,
        (Some(Bug::RecoveryConfirmsAnyAttempt), _, Word::Bought(_)) => Verdict::Confirm,
        (_, verdict, _) => verdict,
    }
}

/// Whether the store commits.
pub fn may_commit(bug: Option<Bug>, word: &Word, era: Era, numero: u32) -> Result<(), Overtaken> {
    match (bug, word, word.fate(numero)) {
        (Some(Bug::NoFence), Word::Aborted(_), Fate::Lost) => Ok(()),
        (Some(Bug::CommitsInAnyEra), _, Fate::Open) => Ok(()),
        _ => store::may_commit(word, era, numero),
    }
}

/// Whether the store has an abort to write.
pub fn must_abort(bug: Option<Bug>, word: &Word, numero: u32) -> Result<bool, Overtaken> {
    match (bug, word) {
        (Some(Bug::AbortsWhatIsBought), Word::Bought(_)) => Ok(false),
        _ => store::must_abort(word, numero),
    }
}
