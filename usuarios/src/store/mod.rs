//! What `usuarios` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! The law stands at [`Store`]. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/store`) holds both to it.
//! [`state`] is everything that the service knows, as files load it and tables are filled from it.

pub mod json;
pub mod postgres;
pub mod state;

use crate::domain::account::{Account, AccountName, Secret, SigningKey};
use crate::domain::{Movimiento, Usuario};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::exit::StartError;
use http_kit::paging::Page;
use journal::Journal;
use market::accounts::rules::Role;
use market::backend::Backend;
use market::contract::{CargoRequest, Digest, Hold, Refusal};
use market::domain::{Clave, Intento, Monto, UsuarioId};
use market::host::Host;
use market::on_store;
use market::participant::{HoldStore, Recorded};
use market::store::{Sample, ServiceStore};
use state::State;
use std::sync::Arc;

/// The users and their ledger. Clones share them.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. An operation is done whole or not at all. Once it answers `Ok` it is durable, and whoever begins to read afterwards
///    sees it. Operations are as if done one after another.
/// 2. A balance is the sum of its ledger, and from 0 to [`Monto::MAX`].
/// 3. A key adds money once. The same call again finds what was done; with other data it is [`Error::ClaveReused`] and
///    changes nothing.
/// 4. Debits are holds, and keep the law of [`HoldStore`]. The money of a debit is taken from the balance when the debit is
///    made; to cancel the debit returns the money.
/// 5. [`Error::Store`] with `Unknown` leaves open whether the operation was done: the same call again tells. After every other
///    error it was not done.
/// 6. Two accounts have two names, and a usuario has one account at most that is not revoked. A change of an account is made to
///    what the account is when the change is done, and whoever reads the account afterwards sees it.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
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

    /// The store over what was opened.
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

    /// One user.
    pub async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        on_store!(self, s => s.usuario(id))
    }

    /// A page of users by id, after one of them.
    pub async fn usuarios(&self, after: Option<UsuarioId>, limit: usize) -> Result<Page<Usuario>, Error> {
        on_store!(self, s => s.usuarios(after, limit))
    }

    /// A page of a user's ledger, oldest line first, after a line. A new line comes after all lines that were seen.
    pub async fn movimientos(
        &self,
        usuario: UsuarioId,
        after: u64,
        limit: usize,
    ) -> Result<Page<Movimiento>, Error> {
        on_store!(self, s => s.movimientos(usuario, after, limit))
    }

    /// Adds a user with an opening balance, under an id that was never given. This cannot be repeated: after `Unknown` there may
    /// be such a user.
    pub async fn create(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        on_store!(self, s => s.create(nombre, saldo))
    }

    /// Gives a user another name.
    pub async fn rename(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        on_store!(self, s => s.rename(id, nombre))
    }

    /// Adds money, once for each key: [`Error::SaldoTooHigh`] where the balance would pass [`Monto::MAX`].
    pub async fn credit(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Recorded<Movimiento>, Error> {
        on_store!(self, s => s.credit(id, monto, clave))
    }
}

/// Accounts, and the keys that sign their sessions.
impl Store {
    /// Whether reading takes a round trip: what is asked with each charge is then remembered for a moment.
    pub fn is_far(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// One account.
    pub async fn account(&self, id: u64) -> Result<Option<Account>, Error> {
        on_store!(self, s => s.account(id))
    }

    /// The account of a name.
    pub async fn account_named(&self, name: AccountName) -> Result<Option<Account>, Error> {
        on_store!(self, s => s.account_named(name))
    }

    /// A page of accounts by id, after one of them.
    pub async fn accounts(&self, after: u64, limit: usize) -> Result<Page<Account>, Error> {
        on_store!(self, s => s.accounts(after, limit))
    }

    /// Adds an account: [`Error::AccountTaken`] where its name is another's, or its usuario has one.
    pub async fn add_account(&self, new: NewAccount) -> Result<Account, Error> {
        if new.roles.contains(&Role::Buyer) != new.usuario_id.is_some() {
            return Err(Error::BuyerNeedsUsuario);
        }
        on_store!(self, s => s.add_account(new))
    }

    /// Changes an account as `f` says, which may be called several times.
    pub async fn change_account<T: Send + 'static>(
        &self,
        id: u64,
        f: impl Fn(&mut Account) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        on_store!(self, s => s.change_account(id, f))
    }

    /// The keys that sign sessions, the newest last.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        on_store!(self, s => s.signing_keys())
    }

    /// Adds one, and drops the oldest of three; `only_first`: where there is none. Gives those that there are then.
    pub async fn add_signing_key(&self, new: SigningKey, only_first: bool) -> Result<Vec<SigningKey>, Error> {
        on_store!(self, s => s.add_signing_key(new, only_first))
    }
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// With which one logs in.
    pub nombre: AccountName,
    /// The hash of its password.
    pub contrasena: Secret,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Whose money a comprador spends; nobody else has one.
    pub usuario_id: Option<UsuarioId>,
    /// Whether its password is published.
    pub demo: bool,
}

impl NewAccount {
    fn numbered(self, id: u64) -> Account {
        let Self { nombre, contrasena, roles, usuario_id, demo } = self;
        Account {
            id,
            nombre,
            contrasena,
            roles,
            usuario_id,
            version: 1,
            revocada: false,
            demo,
            claves: Vec::new(),
            ultima_clave: 0,
            cerradas: Vec::new(),
        }
    }
}

/// A hold is [`Error::SaldoTooLow`] where the balance is below the amount. To cancel is [`Error::SaldoTooHigh`] where
/// abonos that came meanwhile have filled the balance: the refund waits for room.
impl HoldStore for Store {
    type Request = CargoRequest;
    type Error = Error;

    fn refusal(error: &Error) -> Option<Refusal> {
        error.refusal()
    }

    async fn hold(&self, intento: Intento, request: CargoRequest) -> Result<Recorded<()>, Error> {
        let is_new = on_store!(self, s => s.hold(intento, request))?;
        Ok(Recorded { value: (), is_new })
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
        let Some(id) = UsuarioId::new(id) else { return Ok(None) };
        match self.usuario(id).await {
            Ok(usuario) => Ok(Some(usuario.nombre)),
            Err(Error::UsuarioNotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
