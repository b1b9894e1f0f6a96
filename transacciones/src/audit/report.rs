//! What an audit says.

use market::domain::Intento;
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// The verdict
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Auditoria)]
pub struct AuditReport {
    /// Whether nothing is wrong: no money is lost, none was made
    #[schema(example = true)]
    pub correcto: bool,
    /// Committed purchases
    #[schema(example = 1)]
    pub transacciones: u64,
    /// Holds that are neither confirmed nor cancelled yet: those of purchases under way, and those that a crash left and
    /// that are about to be settled
    #[schema(example = 0)]
    pub pendientes: u64,
    /// What is wrong: at most 1000 differences
    pub diferencias: Vec<Difference>,
}

/// Something that is wrong
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Diferencia)]
pub struct Difference {
    /// What
    pub tipo: DifferenceKind,
    /// Of which attempt, where it is one's
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false, example = "compra-7f3a#1")]
    pub intento: Option<Intento>,
    /// In words
    #[schema(example = "usuario 1 was charged 50 for no transaction")]
    pub detalle: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(intento) = &self.intento {
            write!(f, "{intento}: ")?;
        }
        f.write_str(&self.detalle)
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

impl Difference {
    /// Balances that are not the sum of their ledger, where there are any: their participant counts them and names none.
    pub fn unbalanced(count: u64) -> Option<Self> {
        let detalle = format!("{count} balance(s) are not the sum of their ledger");
        (count > 0).then_some(Self { tipo: DifferenceKind::SaldoUnbalanced, intento: None, detalle })
    }
}
