//! The audit: every transaction has exactly one confirmed cargo of its price and one sold token, nothing else was charged
//! or sold, and every balance is the sum of its ledger.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`report`] | the verdict and its differences |
//! | [`reconcile`] | the comparisons, without any I/O |
//! | `words` | a difference as a sentence |
//! | [`view`] | the report as a client reads it |
//! | [`auditor`] | one audit at a time, for all who ask |
//!
//! Each service keeps a running digest, so an audit of a market at rest costs three reads. Where purchases are under way the
//! digests differ, and are corrected for what is in flight. Only where they still differ are the lists read.

pub mod auditor;
pub mod reconcile;
pub mod report;
#[cfg(test)]
mod tests;
pub mod view;
mod words;

use crate::domain::Transaccion;
use crate::error::Error;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use chrono::TimeDelta;
use http_kit::client::Unavailable;
use market::contract::{Digest, Hold, NAMES, PAGE, Refusal};
use market::domain::{Clave, Intento, TokenId, TransaccionId, UsuarioId};
use market::participant::Participant;
use reconcile::{CARGOS, Reconciliation, Side, VENTAS, agrees};
use report::{AuditReport, Difference, Names};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long an audit may wait for one page.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);
/// Differences that are listed; `correcto` is false for one.
const MAX_LISTED: usize = 1000;

/// Audits the three services. `of_lists` counts how often the lists had to be read.
///
/// # Errors
/// [`Error::NoAnswer`], [`Error::Store`] or [`Error::Bug`]: there is no verdict.
pub async fn audit(c: &Coordinator, of_lists: &AtomicU64) -> Result<AuditReport, Error> {
    let before = c.store.standing().await?;
    let deadline = Instant::now() + c.deadline;
    let (tokens, usuarios) = tokio::join!(c.tokens.digest(deadline), c.usuarios.digest(deadline));
    let (tokens, usuarios) = (said(tokens)?, said(usuarios)?);
    let mut diferencias: Vec<_> = Difference::unbalanced(usuarios.descuadrados).into_iter().collect();
    if (usuarios.confirmados, tokens.confirmados) != (before.closing.cargos, before.closing.ventas) {
        let in_flight = [usuarios.in_flight.as_slice(), tokens.in_flight.as_slice()].concat();
        let held = bought(&c.store, &in_flight).await?;
        let since = since(&c.store, before.last).await?;
        let sides: [(&'static Side, &Digest, &dyn Participant); 2] =
            [(&CARGOS, &usuarios, c.usuarios.as_ref()), (&VENTAS, &tokens, c.tokens.as_ref())];
        for (side, digest, participant) in sides {
            if !agrees(side, &before, digest, &held, &since) {
                of_lists.fetch_add(1, Ordering::Relaxed);
                let first = before.closing.transacciones;
                diferencias.extend(compare(&c.store, first, side, participant).await?);
            }
        }
    }
    diferencias.truncate(MAX_LISTED);
    Ok(AuditReport {
        transacciones: before.closing.transacciones,
        pendientes: tokens.pendientes.max(usuarios.pendientes),
        oldest: tokens.oldest.max(usuarios.oldest),
        names: names(c, &diferencias).await,
        diferencias,
    })
}

/// The names that the first differences speak of. Where they cannot be had, the differences say ids.
async fn names(c: &Coordinator, differences: &[Difference]) -> Names {
    let deadline = Instant::now() + c.deadline;
    let users = differences.iter().filter_map(|d| d.usuario_id.map(UsuarioId::get));
    let goods = differences.iter().filter_map(|d| d.token_id.map(TokenId::get));
    let (usuarios, tokens) = tokio::join!(
        names_of(c.usuarios.as_ref(), users, deadline),
        names_of(c.tokens.as_ref(), goods, deadline)
    );
    Names { usuarios, tokens }
}

async fn names_of(
    participant: &(impl Participant + ?Sized),
    ids: impl Iterator<Item = u64>,
    deadline: Instant,
) -> HashMap<u64, String> {
    let mut first = BTreeSet::new();
    for id in ids {
        if first.len() < NAMES {
            first.insert(id);
        }
    }
    let ids: Vec<_> = first.into_iter().collect();
    if ids.is_empty() {
        return HashMap::new();
    }
    let named = said(participant.names(&ids, deadline).await).unwrap_or_default();
    named.into_iter().map(|one| (one.id, one.nombre)).collect()
}

/// Reads the lists of one participant and of the store, in the order that [`Reconciliation`] needs.
async fn compare(
    store: &Store,
    first: u64,
    side: &'static Side,
    participant: &dyn Participant,
) -> Result<Vec<Difference>, Error> {
    let mut lists = Reconciliation::new(side, MAX_LISTED);
    let mut after: Option<Hold> = None;
    loop {
        let deadline = Instant::now() + PAGE_DEADLINE;
        let page = said(participant.pending(TimeDelta::zero(), after.as_ref(), deadline).await)?;
        lists.pending(&page, &bought(store, &page).await?);
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back();
    }
    let mut after: Option<Intento> = None;
    loop {
        let page = said(participant.settled(after.as_ref(), Instant::now() + PAGE_DEADLINE).await)?;
        lists.settled(&page, &bought(store, &page).await?);
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().next_back().map(|hold| hold.intento);
    }
    let (mut left, mut last) = (first, None);
    while left > 0 {
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = store.following(last, limit).await?;
        let Some(t) = page.last() else { break };
        (left, last) = (left - page.len() as u64, Some(t.id));
        lists.purchases(&page);
    }
    Ok(lists.finish())
}

/// The purchases under the claves of some holds.
async fn bought(store: &Store, holds: &[Hold]) -> Result<Vec<Transaccion>, Error> {
    let mut claves: Vec<Clave> = holds.iter().map(|hold| hold.intento.clave.clone()).collect();
    claves.sort_unstable();
    claves.dedup();
    Ok(store.under(&claves).await?)
}

/// The purchases behind one, up to the last that there is when they are read.
async fn since(store: &Store, mut last: Option<TransaccionId>) -> Result<Vec<Transaccion>, Error> {
    let mut all = Vec::new();
    loop {
        let page = store.following(last, PAGE).await?;
        let whole = page.len() == PAGE;
        last = page.last().map(|t| t.id).or(last);
        all.extend(page);
        if !whole {
            return Ok(all);
        }
    }
}

/// What a participant answered to a question that it cannot refuse.
fn said<T>(answer: Result<Result<T, Refusal>, Unavailable>) -> Result<T, Error> {
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(Error::bug(format!("a participant refused an audit: {refusal}"))),
        Err(e) => {
            log::warn!("audit: {e}");
            Err(Error::NoAnswer)
        }
    }
}
