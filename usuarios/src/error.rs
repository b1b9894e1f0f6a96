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
    /// There is no such account.
    #[error("there is no such account")]
    AccountNotFound,
    /// The account has no such API key.
    #[error("there is no such API key")]
    KeyNotFound,
    /// Over the network only accounts of compradores are revoked.
    #[error("the account is not that of a comprador")]
    NotABuyer,
    /// The name is another account's, or the usuario has an account.
    #[error("an account has this name already, or this usuario has an account")]
    AccountTaken,
    /// A comprador buys for one usuario, and nobody else for any.
    #[error("a comprador has a usuario, and nobody else has one")]
    BuyerNeedsUsuario,
    /// As many API keys as there may be.
    #[error("the account has as many keys as it may have")]
    TooManyKeys,
    /// No such name with this password, or no such API key.
    #[error("name, password or key are wrong")]
    WrongCredentials,
    /// The password is not that of the session's account.
    #[error("the password is wrong")]
    WrongPassword,
    /// There were too many attempts.
    #[error("too many attempts; again in {seconds} s")]
    TooManyAttempts {
        /// Until there is another one.
        seconds: u32,
    },
    /// Too many passwords wait to be hashed.
    #[error("too many passwords wait to be hashed")]
    TooManyLogins,
    /// The keys that sign sessions are not there yet.
    #[error("no session can be signed yet")]
    NotReady,
    /// The session was ended, or its account revoked, or has another password.
    #[error("the session has ended")]
    SessionEnded,
    /// A session that was begun with an API key does not make keys, and changes no password.
    #[error("a session of an API key may not do this")]
    NotByKey,
    /// A bug, or a system that gives no random bytes.
    #[error("{0}")]
    Bug(String),
    /// All 2^53 - 1 ids have been given.
    #[error("there are no ids left")]
    NoIdsLeft,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// A bug, in words.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::Bug(what.into())
    }

    /// What a purchase may be told; `None` where the trouble is this service's.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::UsuarioNotFound(_) => Some(Refusal::UsuarioNotFound),
            Self::SaldoTooLow { .. } => Some(Refusal::SaldoTooLow),
            Self::ClaveReused(_) => Some(Refusal::ClaveReused),
            Self::IntentoNotFound(_) => Some(Refusal::IntentoNotFound),
            Self::IntentoConfirmed(_) => Some(Refusal::IntentoConfirmed),
            Self::Store(StoreError::Full) => Some(Refusal::StoreFull),
            Self::SessionEnded => Some(Refusal::SessionEnded),
            Self::SaldoTooHigh { .. }
            | Self::AccountNotFound
            | Self::KeyNotFound
            | Self::NotABuyer
            | Self::AccountTaken
            | Self::BuyerNeedsUsuario
            | Self::TooManyKeys
            | Self::WrongCredentials
            | Self::WrongPassword
            | Self::TooManyAttempts { .. }
            | Self::TooManyLogins
            | Self::NotReady
            | Self::NotByKey
            | Self::Bug(_)
            | Self::NoIdsLeft
            | Self::Store(_) => None,
        }
    }
}
