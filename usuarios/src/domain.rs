//! Users, and the ledger of what moved their balance.

use chrono::{DateTime, Utc};
use common::domain::{Clave, Intento, Monto, UsuarioId};
use serde::{Deserialize, Serialize};

/// The most characters of a name.
pub const MAX_NOMBRE: usize = 100;

/// A person with a balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usuario {
    /// Given in order, never used again.
    pub id: UsuarioId,
    /// 1 to 100 characters.
    pub nombre: String,
    /// What can be spent: debits are taken out when they are made, before they are confirmed.
    pub saldo: Monto,
}

/// A line of a user's ledger. The lines of a user sum to the balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Movimiento {
    /// Unique in the service; grows with time.
    pub id: u64,
    /// Whose.
    pub usuario_id: UsuarioId,
    /// How many credits came (or went, where the kind is a debit).
    pub monto: Monto,
    /// When, by this service's clock.
    pub fecha: DateTime<Utc>,
    /// What it was.
    #[serde(flatten)]
    pub tipo: Tipo,
}

/// The kinds of movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tipo", rename_all = "camelCase")]
pub enum Tipo {
    /// The opening balance.
    Apertura,
    /// Somebody edited the balance upwards in the file while the service was stopped.
    AjusteAlza,
    /// The same, downwards.
    AjusteBaja,
    /// Money added; the key under which it was asked for makes it happen once.
    Abono {
        /// The client's key, or one made here.
        clave: Clave,
    },
    /// A debit for one attempt at a purchase: held until it is confirmed; a cancelled one is taken out of the ledger.
    Cargo {
        /// Of which attempt.
        intento: Intento,
        /// Whether the purchase was committed.
        confirmado: bool,
    },
}

impl Movimiento {
    /// Credits added to the balance; negative where they were taken.
    pub fn efecto(&self) -> i64 {
        // a Monto is below 2^53
        let monto = i64::try_from(self.monto.get()).unwrap_or(i64::MAX);
        match self.tipo {
            Tipo::Apertura | Tipo::AjusteAlza | Tipo::Abono { .. } => monto,
            Tipo::AjusteBaja | Tipo::Cargo { .. } => -monto,
        }
    }
}
