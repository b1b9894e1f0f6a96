//! Filtered, ordered pages of the state.

use super::State;
use super::indexes::Entry;
use crate::domain::Token;
use crate::store::{Cursor, ListQuery, SortBy};
use http_kit::paging::Page;
use market::domain::{MAX_INTEGER, Monto, TokenId};
use std::ops::Bound;
use std::sync::Arc;

/// A list with a filter looks at every token: with up to this many tokens that takes less than a millisecond, and in a database
/// not much more.
const FEW: usize = 10_000;

impl ListQuery {
    /// Whether the list takes so long, among so many tokens, that other requests should not wait for it.
    pub(in crate::store) fn is_slow(&self, tokens: usize) -> bool {
        tokens > FEW && (self.nombre.is_some() || self.vendido.is_some() || self.by_precio())
    }

    fn admits(&self, Entry { token, folded }: &Entry) -> bool {
        self.vendido.is_none_or(|v| v == token.is_sold())
            && self.precio_min.is_none_or(|min| token.precio >= min)
            && self.precio_max.is_none_or(|max| token.precio <= max)
            && self.nombre.as_ref().is_none_or(|part| folded.contains(part.as_str()))
    }

    fn by_precio(&self) -> bool {
        self.precio_min.is_some() || self.precio_max.is_some()
    }
}

/// The range of the keys between two keys, each of which may be missing; `None` where there can be none.
fn between<K: Ord>(low: Option<K>, high: Option<K>) -> Option<(Bound<K>, Bound<K>)> {
    if low.is_some() && high.is_some() && low >= high {
        return None; // the map panics at such a range
    }
    let end = |key: Option<K>| key.map_or(Bound::Unbounded, Bound::Excluded);
    Some((end(low), end(high)))
}

fn directed<'a, T>(
    rows: impl DoubleEndedIterator<Item = T> + 'a,
    descending: bool,
) -> Box<dyn Iterator<Item = T> + 'a> {
    if descending { Box::new(rows.rev()) } else { Box::new(rows) }
}

type ByPrecio = (Monto, TokenId);

impl State {
    /// A page, and the number of rows on all pages.
    pub fn list(&self, query: &ListQuery) -> Page<Token> {
        let rows = self.in_order(query).filter(|f| query.admits(f)).take(query.limit + 1).collect();
        let page = Page::new(rows, query.limit, self.count_rows(query), |f: &&Arc<Entry>| {
            Cursor::at(query.sort_by, &f.token).encode()
        });
        page.map(|f| f.token.clone())
    }

    fn in_order<'a>(&'a self, query: &'a ListQuery) -> Box<dyn Iterator<Item = &'a Arc<Entry>> + 'a> {
        let descending = query.descending;
        let behind = |descends: bool| if descends == descending { query.after.as_ref() } else { None };
        let (low, high) = (behind(false), behind(true));
        let entry = |id: &TokenId| self.entries.get(id);
        match query.sort_by {
            SortBy::Precio => {
                let key = |c: &Cursor| if let Cursor::Precio(p, id) = c { Some((*p, *id)) } else { None };
                let (low, high) = (low.and_then(key), high.and_then(key));
                let rows = self.between_precios(query, low, high);
                Box::new(directed(rows, descending).filter_map(move |(_, id)| entry(id)))
            }
            SortBy::Name => {
                let key = |c: &Cursor| {
                    if let Cursor::Name(n, id) = c { Some((Arc::clone(&n.key), *id)) } else { None }
                };
                let keys = between(low.and_then(key), high.and_then(key));
                let rows = keys.map(|keys| self.indexes().nombre.range(keys)).into_iter().flatten();
                Box::new(directed(rows, descending).filter_map(move |(_, id)| entry(id)))
            }
            SortBy::Id => {
                let key = |c: &Cursor| if let Cursor::Id(id) = c { Some(*id) } else { None };
                let keys = between(low.and_then(key), high.and_then(key));
                let rows = keys.map(|keys| self.entries.range(keys)).into_iter().flatten();
                Box::new(directed(rows, descending).map(|(_, f)| f))
            }
        }
    }

    fn count_rows(&self, query: &ListQuery) -> usize {
        match query.vendido {
            _ if query.by_precio() => {
                let rows = self.between_precios(query, None, None).filter_map(|(_, id)| self.entries.get(id));
                rows.filter(|f| query.admits(f)).count()
            }
            _ if query.nombre.is_some() => self.entries.values().filter(|f| query.admits(f)).count(),
            Some(true) => self.vendidos,
            Some(false) => self.token_count() - self.vendidos,
            None => self.token_count(),
        }
    }

    /// The rows whose prices were asked for, between two more keys.
    fn between_precios(
        &self,
        query: &ListQuery,
        low: Option<ByPrecio>,
        high: Option<ByPrecio>,
    ) -> impl DoubleEndedIterator<Item = &ByPrecio> {
        // the last key of a lower price and the first of a higher one: the range between them has all that were asked for
        let cheaper = query.precio_min.and_then(|min| Monto::new(min.get().wrapping_sub(1)));
        let dearer = query.precio_max.and_then(|max| Monto::new(max.get() + 1));
        let low = low.max(cheaper.zip(TokenId::new(MAX_INTEGER)));
        let dearer = dearer.zip(TokenId::new(1));
        let high = match (high, dearer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        between(low, high).map(|keys| self.indexes().precio.range(keys)).into_iter().flatten()
    }
}
