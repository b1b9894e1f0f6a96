//! Filtered, ordered pages of the state.

use super::modelo::{Ficha, Modelo};
use crate::domain::Token;
use crate::store::{Consulta, Cursor, Orden};
use http_kit::paging::Page;
use market::domain::{MAX_ENTERO, Monto, TokenId};
use std::ops::Bound;
use std::sync::Arc;

/// Lists with a filter look at every token; up to this many that takes less than a millisecond.
const POCOS: usize = 10_000;

impl Consulta {
    fn admite(&self, Ficha { token, plegado }: &Ficha) -> bool {
        self.vendido.is_none_or(|v| v == token.vendido())
            && self.precio_min.is_none_or(|min| token.precio >= min)
            && self.precio_max.is_none_or(|max| token.precio <= max)
            && self.nombre.as_ref().is_none_or(|part| plegado.contains(part.as_str()))
    }

    fn por_precio(&self) -> bool {
        self.precio_min.is_some() || self.precio_max.is_some()
    }
}

/// The keys between two, or behind one in the direction of reading; `None` where there can be none.
fn between<K: Ord>(low: Option<K>, high: Option<K>) -> Option<(Bound<K>, Bound<K>)> {
    if low.is_some() && high.is_some() && low >= high {
        return None; // a map would take it for a bug
    }
    let end = |key: Option<K>| key.map_or(Bound::Unbounded, Bound::Excluded);
    Some((end(low), end(high)))
}

fn directed<'a, T>(
    rows: impl DoubleEndedIterator<Item = T> + 'a,
    descendente: bool,
) -> Box<dyn Iterator<Item = T> + 'a> {
    if descendente { Box::new(rows.rev()) } else { Box::new(rows) }
}

type PorPrecio = (Monto, TokenId);

impl Modelo {
    /// A page, and the number of rows on all pages.
    pub fn listar(&self, consulta: &Consulta) -> Page<Token> {
        let rows = self.en_orden(consulta).filter(|f| consulta.admite(f)).take(consulta.limite + 1).collect();
        let page = Page::new(rows, consulta.limite, self.contar_filas(consulta), |f: &&Arc<Ficha>| {
            Cursor::at(consulta.orden, &f.token, &f.plegado).encode()
        });
        page.map(|f| f.token.clone())
    }

    /// Whether a list takes so long that other requests should not wait behind it.
    pub fn es_larga(&self, consulta: &Consulta) -> bool {
        self.cuantos() > POCOS
            && (consulta.nombre.is_some() || consulta.vendido.is_some() || consulta.por_precio())
    }

    fn en_orden<'a>(&'a self, consulta: &'a Consulta) -> Box<dyn Iterator<Item = &'a Arc<Ficha>> + 'a> {
        let descendente = consulta.descendente;
        let behind = |descends: bool| if descends == descendente { consulta.despues.as_ref() } else { None };
        let (low, high) = (behind(false), behind(true));
        let ficha = |id: &TokenId| self.fichas.get(id);
        match consulta.orden {
            Orden::Precio => {
                let key = |c: &Cursor| if let Cursor::Precio(p, id) = c { Some((*p, *id)) } else { None };
                let (low, high) = (low.and_then(key), high.and_then(key));
                let rows = self.entre_precios(consulta, low, high);
                Box::new(directed(rows, descendente).filter_map(move |(_, id)| ficha(id)))
            }
            Orden::Nombre => {
                let key = |c: &Cursor| {
                    if let Cursor::Nombre(n, id) = c { Some((Arc::clone(n), *id)) } else { None }
                };
                let keys = between(low.and_then(key), high.and_then(key));
                let rows = keys.map(|keys| self.indices().nombre.range(keys)).into_iter().flatten();
                Box::new(directed(rows, descendente).filter_map(move |(_, id)| ficha(id)))
            }
            Orden::Id => {
                let key = |c: &Cursor| if let Cursor::Id(id) = c { Some(*id) } else { None };
                let keys = between(low.and_then(key), high.and_then(key));
                let rows = keys.map(|keys| self.fichas.range(keys)).into_iter().flatten();
                Box::new(directed(rows, descendente).map(|(_, f)| f))
            }
        }
    }

    fn contar_filas(&self, consulta: &Consulta) -> usize {
        match consulta.vendido {
            _ if consulta.por_precio() => {
                let rows = self.entre_precios(consulta, None, None).filter_map(|(_, id)| self.fichas.get(id));
                rows.filter(|f| consulta.admite(f)).count()
            }
            _ if consulta.nombre.is_some() => self.fichas.values().filter(|f| consulta.admite(f)).count(),
            Some(true) => self.vendidos,
            Some(false) => self.cuantos() - self.vendidos,
            None => self.cuantos(),
        }
    }

    /// The rows that the prices asked for let through, between two more keys.
    fn entre_precios(
        &self,
        consulta: &Consulta,
        low: Option<PorPrecio>,
        high: Option<PorPrecio>,
    ) -> impl DoubleEndedIterator<Item = &PorPrecio> {
        // the last key with a lower price, and the first with a higher one: in a range that leaves both out, all are in
        let cheaper = consulta.precio_min.and_then(|min| Monto::new(min.get().wrapping_sub(1)));
        let dearer = consulta.precio_max.and_then(|max| Monto::new(max.get() + 1));
        let low = low.max(cheaper.zip(TokenId::new(MAX_ENTERO)));
        let dearer = dearer.zip(TokenId::new(1));
        let high = match (high, dearer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        between(low, high).map(|keys| self.indices().precio.range(keys)).into_iter().flatten()
    }
}
