//! The two comparisons of an audit, without any I/O: whoever audits reads, feeds what was read, and hears what differs. The
//! running audit and `mercado migrar` both do.
//!
//! [`agrees`] compares digests, and corrects them for purchases under way. Where that finds no agreement, a
//! [`Reconciliation`] compares the lists and names each difference. Neither needs a common snapshot of the services; what
//! each needs is an order of the readings, and says which. Why the order is enough: `docs/PURCHASE.md`.

use super::report::{Difference, DifferenceKind};
use crate::domain::Transaccion;
use crate::store::Standing;
use market::contract::{Digest, Hold, PAGE};
use market::domain::{Clave, Intento, RunningDigest, TokenId, TransaccionId};
use std::collections::{HashMap, HashSet};

/// One participant, as the purchases should look from there, and the names of what can be wrong with its holds.
#[derive(Debug)]
pub struct Side {
    missing: DifferenceKind,
    extra: DifferenceKind,
    other: DifferenceKind,
    sells: bool,
}

/// The debits in `usuarios`.
pub static CARGOS: Side = Side {
    missing: DifferenceKind::TransaccionWithoutCargo,
    extra: DifferenceKind::CargoWithoutTransaccion,
    other: DifferenceKind::CargoDiffers,
    sells: false,
};

/// The sales in `tokens`.
pub static VENTAS: Side = Side {
    missing: DifferenceKind::TransaccionWithoutVenta,
    extra: DifferenceKind::VentaWithoutTransaccion,
    other: DifferenceKind::VentaDiffers,
    sells: true,
};

impl Side {
    /// What the participant's digest should be, with every purchase of a standing settled.
    fn of(&self, standing: &Standing) -> RunningDigest {
        if self.sells { standing.closing.ventas } else { standing.closing.cargos }
    }

    /// The token of a purchase, where the participant knows it.
    fn token(&self, t: &Transaccion) -> Option<TokenId> {
        self.sells.then_some(t.token_id)
    }
}

/// Whether a participant's digest is what the purchases say. Its cost is that of what is under way, and not of the history.
///
/// To be read in this order: `before`, how the purchases stand; then `digest`; then `held`, the purchases under the claves of
/// [`Digest::in_flight`]; and last `since`, the purchases behind [`Standing::last`] in the order of their commits.
///
/// False says nothing by itself where more is in flight than a digest lists.
pub fn agrees(
    side: &Side,
    before: &Standing,
    digest: &Digest,
    held: &[Transaccion],
    since: &[Transaccion],
) -> bool {
    let mut expected = side.of(before);
    if expected == digest.confirmados {
        return true;
    }
    if !is_whole(digest) {
        return false;
    }
    let open: HashSet<&Intento> = digest.in_flight.iter().map(|hold| &hold.intento).collect();
    let recent: HashSet<TransaccionId> = since.iter().map(|t| t.id).collect();
    // bought before, and not counted as settled by the digest
    for t in held.iter().filter(|t| !recent.contains(&t.id)) {
        if let Some(intento) = t.intento.as_ref().filter(|i| open.contains(i)) {
            expected.remove(intento, t.usuario_id, side.token(t), t.precio);
        }
    }
    // bought since, and counted: all of these were committed before the digest was read, and those that were held only
    // afterwards were committed after all of these
    let counted = digest.confirmados.cuenta.saturating_sub(expected.cuenta);
    let closed = since.iter().filter_map(|t| Some((t, t.intento.as_ref().filter(|i| !open.contains(i))?)));
    for (t, intento) in closed.take(usize::try_from(counted).unwrap_or(usize::MAX)) {
        expected.add(intento, t.usuario_id, side.token(t), t.precio);
    }
    expected == digest.confirmados
}

/// Whether a digest lists everything that it does not count.
fn is_whole(digest: &Digest) -> bool {
    let listed = digest.in_flight.len();
    listed < PAGE && listed as u64 >= digest.pendientes
}

/// Every hold of one participant against every purchase.
///
/// To be fed in this order, each page of holds with the purchases that were found under its claves after the page was read:
/// all pending holds, then all settled ones, and then as many purchases as there were before the first page.
#[derive(Debug)]
pub struct Reconciliation {
    side: &'static Side,
    limit: usize,
    seen: HashSet<TransaccionId>,
    differences: Vec<Difference>,
}

impl Reconciliation {
    /// Of one participant. At most `limit` differences are kept.
    pub fn new(side: &'static Side, limit: usize) -> Self {
        Self { side, limit, seen: HashSet::new(), differences: Vec::new() }
    }

    /// A page of pending holds. Such as are under no purchase belong to purchases under way, or are left to recovery.
    pub fn pending(&mut self, page: &[Hold], found: &[Transaccion]) {
        self.holds(page, found, false);
    }

    /// A page of settled holds: each has a purchase.
    pub fn settled(&mut self, page: &[Hold], found: &[Transaccion]) {
        self.holds(page, found, true);
    }

    fn holds(&mut self, page: &[Hold], found: &[Transaccion], settled: bool) {
        let bought: HashMap<&Clave, &Transaccion> =
            found.iter().filter_map(|t| Some((&t.intento.as_ref()?.clave, t))).collect();
        for hold in page {
            let of = bought.get(&hold.intento.clave).filter(|t| t.intento.as_ref() == Some(&hold.intento));
            let wrong = match of {
                // a hold that was settled meanwhile is on both lists
                Some(t) => self.seen.insert(t.id) && !matches(hold, t),
                None => settled,
            };
            if wrong {
                self.differs(of_hold(self.side, hold, of.copied()));
            }
        }
    }

    /// A page of purchases: each has a hold. A purchase that people put into the files by hand names no attempt, and needs
    /// none.
    pub fn purchases(&mut self, page: &[Transaccion]) {
        for t in page {
            if t.intento.is_some() && !self.seen.contains(&t.id) {
                self.differs(of_purchase(self.side, t));
            }
        }
    }

    /// What differs.
    pub fn finish(self) -> Vec<Difference> {
        self.differences
    }

    fn differs(&mut self, one: Difference) {
        if self.differences.len() < self.limit {
            self.differences.push(one);
        }
    }
}

/// A hold that is not as its purchase says, or that has none.
fn of_hold(side: &Side, hold: &Hold, bought: Option<&Transaccion>) -> Difference {
    let tipo = if bought.is_some() { side.other } else { side.extra };
    Difference {
        transaccion_id: bought.map(|t| t.id),
        usuario_id: Some(hold.usuario_id),
        token_id: hold.token_id.or(bought.map(|t| t.token_id)),
        monto: Some(hold.monto),
        ..Difference::new(tipo, Some(&hold.intento))
    }
}

/// A purchase without a hold.
fn of_purchase(side: &Side, t: &Transaccion) -> Difference {
    Difference {
        transaccion_id: Some(t.id),
        usuario_id: Some(t.usuario_id),
        token_id: Some(t.token_id),
        monto: Some(t.precio),
        ..Difference::new(side.missing, t.intento.as_ref())
    }
}

/// Whether a hold says what the purchase of its attempt says.
fn matches(hold: &Hold, t: &Transaccion) -> bool {
    (hold.usuario_id, hold.monto) == (t.usuario_id, t.precio)
        && hold.token_id.is_none_or(|id| id == t.token_id)
}
