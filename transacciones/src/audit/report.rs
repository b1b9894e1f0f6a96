//! What an audit says.

use market::domain::{Intento, Monto, TokenId, TransaccionId, UsuarioId};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// The verdict, and the names that its differences speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Committed purchases.
    pub transacciones: u64,
    /// Holds that are neither confirmed nor cancelled yet.
    pub pendientes: u64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest: Option<u64>,
    /// What is wrong.
    pub diferencias: Vec<Difference>,
    /// Of the users and tokens that the first differences name, as far as they are known.
    pub names: Names,
}

/// Names of users and tokens by id, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of users.
    pub usuarios: HashMap<u64, String>,
    /// Of tokens.
    pub tokens: HashMap<u64, String>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub tipo: DifferenceKind,
    /// Of which attempt, where it is one's.
    pub intento: Option<Intento>,
    /// Of which purchase, where there is one.
    pub transaccion_id: Option<TransaccionId>,
    /// Who bought or was charged.
    pub usuario_id: Option<UsuarioId>,
    /// What was bought or sold, where that is known.
    pub token_id: Option<TokenId>,
    /// How much was charged; of a purchase that was not, how much should have been.
    pub monto: Option<Monto>,
    /// How many balances are wrong.
    pub cuenta: Option<u64>,
}

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn is_correct(&self) -> bool {
        self.diferencias.is_empty()
    }
}

impl Difference {
    /// Of this kind, with nothing else known.
    pub fn new(tipo: DifferenceKind, intento: Option<&Intento>) -> Self {
        Self {
            tipo,
            intento: intento.cloned(),
            transaccion_id: None,
            usuario_id: None,
            token_id: None,
            monto: None,
            cuenta: None,
        }
    }

    /// Balances that are not the sum of their ledger, where there are any: their participant counts them and names none.
    pub fn unbalanced(count: u64) -> Option<Self> {
        let one = Self { cuenta: Some(count), ..Self::new(DifferenceKind::SaldoUnbalanced, None) };
        (count > 0).then_some(one)
    }
}

/// The kinds of difference
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Tipo)]
pub enum DifferenceKind {
    /// Bought and not paid for
    #[serde(rename = "transaccion-sin-cargo")]
    TransaccionWithoutCargo,
    /// Bought and not sold
    #[serde(rename = "transaccion-sin-venta")]
    TransaccionWithoutVenta,
    /// Paid for and not bought
    #[serde(rename = "cargo-sin-transaccion")]
    CargoWithoutTransaccion,
    /// Sold and not bought
    #[serde(rename = "venta-sin-transaccion")]
    VentaWithoutTransaccion,
    /// Another user or amount than the transaction's
    #[serde(rename = "cargo-distinto")]
    CargoDiffers,
    /// Another token, user or price than the transaction's
    #[serde(rename = "venta-distinta")]
    VentaDiffers,
    /// A balance that is not the sum of its ledger
    #[serde(rename = "saldo-descuadrado")]
    SaldoUnbalanced,
}
