//! Why `transacciones` says no; nothing here knows of HTTP.

use crate::audit::Unaudited;
use crate::domain::Compra;
use crate::purchase::Motivo;
use journal::StoreError;
use market::domain::TransaccionId;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such purchase.
    #[error("there is no transaccion {0}")]
    TransaccionNoEncontrada(TransaccionId),
    /// A purchase was refused, for good.
    #[error("{motivo:?}")]
    Rechazado {
        /// What was asked for.
        compra: Box<Compra>,
        /// Why it was refused.
        motivo: Motivo,
    },
    /// The key was used for something else.
    #[error("the key {0} was used with other data")]
    ClaveReutilizada(String),
    /// A participant gave no answer in time.
    #[error("a participant does not answer")]
    SinRespuesta,
    /// The attempt was given up by another request with its key, or by recovery.
    #[error("the attempt was given up elsewhere")]
    Superado,
    /// The store gave no answer, or one that leaves the outcome open. The cause is logged.
    #[error("the store decides nothing")]
    SinAlmacen,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no verdict.
    #[error(transparent)]
    Unaudited(#[from] Unaudited),
    /// A bug.
    #[error("{0}")]
    Bug(String),
}
