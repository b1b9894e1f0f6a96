//! What `usuarios` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! [`Store`] is the law. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/almacen`) holds both to it.

pub mod json;
pub mod postgres;

use crate::domain::{Movimiento, Usuario};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use journal::Journal;
use market::contract::{Digest, PedidoCargo, Try};
use market::domain::{Clave, Intento, Monto, UsuarioId};
use market::store::Opened;

/// The users and their ledger. Clones share them.
///
/// The law, under any number of callers in any number of processes:
///
/// 1. An operation is done whole or not at all. Once it answers `Ok` it is durable, and whoever begins to read afterwards
///    sees it. Operations are as if done one after another.
/// 2. A balance is the sum of its ledger, and from 0 to [`Monto::MAX`].
/// 3. A key adds money once and an attempt takes it once. The same call again finds what was done; with other data it is
///    [`Error::ClaveReutilizada`], and changes nothing.
/// 4. A debit is pending until it is confirmed, for ever, or cancelled, which removes it and returns the money.
/// 5. [`Error::Store`] with `Unknown` leaves open whether it was done: the same call again says so. With every other error
///    it was not done.
#[derive(Clone)]
pub enum Store {
    /// In files.
    Json(json::Store),
    /// In a database.
    Postgres(postgres::Store),
}

/// What was there already, or was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hecho<T> {
    /// It.
    pub valor: T,
    /// Whether this call made it.
    pub nuevo: bool,
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

    /// One user.
    pub async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        of!(self, s => s.usuario(id))
    }

    /// Users by id, behind one.
    pub async fn usuarios(&self, despues: Option<UsuarioId>, limite: usize) -> Result<Page<Usuario>, Error> {
        of!(self, s => s.usuarios(despues, limite))
    }

    /// A user's ledger, oldest first, behind a line. A line that comes later is behind those that were seen.
    pub async fn movimientos(
        &self,
        de: UsuarioId,
        despues: u64,
        limite: usize,
    ) -> Result<Page<Movimiento>, Error> {
        of!(self, s => s.movimientos(de, despues, limite))
    }

    /// Adds a user with an opening balance, under an id that was never given. Not repeatable: after `Unknown` there may be
    /// such a user.
    pub async fn crear(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        of!(self, s => s.crear(nombre, saldo))
    }

    /// Gives a user another name.
    pub async fn renombrar(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        of!(self, s => s.renombrar(id, nombre))
    }

    /// Adds money, once for each key. [`Error::SaldoExcedido`] where the balance would pass [`Monto::MAX`].
    pub async fn abonar(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Hecho<Movimiento>, Error> {
        of!(self, s => s.abonar(id, monto, clave))
    }

    /// Takes the money of an attempt, once; whether this call did it. [`Error::SaldoInsuficiente`] where the balance is
    /// below the amount.
    pub async fn cargar(&self, intento: Intento, pedido: PedidoCargo) -> Result<bool, Error> {
        of!(self, s => s.cargar(intento, pedido))
    }

    /// Settles the debit of a committed attempt; again and again, to the same effect. [`Error::IntentoNoEncontrado`] where
    /// there is none.
    pub async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.confirmar(intento))
    }

    /// Gives the money of an aborted attempt back; again and again, to the same effect, also where there is nothing.
    /// [`Error::IntentoConfirmado`] where it is settled. [`Error::SaldoExcedido`] where abonos made meanwhile have filled
    /// the balance: the refund waits for room.
    pub async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.cancelar(intento))
    }

    /// Debits that wait for their end for `edad` or longer by the store's clock, oldest first, behind one; at most
    /// [`market::contract::PAGE`]. One from the future (the clock was set back) counts as old: nobody should wait until the
    /// clock comes round again.
    pub async fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        of!(self, s => s.pendientes(edad, despues))
    }

    /// Confirmed debits behind one, in an order that stays; at most [`market::contract::PAGE`].
    pub async fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        of!(self, s => s.confirmados(despues))
    }

    /// This service's side of the audit. Its cost does not grow with the ledger.
    pub async fn resumen(&self) -> Result<Digest, Error> {
        of!(self, s => s.resumen())
    }
}
