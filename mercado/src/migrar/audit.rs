//! The audit of a market that is stopped: [`transacciones::audit`]'s reconciliation, fed with three states in memory.

use market::contract::{Hold, PAGE};
use transacciones::audit::reconcile::{CARGOS, Reconciliation, Side, VENTAS};
use transacciones::audit::report::{AuditReport, Difference};
use transacciones::domain::Transaccion;
use transacciones::store::state::State;

/// Every purchase has exactly one cargo of its price and one token, held or settled; nothing else is settled; every balance
/// is the sum of its ledger. In the new store recovery settles what is pending, as it would have done in the old one.
pub(super) fn audit(
    usuarios: &usuarios::store::state::State,
    tokens: &tokens::store::state::State,
    compras: &State,
) -> AuditReport {
    let (cargos, ventas) = (usuarios.digest(), tokens.digest());
    let mut diferencias: Vec<_> = Difference::unbalanced(cargos.descuadrados).into_iter().collect();
    // most markets end here; the lists are for those with purchases under way
    if cargos.confirmados != compras.cargos {
        let settled = usuarios.settled(None).into_iter().flatten();
        diferencias.extend(compare(&CARGOS, usuarios.pending(None), settled, compras));
    }
    if ventas.confirmados != compras.ventas {
        let settled = tokens.settled(None).into_iter().flatten();
        diferencias.extend(compare(&VENTAS, tokens.pending(None), settled, compras));
    }
    AuditReport {
        transacciones: compras.transacciones.len() as u64,
        pendientes: cargos.pendientes.max(ventas.pendientes),
        diferencias,
        ..AuditReport::default()
    }
}

fn compare(
    side: &'static Side,
    pending: impl Iterator<Item = Hold>,
    settled: impl Iterator<Item = Hold>,
    compras: &State,
) -> Vec<Difference> {
    let mut lists = Reconciliation::new(side, usize::MAX);
    let bought = |page: &[Hold]| -> Vec<Transaccion> {
        let found = page.iter().filter_map(|hold| compras.bought(&hold.intento.clave));
        found.map(|t| t.as_ref().clone()).collect()
    };
    pages(pending, |page| lists.pending(&page, &bought(&page)));
    pages(settled, |page| lists.settled(&page, &bought(&page)));
    let purchases = compras.transacciones.values().map(|t| t.as_ref().clone());
    pages(purchases, |page| lists.purchases(&page));
    lists.finish()
}

/// Feeds what there is in pages, so that no list is in memory twice as a whole.
fn pages<T>(mut rows: impl Iterator<Item = T>, mut feed: impl FnMut(Vec<T>)) {
    loop {
        let page: Vec<T> = rows.by_ref().take(PAGE).collect();
        let whole = page.len() == PAGE;
        feed(page);
        if !whole {
            return;
        }
    }
}
