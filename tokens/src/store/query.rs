//! The query of a list: filters, an order, and the place to begin.

use crate::collation::{fold, sort_key};
use crate::domain::Token;
use market::domain::{Monto, TokenId};
use std::fmt::Write;
use std::sync::Arc;

/// What to list, and where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Part of a name, folded.
    pub nombre: Option<String>,
    /// Only sold tokens, or only the others.
    pub vendido: Option<bool>,
    /// The lowest price.
    pub precio_min: Option<Monto>,
    /// The highest price.
    pub precio_max: Option<Monto>,
    /// The order.
    pub sort_by: SortBy,
    /// From the last to the first.
    pub descending: bool,
    /// The row before the page's first row, in the order that `orden` says.
    pub after: Option<Cursor>,
    /// The most rows.
    pub limit: usize,
}

impl ListQuery {
    /// Whether these rows, the next page's cursor and the total can be the answer: each row passes the filters, the rows are
    /// in the order, and the next page begins where this one ends.
    pub fn can_have(&self, tokens: &[Token], next: Option<&str>, total: usize) -> bool {
        let mut last = self.after.clone();
        for token in tokens {
            let lets_through = self.nombre.as_ref().is_none_or(|part| fold(&token.nombre).contains(&**part))
                && self.vendido.is_none_or(|vendido| token.is_sold() == vendido)
                && self.precio_min.is_none_or(|min| token.precio >= min)
                && self.precio_max.is_none_or(|max| token.precio <= max);
            let place = Cursor::at(self.sort_by, token);
            let follows = last.is_none_or(|last| {
                let (first, second) = if self.descending { (&place, &last) } else { (&last, &place) };
                first.key() < second.key()
            });
            if !lets_through || !follows {
                return false;
            }
            last = Some(place);
        }
        let count = tokens.len();
        let ends = match next {
            None if self.after.is_none() => total == count,
            None => total >= count,
            Some(next) => {
                total > count && count == self.limit && last.is_some_and(|last| last.encode() == next)
            }
        };
        ends && count <= self.limit
    }
}

/// By what a list is sorted; the id breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By id.
    #[default]
    Id,
    /// By price.
    Precio,
    /// By name, in the order of Spanish.
    Name,
}

/// A row's place in an order. The place stays good when the row is changed or deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the order by id.
    Id(TokenId),
    /// In the order by price.
    Precio(Monto, TokenId),
    /// In the order by name.
    Name(NamePlace, TokenId),
}

/// The place of a name in the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePlace {
    /// What a link says.
    nombre: Box<str>,
    /// What is compared.
    pub(super) key: Arc<[u8]>,
}

impl NamePlace {
    fn of(nombre: &str) -> Self {
        Self { nombre: nombre.into(), key: sort_key(nombre) }
    }

    /// As a link says it.
    pub fn nombre(&self) -> &str {
        &self.nombre
    }
}

impl Cursor {
    /// Reads `101`, `50.101` or `Gato Cósmico.101`, as the order has it.
    pub fn parse(sort_by: SortBy, s: &str) -> Option<Self> {
        let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok()).flatten();
        let id = |s: &str| TokenId::new(number(s)?);
        match sort_by {
            SortBy::Id => Some(Self::Id(id(s)?)),
            SortBy::Precio => {
                let (precio, last) = s.split_once('.')?;
                Some(Self::Precio(Monto::new(number(precio)?)?, id(last)?))
            }
            SortBy::Name => {
                let (nombre, last) = s.rsplit_once('.')?;
                Some(Self::Name(NamePlace::of(nombre), id(last)?))
            }
        }
    }

    /// What decides which of two places of one order comes first.
    fn key(&self) -> (Option<Monto>, Option<&[u8]>, TokenId) {
        match self {
            Self::Id(id) => (None, None, *id),
            Self::Precio(precio, id) => (Some(*precio), None, *id),
            Self::Name(place, id) => (None, Some(&place.key), *id),
        }
    }

    pub(super) fn at(sort_by: SortBy, token: &Token) -> Self {
        match sort_by {
            SortBy::Id => Self::Id(token.id),
            SortBy::Precio => Self::Precio(token.precio, token.id),
            SortBy::Name => Self::Name(NamePlace::of(&token.nombre), token.id),
        }
    }

    /// The text that [`Cursor::parse`] reads, percent-encoded for a link's query.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Precio(precio, id) => format!("{precio}.{id}"),
            Self::Name(place, id) => {
                let mut out = String::new();
                for byte in place.nombre.bytes() {
                    // RFC 3986, 2.3: what needs no escape anywhere
                    let written = match byte {
                        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                            out.push(byte.into());
                            Ok(())
                        }
                        _ => write!(out, "%{byte:02X}"),
                    };
                    debug_assert!(written.is_ok(), "a String takes everything");
                }
                format!("{out}.{id}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Availability;

    fn token(id: u64, nombre: &str, precio: u64, sold: bool) -> Token {
        let estado = if sold { Availability::Sold(None) } else { Availability::Free };
        let (id, precio) = (TokenId::new(id).unwrap(), Monto::new(precio).unwrap());
        Token { id, nombre: nombre.into(), imagen: "a.png".into(), precio, estado }
    }

    fn query() -> ListQuery {
        ListQuery {
            nombre: None,
            vendido: None,
            precio_min: None,
            precio_max: None,
            sort_by: SortBy::Id,
            descending: false,
            after: None,
            limit: 2,
        }
    }

    #[test]
    fn a_page_is_an_answer_only_to_its_own_query() {
        let page = [token(1, "Gato", 5, false), token(2, "Año", 3, true)];
        assert!(query().can_have(&page, None, 2));
        assert!(query().can_have(&page, Some("2"), 3));
        assert!(query().can_have(&[], None, 0));
        let descending = ListQuery { sort_by: SortBy::Precio, descending: true, ..query() };
        assert!(descending.can_have(&page, Some("3.2"), 3));
        let after = ListQuery { after: Some(Cursor::Id(TokenId::new(1).unwrap())), ..query() };
        assert!(after.can_have(&page[1..], None, 2));
        let by_name = ListQuery { nombre: Some("gat".to_owned()), ..query() };
        assert!(by_name.can_have(&page[..1], None, 1));

        for (why, query, rows, next, total) in [
            ("a row too many", ListQuery { limit: 1, ..query() }, &page[..], None, 2),
            ("a total that is not the rows'", query(), &page[..], None, 3),
            ("a next page that begins elsewhere", query(), &page[..], Some("1"), 3),
            ("a next page that is a link", query(), &page[..], Some("2&orden=precio"), 3),
            ("a next page behind a page with room", query(), &page[..1], Some("1"), 3),
            ("no next page where there is one", query(), &page[..1], None, 3),
            ("another order", ListQuery { descending: true, ..query() }, &page[..], None, 2),
            ("a row of the page before", after.clone(), &page[..], None, 2),
            ("another name", ListQuery { nombre: Some("pez".to_owned()), ..query() }, &page[..1], None, 1),
            ("a sold one", ListQuery { vendido: Some(false), ..query() }, &page[..], None, 2),
            ("too cheap", ListQuery { precio_min: Monto::new(4), ..query() }, &page[..], None, 2),
            ("too dear", ListQuery { precio_max: Monto::new(4), ..query() }, &page[..], None, 2),
        ] {
            assert!(!query.can_have(rows, next, total), "{why}");
        }
    }
}
