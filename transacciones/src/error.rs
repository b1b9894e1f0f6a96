//! Why `transacciones` says no. This is the one kind of "no" between a participant's [`Refusal`] and a client's problem.
//!
//! Nothing here knows of HTTP. The state machine ends with an [`Error`], and the model checker hashes its states: so an
//! error is a value that can be compared, and keeps of a failed store only the reason in words.

use journal::StoreError;
use market::contract::Refusal;
use market::domain::{Clave, Monto, TokenId, TransaccionId, UsuarioId};
use std::sync::Arc;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// There is no such purchase.
    #[error("there is no transaccion {0}")]
    TransaccionNotFound(TransaccionId),
    /// A participant refused the purchase, and nothing is held: this key has not bought, and will not unless it is sent
    /// again.
    #[error("token {token_id} is not sold to usuario {usuario_id}: {refusal}")]
    Refused {
        /// To whom.
        usuario_id: UsuarioId,
        /// What was asked for.
        token_id: TokenId,
        /// The participant's reason.
        refusal: Refusal,
    },
    /// The buyer saw another price. Otherwise the same as a refusal by a participant.
    #[error("token {token_id} costs {precio} now")]
    PrecioChanged {
        /// What was asked for.
        token_id: TokenId,
        /// What it costs.
        precio: Monto,
    },
    /// The key was used for something else.
    #[error("the key {0} was used with other data")]
    ClaveReused(Clave),
    /// A participant gave no answer in time. Its cause is logged where it was met.
    #[error("a participant does not answer")]
    NoAnswer,
    /// Another request with the same key, or recovery, gave the attempt up.
    #[error("the attempt was given up elsewhere")]
    GivenUp,
    /// The store gave no answer to a write, or one that leaves the outcome open. Its cause is logged where it was met.
    #[error("the store decides nothing")]
    NoStore,
    /// The store cannot be read, for this reason.
    #[error("the store cannot be read: {0}")]
    Store(Arc<str>),
    /// The coordinator's store has no room for what it would have to keep of a refusal.
    #[error("the store is full")]
    StoreFull,
    /// The store has as many writes and reads to do as it may have.
    #[error("the store is busy")]
    Busy,
    /// This process has as many purchases under way as it may have: nothing was begun.
    #[error("as many purchases are under way as may be")]
    TooManyPurchases,
    /// This process has as many readers of events as it may have.
    #[error("as many read events as may")]
    TooManyReaders,
    /// A bug, or a participant that breaks its contract.
    #[error("{0}")]
    Bug(Arc<str>),
}

impl From<StoreError> for Error {
    fn from(cause: StoreError) -> Self {
        let what = cause.to_string().into();
        match cause {
            // a statement that is rejected would be rejected again: nobody is told to repeat the request
            StoreError::Rejected { .. } => Self::Bug(what),
            StoreError::Full => Self::StoreFull,
            StoreError::Busy => Self::Busy,
            StoreError::Latched { .. }
            | StoreError::Closed
            | StoreError::Unknown { .. }
            | StoreError::Io { .. } => Self::Store(what),
        }
    }
}

impl Error {
    /// The same, where it names a key: by the name that its client gave it.
    #[must_use]
    pub fn of_clave(self, sent: Clave) -> Self {
        if matches!(self, Self::ClaveReused(_)) { Self::ClaveReused(sent) } else { self }
    }

    /// A bug, in words.
    pub fn bug(what: impl Into<Arc<str>>) -> Self {
        Self::Bug(what.into())
    }
}
