//! The audit: every transaction has exactly one confirmed cargo of its price and one sold token, nothing else was charged
//! or sold, and every balance is the sum of its ledger.
//!
//! Each service keeps a running digest, so an audit that agrees costs three reads. Where digests differ - purchases are
//! under way, or something is wrong - the lists are read, in an order that needs no common snapshot: how many transactions
//! there are, then pending tries, then settled tries, each page with the transactions of its claves, and last so many
//! transactions as there were first, which are the same ones: their order does not change. A try is made before its
//! transaction and settled after it, so each of those transactions was pending or settled by the time it was looked for,
//! and every settled try finds its transaction.

use crate::domain::Transaccion;
use crate::participants::Participant;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use chrono::TimeDelta;
use http_kit::client::Unavailable;
use journal::StoreError;
use market::contract::{PAGE, Refusal, Try};
use market::domain::{Clave, Intento, Resumen, TransaccionId};
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
pub struct Auditoria {
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
    pub diferencias: Vec<Diferencia>,
}

/// Something that is wrong
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diferencia {
    /// What
    pub tipo: Tipo,
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
pub enum Tipo {
    /// Bought and not paid for
    TransaccionSinCargo,
    /// Bought and not sold
    TransaccionSinVenta,
    /// Paid for and not bought
    CargoSinTransaccion,
    /// Sold and not bought
    VentaSinTransaccion,
    /// Another user or amount than the transaction's
    CargoDistinto,
    /// Another token, user or price than the transaction's
    VentaDistinta,
    /// A balance that is not the sum of its ledger
    SaldoDescuadrado,
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

/// Which participant's tries, and what to call what is wrong with them.
struct Side<'a> {
    participant: &'a dyn Participant,
    missing: Tipo,
    extra: Tipo,
    other: Tipo,
    verb: &'static str,
}

/// Audits the three services.
///
/// # Errors
/// [`Unaudited`].
pub async fn audit(c: &Coordinator) -> Result<Auditoria, Unaudited> {
    let first = c.store.cierre().await?;
    let deadline = Instant::now() + c.deadline;
    let (tokens, usuarios) = tokio::try_join!(c.tokens.digest(deadline), c.usuarios.digest(deadline))?;
    let (tokens, usuarios) = (tokens.map_err(Unaudited::Refused)?, usuarios.map_err(Unaudited::Refused)?);
    let agrees = |ours: Resumen, theirs: Resumen| ours == theirs;
    let mut verdict = Auditoria {
        correcto: true,
        transacciones: first.transacciones,
        pendientes: tokens.pendientes.max(usuarios.pendientes),
        diferencias: Vec::new(),
    };
    if usuarios.descuadrados > 0 {
        let n = usuarios.descuadrados;
        let detalle = format!("{n} balance(s) are not the sum of their ledger");
        verdict.diferencias.push(Diferencia { tipo: Tipo::SaldoDescuadrado, intento: None, detalle });
    }
    if !agrees(first.cargos, usuarios.confirmados) {
        let side = Side {
            participant: c.usuarios.as_ref(),
            missing: Tipo::TransaccionSinCargo,
            extra: Tipo::CargoSinTransaccion,
            other: Tipo::CargoDistinto,
            verb: "was charged",
        };
        compare(c, first.transacciones, &side, &mut verdict).await?;
    }
    if !agrees(first.ventas, tokens.confirmados) {
        let side = Side {
            participant: c.tokens.as_ref(),
            missing: Tipo::TransaccionSinVenta,
            extra: Tipo::VentaSinTransaccion,
            other: Tipo::VentaDistinta,
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
    verdict: &mut Auditoria,
) -> Result<(), Unaudited> {
    let mut seen = HashSet::<TransaccionId>::new();
    let mut after: Option<Try> = None;
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
                verdict.diferencias.push(Diferencia { tipo, intento, detalle });
            }
        }
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back().map(|t| t.intento);
    }
    let (mut left, mut despues) = (first, None);
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = c.store.siguientes(despues, limit).await?;
        let Some(last) = page.last() else { break };
        (left, despues) = (left - page.len() as u64, Some(last.id));
        for t in page.into_iter().filter(|t| t.intento.is_some() && !seen.contains(&t.id)) {
            // one that is there with other facts was named above
            let named = verdict.diferencias.iter().any(|d| d.tipo == side.other && d.intento == t.intento);
            if !named && verdict.diferencias.len() < MAX_LISTED {
                let detalle = format!("transaccion {} of {} has no counterpart", t.id, t.precio);
                verdict.diferencias.push(Diferencia { tipo: side.missing, intento: t.intento, detalle });
            }
        }
    }
    Ok(())
}

/// The transactions under the claves of some tries.
async fn bought(store: &Store, tries: &[Try]) -> Result<HashMap<Clave, Transaccion>, Unaudited> {
    let claves: Vec<_> = tries.iter().map(|t| t.intento.clave.clone()).collect();
    let found = store.bajo(&claves).await?.into_iter();
    Ok(found.filter_map(|t| Some((t.intento.as_ref()?.clave.clone(), t))).collect())
}

/// The transaction of an attempt.
fn of<'a>(bought: &'a HashMap<Clave, Transaccion>, intento: &Intento) -> Option<&'a Transaccion> {
    bought.get(&intento.clave).filter(|t| t.intento.as_ref() == Some(intento))
}

fn agree(settled: &Try, t: &Transaccion) -> bool {
    settled.usuario_id == t.usuario_id
        && settled.monto == t.precio
        && settled.token_id.is_none_or(|id| id == t.token_id)
}
