//! What an audit says.

use super::reconcile::Side;
use super::words::{Names, sentence};
use crate::domain::Transaccion;
use http_kit::openapi::schema::Id;
use http_kit::problem::Lang;
use market::contract::Hold;
use market::domain::{Intento, Monto, TokenId, TransaccionId, UsuarioId};
use market::openapi::schema::{self, Credits};
use serde::Serialize;
use std::fmt;
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

    /// The report for a reader of a language.
    pub fn view(&self, lang: Lang) -> AuditView {
        AuditView {
            correcto: self.is_correct(),
            transacciones: self.transacciones,
            pendientes: self.pendientes,
            mas_antiguo: self.oldest,
            diferencias: self.diferencias.iter().map(|d| d.view(lang, &self.names)).collect(),
        }
    }
}

impl Difference {
    fn new(tipo: DifferenceKind, intento: Option<&Intento>) -> Self {
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

    /// A hold that is not as its purchase says, or that has none.
    pub(super) fn of_hold(side: &Side, hold: &Hold, bought: Option<&Transaccion>) -> Self {
        let tipo = if bought.is_some() { side.other } else { side.extra };
        Self {
            transaccion_id: bought.map(|t| t.id),
            usuario_id: Some(hold.usuario_id),
            token_id: hold.token_id.or(bought.map(|t| t.token_id)),
            monto: Some(hold.monto),
            ..Self::new(tipo, Some(&hold.intento))
        }
    }

    /// A purchase without a hold.
    pub(super) fn of_purchase(side: &Side, t: &Transaccion) -> Self {
        Self {
            transaccion_id: Some(t.id),
            usuario_id: Some(t.usuario_id),
            token_id: Some(t.token_id),
            monto: Some(t.precio),
            ..Self::new(side.missing, t.intento.as_ref())
        }
    }

    fn view(&self, lang: Lang, names: &Names) -> DifferenceView {
        DifferenceView {
            tipo: self.tipo,
            intento: self.intento.as_ref().map(ToString::to_string),
            transaccion_id: self.transaccion_id.map(TransaccionId::get),
            usuario_id: self.usuario_id.map(UsuarioId::get),
            token_id: self.token_id.map(TokenId::get),
            monto: self.monto.map(Monto::get),
            cuenta: self.cuenta,
            detalle: sentence(self, lang, names),
        }
    }
}

/// For an operator's terminal: in English, and without names.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(intento) = &self.intento {
            write!(f, "{intento}: ")?;
        }
        f.write_str(&sentence(self, Lang::En, &Names::default()))
    }
}

/// The verdict
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Auditoria)]
pub struct AuditView {
    /// Whether nothing is wrong: no money is lost, none was made
    #[schema(example = true)]
    correcto: bool,
    /// Committed purchases
    #[schema(example = 1)]
    transacciones: u64,
    /// Holds that are neither confirmed nor cancelled yet: those of purchases under way, and those that a crash left and
    /// that are about to be settled
    #[schema(example = 0)]
    pendientes: u64,
    /// The age of the oldest of these, in milliseconds; left out where there is none
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, example = 1500)]
    mas_antiguo: Option<u64>,
    /// What is wrong: at most 1000 differences
    diferencias: Vec<DifferenceView>,
}

/// Something that is wrong
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Diferencia)]
struct DifferenceView {
    /// What
    tipo: DifferenceKind,
    /// Of which attempt, where it is one's
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, example = "compra-7f3a#1")]
    intento: Option<String>,
    /// Of which purchase, where there is one
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Id>, required = false, nullable = false)]
    transaccion_id: Option<u64>,
    /// Who bought or was charged
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Id>, required = false, nullable = false)]
    usuario_id: Option<u64>,
    /// What was bought or sold, where that is known
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TokenId>, required = false, nullable = false)]
    token_id: Option<u64>,
    /// How much was charged; of a purchase that was not, how much should have been
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Credits>, required = false, nullable = false)]
    monto: Option<u64>,
    /// How many balances are wrong
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, example = 1)]
    cuenta: Option<u64>,
    /// In words: Spanish, or English where `Accept-Language` prefers it
    #[schema(example = "A Ana se le cobraron 50 créditos sin ninguna compra.")]
    detalle: String,
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
