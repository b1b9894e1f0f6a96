//! The audit: every transaction has exactly one confirmed cargo of its price and one sold token, nothing else was charged
//! or sold, and every balance is the sum of its ledger.
//!
//! Each service keeps a running digest, so an audit that agrees costs three reads. Where digests differ - purchases are
//! under way, or something is wrong - the lists are read, in an order that needs no common snapshot: transactions, then
//! pending tries, then settled tries, then transactions again. A try is made before its transaction and settled after
//! it, so every transaction of the first reading is pending or settled by the time it is looked for, and every settled
//! try is in the last reading of the transactions.

use crate::domain::Transaccion;
use crate::participants::Participant;
use crate::purchase::runner::Coordinator;
use crate::store::Modelo;
use chrono::TimeDelta;
use common::client::Unavailable;
use common::contract::{PAGE, Refusal, Try};
use common::domain::{Intento, Resumen, TransaccionId};
use common::journal::StoreError;
use serde::Serialize;
use std::collections::HashSet;
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
    let first = Modelo::clone(&*c.store.read()?);
    let deadline = Instant::now() + c.deadline;
    let (tokens, usuarios) = tokio::try_join!(c.tokens.digest(deadline), c.usuarios.digest(deadline))?;
    let (tokens, usuarios) = (tokens.map_err(Unaudited::Refused)?, usuarios.map_err(Unaudited::Refused)?);
    let agrees = |ours: Resumen, theirs: Resumen| ours == theirs;
    let mut verdict = Auditoria {
        correcto: true,
        transacciones: first.transacciones.len() as u64,
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
        compare(c, &first, &side, &mut verdict).await?;
    }
    if !agrees(first.ventas, tokens.confirmados) {
        let side = Side {
            participant: c.tokens.as_ref(),
            missing: Tipo::TransaccionSinVenta,
            extra: Tipo::VentaSinTransaccion,
            other: Tipo::VentaDistinta,
            verb: "was sold a token for",
        };
        compare(c, &first, &side, &mut verdict).await?;
    }
    verdict.correcto = verdict.diferencias.is_empty();
    verdict.diferencias.truncate(MAX_LISTED);
    Ok(verdict)
}

async fn compare(
    c: &Coordinator,
    first: &Modelo,
    side: &Side<'_>,
    verdict: &mut Auditoria,
) -> Result<(), Unaudited> {
    let mut seen = HashSet::<TransaccionId>::new();
    let mut after: Option<Try> = None;
    loop {
        let deadline = Instant::now() + PAGE_DEADLINE;
        let page = side.participant.pending(TimeDelta::zero(), after.as_ref(), deadline).await?;
        let page = page.map_err(Unaudited::Refused)?;
        seen.extend(page.iter().filter_map(|t| of(first, &t.intento)).map(|t| t.id));
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back();
    }
    let mut unknown = Vec::new();
    let mut after: Option<Intento> = None;
    loop {
        let page = side.participant.settled(after.as_ref(), Instant::now() + PAGE_DEADLINE).await?;
        let page = page.map_err(Unaudited::Refused)?;
        for settled in &page {
            match of(first, &settled.intento) {
                Some(t) if agree(settled, t) => {
                    seen.insert(t.id);
                }
                // bought since the first reading, or wrong: the last reading tells
                _ => unknown.push(settled.clone()),
            }
        }
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back().map(|t| t.intento);
    }
    let last = Modelo::clone(&*c.store.read()?);
    for settled in unknown {
        let tipo = match of(&last, &settled.intento) {
            Some(t) if agree(&settled, t) => continue,
            Some(_) => side.other,
            None => side.extra,
        };
        let (usuario, verb, monto) = (settled.usuario_id, side.verb, settled.monto);
        let detalle = match tipo == side.other {
            true => format!("usuario {usuario} {verb} {monto}, and the transaction says otherwise"),
            false => format!("usuario {usuario} {verb} {monto} without a transaction"),
        };
        verdict.diferencias.push(Diferencia { tipo, intento: Some(settled.intento), detalle });
    }
    for t in first.transacciones.values().filter(|t| t.intento.is_some() && !seen.contains(&t.id)) {
        // one that is there with other facts was named above
        let named = verdict.diferencias.iter().any(|d| d.tipo == side.other && d.intento == t.intento);
        if !named && verdict.diferencias.len() < MAX_LISTED {
            let detalle = format!("transaccion {} of {} has no counterpart", t.id, t.precio);
            verdict.diferencias.push(Diferencia { tipo: side.missing, intento: t.intento.clone(), detalle });
        }
    }
    Ok(())
}

/// The transaction of an attempt.
fn of<'a>(modelo: &'a Modelo, intento: &Intento) -> Option<&'a Transaccion> {
    modelo.comprado(&intento.clave).map(AsRef::as_ref).filter(|t| t.intento.as_ref() == Some(intento))
}

fn agree(settled: &Try, t: &Transaccion) -> bool {
    settled.usuario_id == t.usuario_id
        && settled.monto == t.precio
        && settled.token_id.is_none_or(|id| id == t.token_id)
}
