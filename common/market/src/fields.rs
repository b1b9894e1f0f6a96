//! The domain's values as they come in requests. Each parser says what would do.

use crate::domain::{Clave, Intento, MAX_ENTERO, Monto, TokenId, TransaccionId, UsuarioId};
use actix_web::HttpRequest;
use http_kit::problem::Text;
use http_kit::validate::{Fields, Parsed, Raw, integer};
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
    let n = integer(1..=MAX_ENTERO)(raw)?;
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

/// A sum of money, zero included.
pub fn monto(raw: &Raw) -> Parsed<Monto> {
    integer(0..=MAX_ENTERO)(raw).map(|n| Monto::new(n).unwrap_or(Monto::MAX))
}

/// A sum of money above zero.
pub fn monto_positivo(raw: &Raw) -> Parsed<Monto> {
    integer(1..=MAX_ENTERO)(raw).map(|n| Monto::new(n).unwrap_or(Monto::MAX))
}

/// Reads the `Idempotency-Key` header, where there is one (draft-ietf-httpapi-idempotency-key-header; its quotes may
/// be left out).
pub fn idempotency_key(f: &mut Fields, req: &HttpRequest) -> Option<Option<Clave>> {
    const NAME: &str = "Idempotency-Key";
    let headers = req.headers();
    let Some(value) = headers.get(NAME) else { return Some(None) };
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    match bare.parse() {
        Ok(clave) if headers.get_all(NAME).count() == 1 => Some(Some(clave)),
        _ => {
            let detalle = Text::new(
                "debe venir una vez, con 1 a 128 caracteres de A-Z a-z 0-9 . _ : ~ + = @ -",
                "must come once, with 1 to 128 characters of A-Z a-z 0-9 . _ : ~ + = @ -",
            );
            f.wrong(NAME, detalle);
            None
        }
    }
}
