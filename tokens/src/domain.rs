//! Tokens: what is shown of a token, and what purchases have made of it.

use crate::error::Error;
use chrono::{DateTime, Utc};
use market::contract::{HeldToken, Hold, ReservaRequest};
use market::domain::{Intento, Monto, TokenId, UsuarioId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// The most characters of a name.
pub const MAX_NAME: usize = 100;

/// The most characters of a picture's file name: what file systems take.
pub const MAX_PICTURE_NAME: usize = 255;

/// A digital collectible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Given in order, never used again.
    pub id: TokenId,
    /// 1 to 100 characters.
    pub nombre: Box<str>,
    /// The picture's file name, see [`is_picture_name`].
    pub imagen: Box<str>,
    /// What the token costs: fixed while the token is held, and once it is sold.
    pub precio: Monto,
    /// Whether the token can be bought.
    pub estado: Availability,
}

/// Whether a token can be bought. The boxes keep free tokens small: of a million tokens most are free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Anybody may buy it.
    Free,
    /// Held until its attempt is confirmed or cancelled.
    Reserved(Box<Reserva>),
    /// Sold, for ever. There is no [`Venta`] of a token that was sold outside of this market, before it came into the file.
    Sold(Option<Box<Venta>>),
}

/// A token held for one attempt at a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reserva {
    /// Which attempt.
    pub intento: Intento,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// Since when, by this service's clock.
    pub desde: DateTime<Utc>,
}

/// A token sold by a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Venta {
    /// Which attempt was committed.
    pub intento: Intento,
    /// Who bought.
    pub usuario_id: UsuarioId,
    /// When this service learned of the sale.
    pub fecha: DateTime<Utc>,
}

impl Token {
    /// Whether the token is sold.
    pub fn is_sold(&self) -> bool {
        matches!(self.estado, Availability::Sold(_))
    }

    /// The attempt that holds or bought the token, and the user who buys.
    pub fn intento(&self) -> Option<(&Intento, UsuarioId)> {
        match &self.estado {
            Availability::Reserved(r) => Some((&r.intento, r.usuario_id)),
            Availability::Sold(Some(v)) => Some((&v.intento, v.usuario_id)),
            Availability::Free | Availability::Sold(None) => None,
        }
    }

    /// The hold of the attempt that holds or bought the token, where there is one.
    pub fn as_hold(&self) -> Option<Hold> {
        let (intento, usuario_id, desde) = match &self.estado {
            Availability::Reserved(r) => (&r.intento, r.usuario_id, r.desde),
            Availability::Sold(Some(v)) => (&v.intento, v.usuario_id, v.fecha),
            Availability::Free | Availability::Sold(None) => return None,
        };
        let (intento, monto) = (intento.clone(), self.precio);
        Some(Hold { intento, usuario_id, token_id: Some(self.id), monto, desde })
    }

    /// The token, where anybody may buy, change or delete it.
    pub fn free(&self) -> Result<&Self, Error> {
        match self.estado {
            Availability::Free => Ok(self),
            Availability::Reserved(_) => Err(Error::TokenReserved(self.id)),
            Availability::Sold(_) => Err(Error::TokenSold(self.id)),
        }
    }

    /// Whether a call under this token's attempt asks for what the attempt has: then what the call is answered.
    pub fn answers(&self, intento: &Intento, request: ReservaRequest) -> Result<HeldToken, Error> {
        let owner = self.intento().map(|(_, usuario)| (self.id, usuario));
        if owner == Some((request.token_id, request.usuario_id)) {
            Ok(HeldToken { precio: self.precio })
        } else {
            Err(Error::ClaveReused(intento.clone()))
        }
    }
}

/// Whether a text can be a token's name.
pub fn is_name(s: &str) -> bool {
    !s.trim().is_empty() && s.chars().count() <= MAX_NAME && !s.chars().any(char::is_control)
}

/// Whether a text can be a picture's file name: 1 to 255 characters, neither `/` nor control characters.
pub fn is_picture_name(s: &str) -> bool {
    let legal = |c: char| c != '/' && !c.is_control();
    !s.is_empty() && s.chars().count() <= MAX_PICTURE_NAME && s.chars().all(legal)
}

