//! Why `usuarios` says no; nothing here knows of HTTP.

use journal::StoreError;
use market::contract::Refusal;
use market::domain::{Intento, Monto, UsuarioId};

/// Why not.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such user.
    #[error("there is no usuario {0}")]
    UsuarioNoEncontrado(UsuarioId),
    /// The balance is below the amount.
    #[error("a balance of {saldo} is less than {monto}")]
    SaldoInsuficiente {
        /// What is there.
        saldo: Monto,
        /// What was asked for.
        monto: Monto,
    },
    /// The balance would pass its limit.
    #[error("{saldo} and {monto} are more than a balance can be")]
    SaldoExcedido {
        /// What is there.
        saldo: Monto,
        /// What should be added.
        monto: Monto,
    },
    /// The key was used for something else.
    #[error("the key {0} was used with other data")]
    ClaveReutilizada(String),
    /// Nothing is held under this attempt.
    #[error("there is no cargo under {0}")]
    IntentoNoEncontrado(Intento),
    /// The debit is settled.
    #[error("the cargo under {0} is confirmed")]
    IntentoConfirmado(Intento),
    /// 2^53 - 1 users are there.
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
            Self::UsuarioNoEncontrado(_) => Some(Refusal::UsuarioNoEncontrado),
            Self::SaldoInsuficiente { .. } => Some(Refusal::SaldoInsuficiente),
            Self::ClaveReutilizada(_) => Some(Refusal::ClaveReutilizada),
            Self::IntentoNoEncontrado(_) => Some(Refusal::IntentoNoEncontrado),
            Self::IntentoConfirmado(_) => Some(Refusal::IntentoConfirmado),
            Self::SaldoExcedido { .. } | Self::SinIds | Self::Store(_) => None,
        }
    }
}
