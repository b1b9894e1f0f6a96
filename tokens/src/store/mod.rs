//! What `tokens` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! [`Store`] is the law. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/store`) holds both to it.

pub mod json;
pub mod postgres;
mod query;

pub use query::{Cursor, ListQuery, SortBy};

use crate::domain::Token;
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use journal::Journal;
use market::contract::{Digest, HeldToken, Hold, ReservaRequest};
use market::domain::{Intento, Monto, TokenId};
use market::store::ServiceStore;
use std::fmt;

/// The catalogue and its reservations. Clones share them.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. An operation is done whole or not at all. Once it answers `Ok` it is durable, and whoever begins to read afterwards
///    sees it. Operations are as if done one after another.
/// 2. A token is free, held for one attempt, or sold, to one attempt and for ever. An attempt has one token at most.
/// 3. While it is held, and once it is sold, nothing of a token changes.
/// 4. An attempt holds its token once. The same call again finds what was done; with other data it is
///    [`Error::ClaveReused`], and changes nothing.
/// 5. [`Error::Store`] with `Unknown` leaves open whether it was done: the same call again says so, except for
///    [`Store::create`]. With every other error it was not done.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
}

/// What was there already, or was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    /// It.
    pub value: T,
    /// Whether this call made it.
    pub is_new: bool,
}

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its name.
    pub nombre: String,
    /// Its price.
    pub precio: Monto,
    /// Its picture's file name; `<id>.svg` if it is left out.
    pub imagen: Option<String>,
}

/// What to change of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChange {
    /// Its name.
    pub nombre: Option<String>,
    /// Its price.
    pub precio: Option<Monto>,
    /// Its picture's file name.
    pub imagen: Option<String>,
}

/// A number of the state: what lists show of two states with one number is the same. It grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u128);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A page of tokens, and the state that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedPage {
    /// Which state.
    pub version: Version,
    /// Its rows.
    pub page: Page<Token>,
}

/// Calls the store that there is. A database's futures are large, and boxed: beside a round trip that is nothing, and the
/// files' stay small.
macro_rules! of {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Json($store) => $call.await,
            Self::Postgres($store) => Box::pin($call).await,
        }
    };
}

impl Store {
    /// Over what was opened. Blocks while a large catalogue in files is sorted: for the start of the process.
    pub fn new(opened: ServiceStore<json::State>) -> Self {
        match opened {
            ServiceStore::Json(journal) => Self::json(journal),
            ServiceStore::Postgres(schema) => Self::Postgres(postgres::Store::new(schema)),
        }
    }

    /// Over an open journal.
    pub fn json(journal: Journal<json::State>) -> Self {
        Self::Json(json::Store::new(journal))
    }

    /// The number of the state that this call finds: not that of one before it began.
    pub async fn version(&self) -> Result<Version, Error> {
        of!(self, s => s.version())
    }

    /// A page.
    pub async fn list(&self, query: ListQuery) -> Result<VersionedPage, Error> {
        of!(self, s => s.list(query))
    }

    /// One token.
    pub async fn token(&self, id: TokenId) -> Result<Token, Error> {
        of!(self, s => s.token(id))
    }

    /// Adds a token, under an id that was never given. Not repeatable: after `Unknown` there may be such a token.
    pub async fn create(&self, new_token: NewToken) -> Result<Token, Error> {
        of!(self, s => s.create(new_token))
    }

    /// Changes a token that nobody holds or has bought.
    pub async fn change(&self, id: TokenId, change: TokenChange) -> Result<Token, Error> {
        of!(self, s => s.change(id, change))
    }

    /// Deletes a token that nobody holds or has bought.
    pub async fn delete(&self, id: TokenId) -> Result<(), Error> {
        of!(self, s => s.delete(id))
    }

    /// Holds a token for an attempt, once.
    pub async fn hold(
        &self,
        intento: Intento,
        request: ReservaRequest,
    ) -> Result<Recorded<HeldToken>, Error> {
        of!(self, s => s.hold(intento, request))
    }

    /// Sells the token of a committed attempt; again and again, to the same effect. [`Error::IntentoNotFound`] where it
    /// has none.
    pub async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.confirm(intento))
    }

    /// Lets the token of an aborted attempt go; again and again, to the same effect, also where it has none.
    /// [`Error::IntentoConfirmed`] where it is sold.
    pub async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.cancel(intento))
    }

    /// Reservations that wait for their end for `edad` or longer by the store's clock, oldest first, behind one; at most
    /// [`market::contract::PAGE`]. One from the future (the clock was set back) counts as old: nobody should wait until the
    /// clock comes round again.
    pub async fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Hold>, Error> {
        of!(self, s => s.pending(age, after))
    }

    /// Sales behind an attempt's, in an order that stays; at most [`market::contract::PAGE`].
    /// [`Error::IntentoNotFound`] where that attempt has no token.
    pub async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        of!(self, s => s.settled(after))
    }

    /// This service's side of the audit. Its cost does not grow with the sales.
    pub async fn digest(&self) -> Result<Digest, Error> {
        of!(self, s => s.digest())
    }
}
