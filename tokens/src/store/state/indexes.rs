//! Tokens by price and by name.

use crate::collation::sort_key;
use crate::domain::Token;
use imbl::{OrdMap, OrdSet};
use market::domain::{Monto, TokenId};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

/// A token, and its name as it is searched: folded once and not with each request.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) token: Token,
    pub(super) folded: Box<str>,
}

/// Two orders of the tokens. Ids break ties, so that each order is total and a page can start after any row.
#[derive(Clone)]
pub(super) struct Indexes {
    pub(super) precio: OrdSet<(Monto, TokenId)>,
    pub(super) nombre: OrdSet<(Arc<[u8]>, TokenId)>,
}

impl Indexes {
    /// The orders of all tokens at once. The keys are sorted first, so that each lands beside the one before it: with a million
    /// tokens that takes a quarter of the time of as many insertions in the order of the ids.
    pub(super) fn new(entries: &OrdMap<TokenId, Arc<Entry>>) -> Self {
        thread::scope(|threads| {
            let nombre = threads.spawn(|| by_nombre(entries));
            let precio = by_precio(entries);
            let nombre = nombre.join().unwrap_or_else(|panic| resume_unwind(panic));
            Self { precio, nombre }
        })
    }

    /// Takes a token's old place out and puts its new one in. Reserving and selling moves nothing.
    pub(super) fn change(&mut self, old: Option<&Entry>, new: Option<&Entry>) {
        let precio = |f: &Entry| (f.token.precio, f.token.id);
        let (before, after) = (old.map(precio), new.map(precio));
        if before != after {
            before.map(|key| self.precio.remove(&key));
            after.map(|key| self.precio.insert(key));
        }
        // a key takes longer to make than all the rest
        if old.map(|f| &f.token.nombre) != new.map(|f| &f.token.nombre) {
            let nombre = |f: &Entry| (sort_key(&f.token.nombre), f.token.id);
            old.map(nombre).map(|key| self.nombre.remove(&key));
            new.map(nombre).map(|key| self.nombre.insert(key));
        }
    }
}

fn by_precio(entries: &OrdMap<TokenId, Arc<Entry>>) -> OrdSet<(Monto, TokenId)> {
    let mut keys: Vec<_> = entries.values().map(|f| (f.token.precio, f.token.id)).collect();
    keys.sort_unstable();
    keys.into_iter().collect()
}

fn by_nombre(entries: &OrdMap<TokenId, Arc<Entry>>) -> OrdSet<(Arc<[u8]>, TokenId)> {
    // the first bytes, beside each other, decide most comparisons: no look at texts all over the memory is needed
    let key = |f: &Arc<Entry>| {
        let key = sort_key(&f.token.nombre);
        (prefix(&key), key, f.token.id)
    };
    let mut keys: Vec<_> = entries.values().map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, nombre, id)| (nombre, id)).collect()
}

/// The first 16 bytes of a key as a number, which sorts as the bytes do, since no key has a zero byte.
fn prefix(key: &[u8]) -> u128 {
    let mut first = [0; 16];
    let n = key.len().min(16);
    first[..n].copy_from_slice(&key[..n]);
    u128::from_be_bytes(first)
}
