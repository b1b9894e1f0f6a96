//! The coordinator's word: which purchases are committed, and which attempts never will be.
//!
//! [`Store`] is the law. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/store`) holds both to it.

pub mod json;
pub mod postgres;
pub mod state;

use crate::domain::{Compra, Era, Fate, Transaccion, Word};
use chrono::TimeDelta;
use http_kit::exit::StartError;
use http_kit::paging::Page;
use journal::{Journal, Need, StoreError};
use market::backend::Backend;
use market::domain::{Clave, Intento, Monto, RunningDigest, TokenId, TransaccionId, UsuarioId};
use market::host::Host;
use market::on_store;
use market::store::{Sample, ServiceStore};
use state::State;
use std::sync::Arc;
use tokio::sync::watch;

/// Purchases, and the attempts at them that came to nothing. Clones share them.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. Of a clave one attempt is committed at most, for ever. An attempt that is aborted is never committed, and one whose
///    clave is bought is never aborted: whichever is written first stands.
/// 2. What is answered `Ok` is durable, and whoever begins to read afterwards sees it.
/// 3. Purchases have one order, which never changes: one that is committed later is behind all that any list has shown.
///    Ids are unique, and nearly in that order.
/// 4. An abort is forgotten some eras after its attempt can be committed no more: see [`Era`]. Its clave may then be used for
///    anything.
/// 5. [`StoreError::Unknown`] leaves open whether it was written: nothing may be concluded from it. With every other error
///    it was not.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
}

/// The store has decided otherwise meanwhile: ask for its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken;

/// All purchases in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// How many there are.
    pub transacciones: u64,
    /// What `usuarios` should have confirmed: attempt, user, price.
    pub cargos: RunningDigest,
    /// What `tokens` should have sold: attempt, user, token, price.
    pub ventas: RunningDigest,
}

/// How the purchases stand at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// All of them in a few numbers.
    pub closing: Closing,
    /// The last of them in the order of their commits.
    pub last: Option<TransaccionId>,
}

impl Closing {
    /// Counts one purchase more.
    pub fn add(&mut self, t: &Transaccion) {
        self.transacciones += 1;
        if let Some(intento) = &t.intento {
            self.cargos.add(intento, t.usuario_id, None, t.precio);
            self.ventas.add(intento, t.usuario_id, Some(t.token_id), t.precio);
        }
    }
}

/// Whether an attempt may be committed: its clave is not bought, it is not aborted, and it is not so old that its abort may
/// have been forgotten.
///
/// # Errors
/// [`Overtaken`] where it may not.
pub fn may_commit(word: &Word, era: Era, numero: u32) -> Result<(), Overtaken> {
    if word.fate(numero) == Fate::Open && era.admits(numero) { Ok(()) } else { Err(Overtaken) }
}

/// Whether an attempt's abort has yet to be written.
///
/// # Errors
/// [`Overtaken`] where its clave is bought.
pub fn must_abort(word: &Word, numero: u32) -> Result<bool, Overtaken> {
    match word {
        Word::Bought(_) => Err(Overtaken),
        Word::Nothing | Word::Aborted(_) => Ok(word.fate(numero) == Fate::Open),
    }
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

    /// Over what was opened.
    pub fn new(opened: ServiceStore<State>) -> Self {
        match opened {
            ServiceStore::Json(journal) => Self::json(journal),
            ServiceStore::Postgres(schema) => Self::Postgres(postgres::Store::new(schema)),
        }
    }

    /// Over an open journal.
    pub fn json(journal: Journal<State>) -> Self {
        Self::Json(json::Store::new(journal))
    }

    /// The same store, whose purchases from now on say which pod committed them.
    #[must_use]
    pub fn signed(mut self, pod: &str) -> Self {
        match &mut self {
            Self::Json(s) => s.sign(pod.into()),
            Self::Postgres(s) => s.sign(pod.into()),
        }
        self
    }

    /// Decides for an attempt: records the purchase, unless its clave is bought or the attempt aborted.
    ///
    /// # Errors
    /// [`StoreError`] where it is not known, or known not, to be durable.
    pub async fn commit(
        &self,
        intento: Intento,
        compra: &Compra,
        precio: Monto,
    ) -> Result<Result<Transaccion, Overtaken>, StoreError> {
        on_store!(self, s => s.commit(intento, compra, precio))
    }

    /// Decides against an attempt, and all before it, unless its clave is bought. `need` says how much of a store's memory that
    /// may use.
    ///
    /// # Errors
    /// [`StoreError`] where it is not known, or known not, to be durable: nothing may be cancelled then.
    pub async fn abort(
        &self,
        need: Need,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        match self {
            Self::Json(s) => s.abort(need, intento, usuario_id, token_id).await,
            // what a database has room for, it says itself
            Self::Postgres(s) => Box::pin(s.abort(intento, usuario_id, token_id)).await,
        }
    }

    /// What was decided under a clave. Bought beats aborted: earlier attempts of a bought clave may have been aborted.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn word(&self, clave: &Clave) -> Result<Word, StoreError> {
        on_store!(self, s => s.word(clave))
    }

    /// The era now: no older than any word that was read before.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn era(&self) -> Result<Era, StoreError> {
        on_store!(self, s => s.era())
    }

    /// Begins the next era where this one has lasted for `length`, and forgets the aborts that are due: how many. Where nothing
    /// is aborted, nothing is done.
    ///
    /// # Errors
    /// Where that is not durable. It can be repeated.
    pub async fn forget(&self, length: TimeDelta) -> Result<u64, StoreError> {
        on_store!(self, s => s.forget(length))
    }

    /// The purchases under some claves, in any order. A clave that is not bought has none.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn under(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        on_store!(self, s => s.under(claves))
    }

    /// One purchase, where there is one with this id.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn transaccion(&self, id: TransaccionId) -> Result<Option<Transaccion>, StoreError> {
        on_store!(self, s => s.transaccion(id))
    }

    /// A user's purchases, a token's, or all, in the order of their commits, behind one.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn list(
        &self,
        usuario: Option<UsuarioId>,
        token: Option<TokenId>,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<Page<Transaccion>, StoreError> {
        let (rows, total) = on_store!(self, s => s.list(usuario, token, after, limit + 1))?;
        Ok(Page::new(rows, limit, total, |t: &Transaccion| t.id.to_string()))
    }

    /// Purchases in the order of their commits, behind one, without counting them.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn following(
        &self,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        on_store!(self, s => s.following(after, limit))
    }

    /// The last purchase of the order.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn last(&self) -> Result<Option<TransaccionId>, StoreError> {
        on_store!(self, s => s.last())
    }

    /// All of them in a few numbers, at a cost that does not grow with them.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn closing(&self) -> Result<Closing, StoreError> {
        on_store!(self, s => s.closing())
    }

    /// The same, with the last purchase that the numbers count.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        on_store!(self, s => s.standing())
    }

    /// Tells of purchases by whatever process, soon after their commits. It may tell of nothing, too.
    pub fn changed(&self) -> watch::Receiver<u64> {
        match self {
            Self::Json(s) => s.changed(),
            Self::Postgres(s) => s.changed(),
        }
    }
}
