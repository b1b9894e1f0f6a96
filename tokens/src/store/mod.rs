//! What `tokens` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! [`Store`] is the law. [`json`] and [`postgres`] keep it, and one suite of tests (`tests/almacen`) holds both to it.

mod consulta;
pub mod json;
pub mod postgres;

pub use consulta::{Consulta, Cursor, Orden};

use crate::domain::Token;
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use journal::Journal;
use market::contract::{Digest, PedidoReserva, Reservado, Try};
use market::domain::{Intento, Monto, TokenId};
use market::store::Opened;
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
///    [`Error::ClaveReutilizada`], and changes nothing.
/// 5. [`Error::Store`] with `Unknown` leaves open whether it was done: the same call again says so, except for
///    [`Store::crear`]. With every other error it was not done.
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

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alta {
    /// Its name.
    pub nombre: String,
    /// Its price.
    pub precio: Monto,
    /// Its picture's file name; `<id>.svg` if it is left out.
    pub imagen: Option<String>,
}

/// What to change of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cambio {
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
pub struct Vista {
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

    /// The number of the state that this call finds: not that of one before it began.
    pub async fn version(&self) -> Result<Version, Error> {
        of!(self, s => s.version())
    }

    /// A page.
    pub async fn listar(&self, consulta: Consulta) -> Result<Vista, Error> {
        of!(self, s => s.listar(consulta))
    }

    /// One token.
    pub async fn token(&self, id: TokenId) -> Result<Token, Error> {
        of!(self, s => s.token(id))
    }

    /// Adds a token, under an id that was never given. Not repeatable: after `Unknown` there may be such a token.
    pub async fn crear(&self, alta: Alta) -> Result<Token, Error> {
        of!(self, s => s.crear(alta))
    }

    /// Changes a token that nobody holds or has bought.
    pub async fn cambiar(&self, id: TokenId, cambio: Cambio) -> Result<Token, Error> {
        of!(self, s => s.cambiar(id, cambio))
    }

    /// Deletes a token that nobody holds or has bought.
    pub async fn borrar(&self, id: TokenId) -> Result<(), Error> {
        of!(self, s => s.borrar(id))
    }

    /// Holds a token for an attempt, once.
    pub async fn reservar(&self, intento: Intento, pedido: PedidoReserva) -> Result<Hecho<Reservado>, Error> {
        of!(self, s => s.reservar(intento, pedido))
    }

    /// Sells the token of a committed attempt; again and again, to the same effect. [`Error::IntentoNoEncontrado`] where it
    /// has none.
    pub async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.confirmar(intento))
    }

    /// Lets the token of an aborted attempt go; again and again, to the same effect, also where it has none.
    /// [`Error::IntentoConfirmado`] where it is sold.
    pub async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        of!(self, s => s.cancelar(intento))
    }

    /// Reservations that wait for their end for `edad` or longer by the store's clock, oldest first, behind one; at most
    /// [`market::contract::PAGE`]. One from the future (the clock was set back) counts as old: nobody should wait until the
    /// clock comes round again.
    pub async fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        of!(self, s => s.pendientes(edad, despues))
    }

    /// Sales behind an attempt's, in an order that stays; at most [`market::contract::PAGE`].
    /// [`Error::IntentoNoEncontrado`] where that attempt has no token.
    pub async fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        of!(self, s => s.confirmados(despues))
    }

    /// This service's side of the audit. Its cost does not grow with the sales.
    pub async fn resumen(&self) -> Result<Digest, Error> {
        of!(self, s => s.resumen())
    }
}