/// A token as it is on disk: the public fields first, for the person who reads the file.
#[derive(Serialize, Deserialize)]
#[serde(rename = "token", deny_unknown_fields)]
struct TokenRecord<'a> {
    id: TokenId,
    nombre: Cow<'a, str>,
    imagen: Cow<'a, str>,
    precio: Monto,
    vendido: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserva: Option<Cow<'a, Reserva>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    venta: Option<Cow<'a, Venta>>,
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (reserva, venta) = match &self.estado {
            Availability::Free | Availability::Sold(None) => (None, None),
            Availability::Reserved(r) => (Some(Cow::Borrowed(r.as_ref())), None),
            Availability::Sold(Some(v)) => (None, Some(Cow::Borrowed(v.as_ref()))),
        };
        let record = TokenRecord {
            id: self.id,
            nombre: Cow::Borrowed(&self.nombre),
            imagen: Cow::Borrowed(&self.imagen),
            precio: self.precio,
            vendido: self.is_sold(),
            reserva,
            venta,
        };
        record.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        TokenRecord::deserialize(d)?.token().map_err(de::Error::custom)
    }
}

impl TokenRecord<'_> {
    fn token(self) -> Result<Token, String> {
        let id = self.id;
        if !is_name(&self.nombre) {
            return Err(format!(
                "token {id}: nombre must have 1 to {MAX_NAME} characters, not all blank and none of them a \
                 control character"
            ));
        }
        if !is_picture_name(&self.imagen) {
            return Err(format!(
                "token {id}: imagen must be a file name of 1 to {MAX_PICTURE_NAME} characters, without / and control \
                 characters"
            ));
        }
        let estado = match (self.vendido, self.reserva, self.venta) {
            (_, Some(_), Some(_)) => return Err(format!("token {id} has a reserva and a venta")),
            (true, Some(_), None) => return Err(format!("token {id} has a reserva and is vendido")),
            (false, None, Some(_)) => return Err(format!("token {id} has a venta and is not vendido")),
            (false, None, None) => Availability::Free,
            (false, Some(r), None) => Availability::Reserved(Box::new(r.into_owned())),
            (true, None, v) => Availability::Sold(v.map(|v| Box::new(v.into_owned()))),
        };
        let (nombre, imagen) = (self.nombre.into_owned().into(), self.imagen.into_owned().into());
        Ok(Token { id, nombre, imagen, precio: self.precio, estado })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_contradictions_are_refused() {
        let libre = r#"{"id":1,"nombre":"a","imagen":"a.jpg","precio":5,"vendido":false"#;
        let vendido = libre.replace("false", "true");
        let reserva = r#""reserva":{"intento":"a#1","usuarioId":7,"desde":"2025-09-10T17:00:00Z"}"#;
        let venta = r#""venta":{"intento":"a#1","usuarioId":7,"fecha":"2025-09-10T17:00:00Z"}"#;
        for legal in [
            format!("{libre}}}"),
            format!("{vendido}}}"),
            format!("{libre},{reserva}}}"),
            format!("{vendido},{venta}}}"),
        ] {
            let token: Token = serde_json::from_str(&legal).unwrap();
            assert_eq!(serde_json::to_string(&token).unwrap(), legal);
        }
        for (wrong, why) in [
            (format!("{libre},{venta}}}"), "is not vendido"),
            (format!("{vendido},{reserva}}}"), "is vendido"),
            (format!("{vendido},{reserva},{venta}}}"), "a reserva and a venta"),
            (format!("{libre},\"color\":1}}"), "unknown field `color`"),
            (libre.replace(":5", ":-5") + "}", "invalid value"),
            (libre.replace("\"a\"", "\"\"") + "}", "nombre must"),
            (libre.replace("a.jpg", "../a.jpg") + "}", "imagen must"),
            (libre.replace("\"imagen\":\"a.jpg\",", "") + "}", "missing field `imagen`"),
        ] {
            let error = serde_json::from_str::<Token>(&wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
