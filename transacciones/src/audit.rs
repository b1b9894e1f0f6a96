//! The audit: every transaction has exactly one confirmed cargo of its price and one sold token, nothing else was charged
//! or sold, and every balance is the sum of its ledger.
//!
//! Each service keeps a running digest, so an audit that agrees costs three reads. Where digests differ - purchases are
//! under way, or something is wrong - the lists are read, in an order that needs no common snapshot: how many transactions
//! there are, then pending holds, then settled holds, each page with the transactions of its claves, and last so many
//! transactions as there were first, which are the same ones: their order does not change. A hold is made before its
//! transaction and settled after it, so each of those transactions was pending or settled by the time it was looked for,
//! and every settled try finds its transaction.

use crate::domain::Transaccion;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use chrono::TimeDelta;
use http_kit::client::Unavailable;
use journal::StoreError;
use market::contract::{Hold, PAGE, Refusal};
use market::domain::{Clave, Intento, RunningDigest, TransaccionId};
use market::participant::Participant;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How long an audit may wait for one page.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);
/// Differences that are listed; `correcto` is false for one.
const MAX_LISTED: usize = 1000;

/// The verdict
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Auditoria)]
pub struct AuditReport {
    /// Whether nothing is wrong: no money is lost, none was made
    #[schema(example = true)]
    pub correcto: bool,
    /// Committed purchases
    #[schema(example = 1)]
    pub transacciones: u64,
    /// Tries that are neither confirmed nor cancelled yet: purchases under way, or left by a crash and about to be
    /// settled
    #[schema(example = 0)]
    pub pendientes: u64,
    /// What is wrong, at most 1000 of it
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

/// The kinds of difference
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
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

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Unaudited {
    /// A participant does not answer.
    #[error(transparent)]
    Participant(#[from] Unavailable),
    /// This service's store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A participant refuses the list.
    #[error("a participant refused its list: {0}")]
    Refused(Refusal),
}

/// Which participant's holds, and what to call what is wrong with them.
struct Side<'a> {
    participant: &'a dyn Participant,
    missing: DifferenceKind,
    extra: DifferenceKind,
    other: DifferenceKind,
    verb: &'static str,
}

/// Audits the three services.
///
/// # Errors
/// [`Unaudited`].
pub async fn audit(c: &Coordinator) -> Result<AuditReport, Unaudited> {
    let first = c.store.closing().await?;
    let deadline = Instant::now() + c.deadline;
    let (tokens, usuarios) = tokio::try_join!(c.tokens.digest(deadline), c.usuarios.digest(deadline))?;
    let (tokens, usuarios) = (tokens.map_err(Unaudited::Refused)?, usuarios.map_err(Unaudited::Refused)?);
    let agrees = |ours: RunningDigest, theirs: RunningDigest| ours == theirs;
    let mut verdict = AuditReport {
        correcto: true,
        transacciones: first.transacciones,
        pendientes: tokens.pendientes.max(usuarios.pendientes),
        diferencias: Vec::new(),
    };
    if usuarios.descuadrados > 0 {
        let n = usuarios.descuadrados;
        let detalle = format!("{n} balance(s) are not the sum of their ledger");
        verdict.diferencias.push(Difference {
            tipo: DifferenceKind::SaldoUnbalanced,
            intento: None,
            detalle,
        });
    }
    if !agrees(first.cargos, usuarios.confirmados) {
        let side = Side {
            participant: c.usuarios.as_ref(),
            missing: DifferenceKind::TransaccionWithoutCargo,
            extra: DifferenceKind::CargoWithoutTransaccion,
            other: DifferenceKind::CargoDiffers,
            verb: "was charged",
        };
        compare(c, first.transacciones, &side, &mut verdict).await?;
    }
    if !agrees(first.ventas, tokens.confirmados) {
        let side = Side {
            participant: c.tokens.as_ref(),
            missing: DifferenceKind::TransaccionWithoutVenta,
            extra: DifferenceKind::VentaWithoutTransaccion,
            other: DifferenceKind::VentaDiffers,
            verb: "was sold a token for",
        };
        compare(c, first.transacciones, &side, &mut verdict).await?;
    }
    verdict.correcto = verdict.diferencias.is_empty();
    Ok(verdict)
}

async fn compare(
    c: &Coordinator,
    first: u64,
    side: &Side<'_>,
    verdict: &mut AuditReport,
) -> Result<(), Unaudited> {
    let mut seen = HashSet::<TransaccionId>::new();
    let mut after: Option<Hold> = None;
    loop {
        let deadline = Instant::now() + PAGE_DEADLINE;
        let page = side.participant.pending(TimeDelta::zero(), after.as_ref(), deadline).await?;
        let page = page.map_err(Unaudited::Refused)?;
        let bought = bought(&c.store, &page).await?;
        seen.extend(page.iter().filter_map(|t| of(&bought, &t.intento)).map(|t| t.id));
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back();
    }
    let mut after: Option<Intento> = None;
    loop {
        let page = side.participant.settled(after.as_ref(), Instant::now() + PAGE_DEADLINE).await?;
        let page = page.map_err(Unaudited::Refused)?;
        let bought = bought(&c.store, &page).await?;
        for settled in &page {
            let (usuario, verb, monto) = (settled.usuario_id, side.verb, settled.monto);
            let (tipo, detalle) = match of(&bought, &settled.intento) {
                Some(t) if agree(settled, t) => {
                    seen.insert(t.id);
                    continue;
                }
                Some(_) => (
                    side.other,
                    format!("usuario {usuario} {verb} {monto}, and the transaction says otherwise"),
                ),
                None => (side.extra, format!("usuario {usuario} {verb} {monto} without a transaction")),
            };
            if verdict.diferencias.len() < MAX_LISTED {
                let intento = Some(settled.intento.clone());
                verdict.diferencias.push(Difference { tipo, intento, detalle });
            }
        }
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back().map(|t| t.intento);
    }
    let (mut left, mut after) = (first, None);
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = c.store.following(after, limit).await?;
        let Some(last) = page.last() else { break };
        (left, after) = (left - page.len() as u64, Some(last.id));
        for t in page.into_iter().filter(|t| t.intento.is_some() && !seen.contains(&t.id)) {
            // one that is there with other facts was named above
            let named = verdict.diferencias.iter().any(|d| d.tipo == side.other && d.intento == t.intento);
            if !named && verdict.diferencias.len() < MAX_LISTED {
                let detalle = format!("transaccion {} of {} has no counterpart", t.id, t.precio);
                verdict.diferencias.push(Difference { tipo: side.missing, intento: t.intento, detalle });
            }
        }
    }
    Ok(())
}

/// The transactions under the claves of some holds.
async fn bought(store: &Store, holds: &[Hold]) -> Result<HashMap<Clave, Transaccion>, Unaudited> {
    let claves: Vec<_> = holds.iter().map(|t| t.intento.clave.clone()).collect();
    let found = store.under(&claves).await?.into_iter();
    Ok(found.filter_map(|t| Some((t.intento.as_ref()?.clave.clone(), t))).collect())
}

/// The transaction of an attempt.
fn of<'a>(bought: &'a HashMap<Clave, Transaccion>, intento: &Intento) -> Option<&'a Transaccion> {
    bought.get(&intento.clave).filter(|t| t.intento.as_ref() == Some(intento))
}

fn agree(settled: &Hold, t: &Transaccion) -> bool {
    settled.usuario_id == t.usuario_id
        && settled.monto == t.precio
        && settled.token_id.is_none_or(|id| id == t.token_id)
}
