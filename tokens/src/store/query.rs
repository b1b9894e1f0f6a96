//! The query of a list: filters, an order, and the place to begin.

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

/// The order of a list. Ids break ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// By id.
    #[default]
    Id,
    /// By price.
    Precio,
    /// By folded name.
    Name,
}

/// A row's place in an order. The place stays good when the row is changed or deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In the order by id.
    Id(TokenId),
    /// In the order by price.
    Precio(Monto, TokenId),
    /// In the order by folded name.
    Name(Arc<str>, TokenId),
}

impl Cursor {
    /// Reads `101`, `50.101` or `gato cosmico.101`, as the order has it.
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
                Some(Self::Name(nombre.into(), id(last)?))
            }
        }
    }

    pub(super) fn at(sort_by: SortBy, token: &Token, folded: &Arc<str>) -> Self {
        match sort_by {
            SortBy::Id => Self::Id(token.id),
            SortBy::Precio => Self::Precio(token.precio, token.id),
            SortBy::Name => Self::Name(Arc::clone(folded), token.id),
        }
    }

    /// The text that [`Cursor::parse`] reads, percent-encoded for a link's query.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Precio(precio, id) => format!("{precio}.{id}"),
            Self::Name(nombre, id) => {
                let mut out = String::new();
                for byte in nombre.bytes() {
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
