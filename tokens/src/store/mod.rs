//! What `tokens` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! The law stands at [`Store`]. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/store`) holds both to it.
//! [`state`] is everything that the service knows, as files load it and tables are filled from it.

pub mod json;
pub mod postgres;
mod query;
mod searches;
pub mod state;

pub use query::{Cursor, ListQuery, SortBy};
pub use searches::{AT_ONCE, Searches};

use crate::domain::Token;
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::exit::StartError;
use http_kit::paging::Page;
use journal::Journal;
use market::backend::Backend;
use market::contract::{Digest, HeldToken, Hold, Refusal, ReservaRequest};
use market::domain::{Intento, Monto, TokenId};
use market::host::Host;
use market::on_store;
use market::participant::{HoldStore, Recorded};
use market::store::{Sample, ServiceStore};
use state::State;
use std::fmt;
use std::sync::Arc;

/// The catalogue and its reservations. Clones share them.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. An operation is done whole or not at all. Once it answers `Ok` it is durable, and whoever begins to read afterwards
///    sees it. Operations are as if done one after another.
/// 2. A token is free, held for one attempt, or sold, to one attempt and for ever. An attempt has one token at most.
/// 3. While it is held, and once it is sold, nothing of a token changes.
/// 4. Reservations are holds, and keep the law of [`HoldStore`]. A confirmed hold is a sale.
/// 5. [`Error::Store`] with `Unknown` leaves open whether the operation was done: the same call again tells, except for
///    [`Store::create`]. After every other error it was not done.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
}

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The token's name.
    pub nombre: String,
    /// The token's price.
    pub precio: Monto,
    /// The picture's file name; `<id>.svg` if it is left out.
    pub imagen: Option<String>,
}

/// What to change of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChange {
    /// The token's name.
    pub nombre: Option<String>,
    /// The token's price.
    pub precio: Option<Monto>,
    /// The picture's file name.
    pub imagen: Option<String>,
}

/// The number of a state of the store. Two states with the same number show the same lists. The number grows.
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
    /// The state's number.
    pub version: Version,
    /// The page.
    pub page: Page<Token>,
}

impl Store {
    /// Opens the store of a process that is starting: the store, and what the process keeps ([`Host::keep`]). Blocking.
    ///
    /// # Errors
    /// As those of [`Host::open`].
    pub fn open(host: &Host<'_>, sample: Sample) -> Result<(Self, Arc<dyn Backend>), StartError> {
        let opened = host.open(sample)?;
        let backend = opened.backend();
        Ok((Self::new(opened), backend))
    }

    /// The store over what was opened. Blocks while a large catalogue in files is sorted: for the start of the process.
    pub fn new(opened: ServiceStore<State>) -> Self {
        match opened {
            ServiceStore::Json(journal) => Self::json(journal),
            ServiceStore::Postgres(schema) => Self::Postgres(postgres::Store::new(schema)),
        }
    }

    /// The store over an open journal.
    pub fn json(journal: Journal<State>) -> Self {
        Self::Json(json::Store::new(journal))
    }

    /// The same store with room for so many searches at once.
    #[must_use]
    pub fn searching(mut self, at_once: u16) -> Self {
        let searches = match &mut self {
            Self::Json(s) => &mut s.searches,
            Self::Postgres(s) => &mut s.searches,
        };
        *searches = searches.clone().at_once(at_once);
        self
    }

    /// The lists that are searched for now.
    pub fn searches(&self) -> &Searches {
        match self {
            Self::Json(s) => &s.searches,
            Self::Postgres(s) => &s.searches,
        }
    }

    /// The number of a state that is no older than this call.
    pub async fn version(&self) -> Result<Version, Error> {
        on_store!(self, s => s.version())
    }

    /// A page of tokens.
    pub async fn list(&self, query: ListQuery) -> Result<VersionedPage, Error> {
        on_store!(self, s => s.list(query))
    }

    /// One token.
    pub async fn token(&self, id: TokenId) -> Result<Token, Error> {
        on_store!(self, s => s.token(id))
    }

    /// Adds a token, under an id that was never given. This cannot be repeated: after `Unknown` there may be such a token.
    pub async fn create(&self, new_token: NewToken) -> Result<Token, Error> {
        on_store!(self, s => s.create(new_token))
    }

    /// Changes a token that nobody holds or has bought.
    pub async fn change(&self, id: TokenId, change: TokenChange) -> Result<Token, Error> {
        on_store!(self, s => s.change(id, change))
    }

    /// Deletes a token that nobody holds or has bought.
    pub async fn delete(&self, id: TokenId) -> Result<(), Error> {
        on_store!(self, s => s.delete(id))
    }
}

/// A token that is held or sold is [`Error::TokenReserved`] or [`Error::TokenSold`] for every other attempt.
impl HoldStore for Store {
    type Request = ReservaRequest;
    type Error = Error;

    fn refusal(error: &Error) -> Option<Refusal> {
        error.refusal()
    }

    async fn hold(&self, intento: Intento, request: ReservaRequest) -> Result<Recorded<HeldToken>, Error> {
        on_store!(self, s => s.hold(intento, request))
    }

    async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        on_store!(self, s => s.confirm(intento))
    }

    async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        on_store!(self, s => s.cancel(intento))
    }

    async fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Hold>, Error> {
        on_store!(self, s => s.pending(age, after))
    }

    async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        on_store!(self, s => s.settled(after))
    }

    async fn digest(&self) -> Result<Digest, Error> {
        on_store!(self, s => s.digest())
    }

    async fn name(&self, id: u64) -> Result<Option<String>, Error> {
        let Some(id) = TokenId::new(id) else { return Ok(None) };
        match self.token(id).await {
            Ok(token) => Ok(Some(token.nombre.into())),
            Err(Error::TokenNotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
