//! An audit's report as a client reads it.

use super::report::{AuditReport, Difference, DifferenceKind, Names};
use super::words::sentence;
use http_kit::openapi::schema::Id;
use http_kit::problem::Lang;
use market::domain::{Monto, TokenId, TransaccionId, UsuarioId};
use market::openapi::schema::{self, Credits};
use serde::Serialize;
use utoipa::ToSchema;

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

impl AuditView {
    /// The report for a reader of a language.
    pub fn of(report: &AuditReport, lang: Lang) -> Self {
        Self {
            correcto: report.diferencias.is_empty(),
            transacciones: report.transacciones,
            pendientes: report.pendientes,
            mas_antiguo: report.oldest,
            diferencias: report
                .diferencias
                .iter()
                .map(|d| DifferenceView::of(d, lang, &report.names))
                .collect(),
        }
    }
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

impl DifferenceView {
    fn of(d: &Difference, lang: Lang, names: &Names) -> Self {
        Self {
            tipo: d.tipo,
            intento: d.intento.as_ref().map(ToString::to_string),
            transaccion_id: d.transaccion_id.map(TransaccionId::get),
            usuario_id: d.usuario_id.map(UsuarioId::get),
            token_id: d.token_id.map(TokenId::get),
            monto: d.monto.map(Monto::get),
            cuenta: d.cuenta,
            detalle: sentence(d, lang, names),
        }
    }
}
