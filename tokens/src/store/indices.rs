//! Tokens by price and by name.

use super::Ficha;
use common::domain::{Monto, TokenId};
use imbl::OrdSet;
use std::sync::Arc;

/// Two orders over the tokens; ids break ties, so that each order is total and a page can start behind any row.
#[derive(Clone, Default)]
pub(super) struct Indices {
    pub(super) precio: OrdSet<(Monto, TokenId)>,
    pub(super) nombre: OrdSet<(Arc<str>, TokenId)>,
}

impl Indices {
    /// Takes a token's old place out and puts its new one in. Reserving and selling moves nothing.
    pub(super) fn cambiar(&mut self, old: Option<&Ficha>, new: Option<&Ficha>) {
        let precio = |f: &Ficha| (f.token.precio, f.token.id);
        let nombre = |f: &Ficha| (Arc::clone(&f.plegado), f.token.id);
        let (before, after) = (old.map(precio), new.map(precio));
        if before != after {
            before.map(|key| self.precio.remove(&key));
            after.map(|key| self.precio.insert(key));
        }
        let (before, after) = (old.map(nombre), new.map(nombre));
        if before != after {
            before.map(|key| self.nombre.remove(&key));
            after.map(|key| self.nombre.insert(key));
        }
    }
}
