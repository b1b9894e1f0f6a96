//! What a list is asked for: filters, an order, and the place to begin.

use crate::domain::Token;
use market::domain::{Monto, TokenId};
use std::fmt::Write;
use std::sync::Arc;

/// What to list, and where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consulta {
    /// Part of a name, folded.
    pub nombre: Option<String>,
    /// Only sold ones, or only others.
    pub vendido: Option<bool>,
    /// The lowest price.
    pub precio_min: Option<Monto>,
    /// The highest price.
    pub precio_max: Option<Monto>,
    /// By what.
    pub orden: Orden,
    /// From the last to the first.
    pub descendente: bool,
    /// The row before the page's first; of the kind that `orden` says.
    pub despues: Option<Cursor>,
    /// The most rows.
    pub limite: usize,
}

/// By what a list is sorted; the id breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orden {
    /// By id.
    #[default]
    Id,
    /// By price.
    Precio,
    /// By folded name.
    Nombre,
}

/// A row's place in an order. It stays good when the row is changed or deleted meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In that by id.
    Id(TokenId),
    /// In that by price.
    Precio(Monto, TokenId),
    /// In that by folded name.
    Nombre(Arc<str>, TokenId),
}

impl Cursor {
    /// Reads `101`, `50.101` or `gato cosmico.101`, as the order has it.
    pub fn parse(orden: Orden, s: &str) -> Option<Self> {
        let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok()).flatten();
        let id = |s: &str| TokenId::new(number(s)?);
        match orden {
            Orden::Id => Some(Self::Id(id(s)?)),
            Orden::Precio => {
                let (precio, last) = s.split_once('.')?;
                Some(Self::Precio(Monto::new(number(precio)?)?, id(last)?))
            }
            Orden::Nombre => {
                let (nombre, last) = s.rsplit_once('.')?;
                Some(Self::Nombre(nombre.into(), id(last)?))
            }
        }
    }

    pub(super) fn at(orden: Orden, token: &Token, plegado: &Arc<str>) -> Self {
        match orden {
            Orden::Id => Self::Id(token.id),
            Orden::Precio => Self::Precio(token.precio, token.id),
            Orden::Nombre => Self::Nombre(Arc::clone(plegado), token.id),
        }
    }

    /// As [`Cursor::parse`] reads it, percent-encoded for a link's query.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Precio(precio, id) => format!("{precio}.{id}"),
            Self::Nombre(nombre, id) => {
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
