//! Why `tokens` says no; nothing here knows of HTTP.

use journal::StoreError;
use market::contract::Refusal;
use market::domain::{Intento, TokenId};

/// Why an operation is refused, or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such token.
    #[error("there is no token {0}")]
    TokenNotFound(TokenId),
    /// The token is held for an attempt, which may yet let it go.
    #[error("token {0} is reserved")]
    TokenReserved(TokenId),
    /// The token is sold, for ever.
    #[error("token {0} is sold")]
    TokenSold(TokenId),
    /// The attempt was made with another token or for another user.
    #[error("the attempt {0} was used with other data")]
    ClaveReused(Intento),
    /// Nothing is held or sold under this attempt.
    #[error("there is no reserva under {0}")]
    IntentoNotFound(Intento),
    /// The token is sold under this attempt.
    #[error("the reserva under {0} is a sale")]
    IntentoConfirmed(Intento),
    /// All 2^53 - 1 ids have been given.
    #[error("there are no ids left")]
    NoIdsLeft,
    /// As many lists are being searched for as may be.
    #[error("as many lists are searched as may be")]
    TooManySearches,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What a purchase may be told; `None` where the trouble is this service's.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::TokenNotFound(_) => Some(Refusal::TokenNotFound),
            Self::TokenReserved(_) | Self::TokenSold(_) => Some(Refusal::TokenNotAvailable),
            Self::ClaveReused(_) => Some(Refusal::ClaveReused),
            Self::IntentoNotFound(_) => Some(Refusal::IntentoNotFound),
            Self::IntentoConfirmed(_) => Some(Refusal::IntentoConfirmed),
            Self::Store(StoreError::Full) => Some(Refusal::StoreFull),
            Self::NoIdsLeft | Self::TooManySearches | Self::Store(_) => None,
        }
    }
}
