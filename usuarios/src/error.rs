//! Why `usuarios` says no; nothing here knows of HTTP.

use journal::StoreError;
use market::contract::Refusal;
use market::domain::{Intento, Monto, UsuarioId};

/// Why an operation is refused, or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such user.
    #[error("there is no usuario {0}")]
    UsuarioNotFound(UsuarioId),
    /// The balance is below the amount.
    #[error("a balance of {saldo} is less than {monto}")]
    SaldoTooLow {
        /// The balance.
        saldo: Monto,
        /// What was asked for.
        monto: Monto,
    },
    /// The balance would pass its limit.
    #[error("{saldo} and {monto} are more than a balance can be")]
    SaldoTooHigh {
        /// The balance.
        saldo: Monto,
        /// What should be added.
        monto: Monto,
    },
    /// The key was used for something else.
    #[error("the key {0} was used with other data")]
    ClaveReused(String),
    /// Nothing is held under this attempt.
    #[error("there is no cargo under {0}")]
    IntentoNotFound(Intento),
    /// The debit under this attempt is settled.
    #[error("the cargo under {0} is confirmed")]
    IntentoConfirmed(Intento),
    /// All 2^53 - 1 ids have been given.
    #[error("there are no ids left")]
    NoIdsLeft,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What a purchase may be told; `None` where the trouble is this service's.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::UsuarioNotFound(_) => Some(Refusal::UsuarioNotFound),
            Self::SaldoTooLow { .. } => Some(Refusal::SaldoTooLow),
            Self::ClaveReused(_) => Some(Refusal::ClaveReused),
            Self::IntentoNotFound(_) => Some(Refusal::IntentoNotFound),
            Self::IntentoConfirmed(_) => Some(Refusal::IntentoConfirmed),
            Self::Store(StoreError::Full) => Some(Refusal::StoreFull),
            Self::SaldoTooHigh { .. } | Self::NoIdsLeft | Self::Store(_) => None,
        }
    }
}
