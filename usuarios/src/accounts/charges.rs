//! The store of debits as purchases see it. Where people log in, a debit needs a session of the usuario's own account that
//! still lasts: so a token that was revoked spends nothing, although no other service has heard of it.

use super::directory::Directory;
use crate::error::Error;
use crate::store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use market::contract::{CargoRequest, Digest, Hold, Refusal};
use market::domain::Intento;
use market::participant::{HoldStore, Recorded};

/// The store, and whom to ask before a debit. Clones share both.
#[derive(Clone)]
pub struct Charges {
    store: Store,
    directory: Option<Directory>,
}

impl Charges {
    /// Without a directory nobody logs in.
    pub fn new(store: Store, directory: Option<Directory>) -> Self {
        Self { store, directory }
    }
}

impl HoldStore for Charges {
    type Request = CargoRequest;
    type Error = Error;

    fn refusal(error: &Error) -> Option<Refusal> {
        error.refusal()
    }

    async fn hold(&self, intento: Intento, request: CargoRequest) -> Result<Recorded<()>, Error> {
        if let Some(directory) = &self.directory {
            let session = request.session.ok_or(Error::SessionEnded)?;
            directory.check_charge(&session, request.usuario_id).await?;
        }
        self.store.hold(intento, request).await
    }

    async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        self.store.confirm(intento).await
    }

    async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        self.store.cancel(intento).await
    }

    async fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Hold>, Error> {
        self.store.pending(age, after).await
    }

    async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        self.store.settled(after).await
    }

    async fn digest(&self) -> Result<Digest, Error> {
        self.store.digest().await
    }

    async fn name(&self, id: u64) -> Result<Option<String>, Error> {
        self.store.name(id).await
    }
}
