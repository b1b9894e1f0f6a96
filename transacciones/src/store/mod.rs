//! The coordinator's word: which purchases are committed, and which attempts never will be.
//!
//! [`Store`] is the law. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/almacen`) holds both to it.

pub mod json;
pub mod postgres;

use crate::domain::{Compra, Palabra, Suerte, Transaccion};
use crate::error::Error;
use http_kit::paging::Page;
use journal::{Journal, StoreError};
use market::domain::{Clave, Intento, Monto, Resumen, TokenId, TransaccionId, UsuarioId};
use market::store::Opened;
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
/// 4. [`StoreError::Unknown`] leaves open whether it was written: nothing may be concluded from it. With every other error
///    it was not.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
}

/// The store has decided otherwise: ask it for its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken;

/// All purchases in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cierre {
    /// How many there are.
    pub transacciones: u64,
    /// What `usuarios` should have confirmed: attempt, user, price.
    pub cargos: Resumen,
    /// What `tokens` should have sold: attempt, user, token, price.
    pub ventas: Resumen,
}

impl Cierre {
    /// Counts one purchase more.
    pub fn agregar(&mut self, t: &Transaccion) {
        self.transacciones += 1;
        if let Some(intento) = &t.intento {
            self.cargos.agregar(intento, t.usuario_id, None, t.precio);
            self.ventas.agregar(intento, t.usuario_id, Some(t.token_id), t.precio);
        }
    }
}

/// Whether an attempt may be committed: its clave is not bought, and it is not aborted.
///
/// # Errors
/// [`Overtaken`] where it may not.
pub fn may_commit(palabra: &Palabra, numero: u32) -> Result<(), Overtaken> {
    if palabra.suerte(numero) == Suerte::Abierta { Ok(()) } else { Err(Overtaken) }
}

/// Whether an attempt's abort has yet to be written.
///
/// # Errors
/// [`Overtaken`] where its clave is bought.
pub fn must_abort(palabra: &Palabra, numero: u32) -> Result<bool, Overtaken> {
    match palabra {
        Palabra::Comprado(_) => Err(Overtaken),
        Palabra::Nada | Palabra::Abortado(_) => Ok(palabra.suerte(numero) == Suerte::Abierta),
    }
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
    /// Over what was opened.
    pub fn new(opened: Opened<json::Modelo>) -> Self {
        match opened {
            Opened::Json(journal) => Self::json(journal),
            Opened::Postgres(schema) => Self::Postgres(postgres::Store::new(schema)),
        }
    }

    /// Over an open journal.
    pub fn json(journal: Journal<json::Modelo>) -> Self {
        Self::Json(json::Store::new(journal))
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
        of!(self, s => s.commit(intento, compra, precio))
    }

    /// Decides against an attempt, and all before it, unless its clave is bought.
    ///
    /// # Errors
    /// [`StoreError`] where it is not known, or known not, to be durable: nothing may be cancelled then.
    pub async fn abort(
        &self,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        of!(self, s => s.abort(intento, usuario_id, token_id))
    }

    /// What was decided under a clave. Bought beats aborted: earlier attempts of a bought clave may have been aborted.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn palabra(&self, clave: &Clave) -> Result<Palabra, StoreError> {
        of!(self, s => s.palabra(clave))
    }

    /// The purchases under some claves, in any order; there are none under those that are not bought.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn bajo(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        of!(self, s => s.bajo(claves))
    }

    /// One purchase.
    pub async fn transaccion(&self, id: TransaccionId) -> Result<Transaccion, Error> {
        of!(self, s => s.transaccion(id)).map_err(Error::from)?.ok_or(Error::TransaccionNoEncontrada(id))
    }

    /// A user's purchases, a token's, or all, in the order of their commits, behind one.
    pub async fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<Page<Transaccion>, Error> {
        let (rows, total) = of!(self, s => s.lista(de, token, despues, limite + 1))?;
        Ok(Page::new(rows, limite, total, |t: &Transaccion| t.id.to_string()))
    }

    /// Purchases in the order of their commits, behind one, without counting them.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn siguientes(
        &self,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        of!(self, s => s.siguientes(despues, limite))
    }

    /// The last purchase of the order.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn ultima(&self) -> Result<Option<TransaccionId>, StoreError> {
        of!(self, s => s.ultima())
    }

    /// All of them in a few numbers, at a cost that does not grow with them.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn cierre(&self) -> Result<Cierre, StoreError> {
        of!(self, s => s.cierre())
    }

    /// Tells of purchases by whatever process, soon after their commits; of nothing else it is promised.
    pub fn changed(&self) -> watch::Receiver<u64> {
        match self {
            Self::Json(s) => s.changed(),
            Self::Postgres(s) => s.changed(),
        }
    }
}
