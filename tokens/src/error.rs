//! Why `tokens` says no; nothing here knows of HTTP.

use journal::StoreError;
use market::contract::Refusal;
use market::domain::{Intento, TokenId};

/// Why not.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such token.
    #[error("there is no token {0}")]
    TokenNoEncontrado(TokenId),
    /// It is held for an attempt, which may yet let it go.
    #[error("token {0} is reserved")]
    TokenReservado(TokenId),
    /// It is sold, for ever.
    #[error("token {0} is sold")]
    TokenVendido(TokenId),
    /// The attempt was made with another token or for another user.
    #[error("the attempt {0} was used with other data")]
    ClaveReutilizada(Intento),
    /// Nothing is held or sold under this attempt.
    #[error("there is no reserva under {0}")]
    IntentoNoEncontrado(Intento),
    /// The token is sold under this attempt.
    #[error("the reserva under {0} is a sale")]
    IntentoConfirmado(Intento),
    /// 2^53 - 1 ids were given.
    #[error("there are no ids left")]
    SinIds,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What a purchase may be told; the rest is trouble here.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::TokenNoEncontrado(_) => Some(Refusal::TokenNoEncontrado),
            Self::TokenReservado(_) | Self::TokenVendido(_) => Some(Refusal::TokenNoDisponible),
            Self::ClaveReutilizada(_) => Some(Refusal::ClaveReutilizada),
            Self::IntentoNoEncontrado(_) => Some(Refusal::IntentoNoEncontrado),
            Self::IntentoConfirmado(_) => Some(Refusal::IntentoConfirmado),
            Self::SinIds | Self::Store(_) => None,
        }
    }
}
