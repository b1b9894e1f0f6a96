//! The domain's values as they come in requests. Each parser says what it would take.

use crate::contract::SessionRef;
use crate::domain::{Clave, Intento, MAX_INTEGER, Monto, TokenId, TransaccionId, UsuarioId};
use crate::openapi::schema;
use http_kit::openapi::schema::Id;
use http_kit::problem::Text;
use http_kit::request::Field;
use http_kit::validate::{Parsed, Raw, integer};
use serde::Deserialize;
use serde_json::Value;

/// An id of a user.
pub fn usuario_id(raw: &Raw) -> Parsed<UsuarioId> {
    id(raw, UsuarioId::new)
}

/// An id of a token.
pub fn token_id(raw: &Raw) -> Parsed<TokenId> {
    id(raw, TokenId::new)
}

/// An id of a purchase.
pub fn transaccion_id(raw: &Raw) -> Parsed<TransaccionId> {
    id(raw, TransaccionId::new)
}

fn id<T>(raw: &Raw, new: fn(u64) -> Option<T>) -> Parsed<T> {
    let n = integer(1..=MAX_INTEGER)(raw)?;
    new(n).ok_or_else(|| Text::new("no es un id", "is not an id"))
}

/// `clave#number`, in a path percent-encoded.
pub fn intento(raw: &Raw) -> Parsed<Intento> {
    let parsed = match raw {
        Raw::Json(Value::String(s)) | Raw::Plain(s) => s.parse().ok(),
        Raw::Json(_) => None,
    };
    parsed.ok_or_else(|| Text::new("debe ser clave#número", "must be clave#number"))
}

/// A session, as a charge names it.
pub fn session(raw: &Raw) -> Parsed<SessionRef> {
    let parsed = match raw {
        Raw::Json(value) => SessionRef::deserialize(value).ok(),
        Raw::Plain(_) => None,
    };
    parsed.ok_or_else(|| Text::new("debe nombrar una sesión", "must name a session"))
}

/// A sum of money, zero included.
pub fn monto(raw: &Raw) -> Parsed<Monto> {
    integer(0..=MAX_INTEGER)(raw).map(|n| Monto::new(n).unwrap_or(Monto::MAX))
}

/// No `Idempotency-Key`, where it would not count: who sends one believes that a repetition does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoClave;

impl Field for NoClave {
    type Schema = bool;
    const INLINE: bool = true;

    fn read(_: &Raw) -> Parsed<Self> {
        Err(Text::new(
            "aquí no cuenta, y repetir la petición crearía otro: quítela",
            "does not count here, and a repetition would create another one: leave it out",
        ))
    }

    fn absent() -> Option<Self> {
        Some(Self)
    }
}

macro_rules! fields {
    ($($kind:ty, $schema:ty, $read:expr;)*) => { $(
        impl Field for $kind {
            type Schema = $schema;

            fn read(raw: &Raw) -> Parsed<Self> {
                $read(raw)
            }
        }
    )* };
}

fields! {
    UsuarioId, Id, usuario_id;
    TokenId, schema::TokenId, token_id;
    TransaccionId, Id, transaccion_id;
    Monto, schema::Credits, monto;
    PositiveMonto, schema::PositiveCredits, PositiveMonto::of;
    Clave, schema::Clave, clave;
}

/// A sum of money above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositiveMonto(Monto);

impl PositiveMonto {
    /// The sum.
    pub fn monto(self) -> Monto {
        self.0
    }

    fn of(raw: &Raw) -> Parsed<Self> {
        integer(1..=MAX_INTEGER)(raw).map(|n| Self(Monto::new(n).unwrap_or(Monto::MAX)))
    }
}

/// The value of `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header; its quotes may be left out).
fn clave(raw: &Raw) -> Parsed<Clave> {
    let parsed = match raw {
        Raw::Plain(text) => {
            let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
            bare.parse().ok()
        }
        Raw::Json(_) => None,
    };
    parsed.ok_or_else(|| {
        Text::new(
            "debe tener de 1 a 255 caracteres ASCII visibles, y no ser # con un número",
            "must have 1 to 255 visible ASCII characters, and not be # with a number",
        )
    })
}
