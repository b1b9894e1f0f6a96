//! The audit of a market that is stopped: what `transacciones::audit` holds of services that run, held of three states in
//! memory.

use market::contract::Try;
use market::domain::{Clave, Intento};
use std::collections::{HashMap, HashSet};
use transacciones::domain::Transaccion;
use transacciones::store::json::Modelo;

/// The verdict.
pub(super) struct Auditoria {
    /// Committed purchases.
    pub transacciones: usize,
    /// Tries that are neither confirmed nor cancelled: recovery settles them in the new store as it would have in the old.
    pub pendientes: u64,
    /// What is wrong, in words.
    pub diferencias: Vec<String>,
}

/// Every purchase has exactly one cargo of its price and one token, held or settled; nothing else is settled; every balance
/// is the sum of its ledger.
pub(super) fn auditar(
    usuarios: &usuarios::store::json::Modelo,
    tokens: &tokens::store::json::Modelo,
    compras: &Modelo,
) -> Auditoria {
    let (cargos, ventas) = (usuarios.resumen(), tokens.resumen());
    let mut diferencias = Vec::new();
    if cargos.descuadrados > 0 {
        diferencias.push(format!("{} balances are not the sum of their ledger", cargos.descuadrados));
    }
    // most markets end here; the lists are for those with purchases under way
    if cargos.confirmados != compras.cargos {
        let settled = usuarios.confirmados(None).into_iter().flatten();
        side("cargo", settled, usuarios.pendientes(None), compras, &mut diferencias);
    }
    if ventas.confirmados != compras.ventas {
        let settled = tokens.confirmados(None).into_iter().flatten();
        side("venta", settled, tokens.pendientes(None), compras, &mut diferencias);
    }
    let pendientes = cargos.pendientes.max(ventas.pendientes);
    Auditoria { transacciones: compras.transacciones.len(), pendientes, diferencias }
}

fn side(
    what: &str,
    settled: impl Iterator<Item = Try>,
    pending: impl Iterator<Item = Try>,
    compras: &Modelo,
    diferencias: &mut Vec<String>,
) {
    let bought: HashMap<&Clave, &Transaccion> = compras
        .transacciones
        .values()
        .filter_map(|t| Some((&t.intento.as_ref()?.clave, t.as_ref())))
        .collect();
    let of = |intento: &Intento| bought.get(&intento.clave).filter(|t| t.intento.as_ref() == Some(intento));
    let mut seen = HashSet::new();
    for (t, is_settled) in settled.map(|t| (t, true)).chain(pending.map(|t| (t, false))) {
        match of(&t.intento) {
            Some(compra) => {
                seen.insert(compra.id);
                let agrees = (t.usuario_id, t.monto) == (compra.usuario_id, compra.precio)
                    && t.token_id.is_none_or(|id| id == compra.token_id);
                if !agrees {
                    diferencias.push(format!("the {what} of {} is not what was bought", t.intento));
                }
            }
            None if is_settled => diferencias.push(format!("the {what} of {} is of no purchase", t.intento)),
            // not committed yet: recovery aborts it
            None => {}
        }
    }
    for t in bought.values().filter(|t| !seen.contains(&t.id)) {
        diferencias.push(format!("purchase {} has no {what}", t.id));
    }
}
