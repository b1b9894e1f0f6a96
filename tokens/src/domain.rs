//! Tokens: what is shown of one, and what a purchase has made of it.

use crate::error::Error;
use chrono::{DateTime, Utc};
use market::contract::{PedidoReserva, Reservado, Try};
use market::domain::{Intento, Monto, TokenId, UsuarioId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The most characters of a name.
pub const MAX_NOMBRE: usize = 100;

/// The most characters of a picture's file name: what file systems take.
pub const MAX_IMAGEN: usize = 255;

/// A digital collectible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Given in order, never used again.
    pub id: TokenId,
    /// 1 to 100 characters.
    pub nombre: Box<str>,
    /// The picture's file name, see [`es_imagen`].
    pub imagen: Box<str>,
    /// What it costs; fixed while it is held, and once it is sold.
    pub precio: Monto,
    /// Whether it can be bought.
    pub estado: Estado,
}

/// Whether a token can be bought. The boxes keep free tokens small: most of a million are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estado {
    /// Anybody may buy it.
    Libre,
    /// Held until its attempt is confirmed or cancelled.
    Reservado(Box<Reserva>),
    /// Sold, for ever. Without a [`Venta`]: outside of this market, before it was put into the file.
    Vendido(Option<Box<Venta>>),
}

/// A token held for one attempt at a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reserva {
    /// Which attempt.
    pub intento: Intento,
    /// For whom.
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
    /// When this service learned of it.
    pub fecha: DateTime<Utc>,
}

impl Token {
    /// Whether it is sold.
    pub fn vendido(&self) -> bool {
        matches!(self.estado, Estado::Vendido(_))
    }

    /// The attempt that holds or bought it, and for whom.
    pub fn intento(&self) -> Option<(&Intento, UsuarioId)> {
        match &self.estado {
            Estado::Reservado(r) => Some((&r.intento, r.usuario_id)),
            Estado::Vendido(Some(v)) => Some((&v.intento, v.usuario_id)),
            Estado::Libre | Estado::Vendido(None) => None,
        }
    }

    /// What the attempt that holds or bought it tried, where there is one.
    pub fn as_try(&self) -> Option<Try> {
        let (intento, usuario_id, desde) = match &self.estado {
            Estado::Reservado(r) => (&r.intento, r.usuario_id, r.desde),
            Estado::Vendido(Some(v)) => (&v.intento, v.usuario_id, v.fecha),
            Estado::Libre | Estado::Vendido(None) => return None,
        };
        let (intento, monto) = (intento.clone(), self.precio);
        Some(Try { intento, usuario_id, token_id: Some(self.id), monto, desde })
    }

    /// The token, where anybody may buy, change or delete it.
    pub fn libre(&self) -> Result<&Self, Error> {
        match self.estado {
            Estado::Libre => Ok(self),
            Estado::Reservado(_) => Err(Error::TokenReservado(self.id)),
            Estado::Vendido(_) => Err(Error::TokenVendido(self.id)),
        }
    }

    /// Whether a call under this token's attempt asks for what the attempt has.
    pub fn responde_a(&self, intento: &Intento, pedido: PedidoReserva) -> Result<Reservado, Error> {
        let de = self.intento().map(|(_, usuario)| (self.id, usuario));
        if de == Some((pedido.token_id, pedido.usuario_id)) {
            Ok(Reservado { precio: self.precio })
        } else {
            Err(Error::ClaveReutilizada(intento.clone()))
        }
    }
}

/// Whether a text can be a token's name.
pub fn es_nombre(s: &str) -> bool {
    !s.trim().is_empty() && s.chars().count() <= MAX_NOMBRE && !s.chars().any(char::is_control)
}

/// Whether a text can be a picture's file name: 1 to 255 characters, neither `/` nor control characters.
pub fn es_imagen(s: &str) -> bool {
    let legal = |c: char| c != '/' && !c.is_control();
    !s.is_empty() && s.chars().count() <= MAX_IMAGEN && s.chars().all(legal)
}

/// A name as it is searched and sorted: without case and accents.
pub fn plegar(nombre: &str) -> String {
    if nombre.is_ascii() {
        return nombre.to_ascii_lowercase();
    }
    // by characters and not as a text: a final sigma must also be found in the middle of a name
    nombre.chars().flat_map(char::to_lowercase).nfd().filter(|c| !is_combining_mark(*c)).collect()
}

/// A token as it is on disk: the public fields first, for the person who reads the file.
#[derive(Serialize, Deserialize)]
#[serde(rename = "token", deny_unknown_fields)]
struct Registro<'a> {
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
            Estado::Libre | Estado::Vendido(None) => (None, None),
            Estado::Reservado(r) => (Some(Cow::Borrowed(r.as_ref())), None),
            Estado::Vendido(Some(v)) => (None, Some(Cow::Borrowed(v.as_ref()))),
        };
        let registro = Registro {
            id: self.id,
            nombre: Cow::Borrowed(&self.nombre),
            imagen: Cow::Borrowed(&self.imagen),
            precio: self.precio,
            vendido: self.vendido(),
            reserva,
            venta,
        };
        registro.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Registro::deserialize(d)?.token().map_err(de::Error::custom)
    }
}

impl Registro<'_> {
    fn token(self) -> Result<Token, String> {
        let id = self.id;
        if !es_nombre(&self.nombre) {
            return Err(format!(
                "token {id}: nombre must have 1 to {MAX_NOMBRE} characters, not all blank and none of them a \
                 control character"
            ));
        }
        if !es_imagen(&self.imagen) {
            return Err(format!(
                "token {id}: imagen must be a file name of 1 to {MAX_IMAGEN} characters, without / and control \
                 characters"
            ));
        }
        let estado = match (self.vendido, self.reserva, self.venta) {
            (_, Some(_), Some(_)) => return Err(format!("token {id} has a reserva and a venta")),
            (true, Some(_), None) => return Err(format!("token {id} has a reserva and is vendido")),
            (false, None, Some(_)) => return Err(format!("token {id} has a venta and is not vendido")),
            (false, None, None) => Estado::Libre,
            (false, Some(r), None) => Estado::Reservado(Box::new(r.into_owned())),
            (true, None, v) => Estado::Vendido(v.map(|v| Box::new(v.into_owned()))),
        };
        let (nombre, imagen) = (self.nombre.into_owned().into(), self.imagen.into_owned().into());
        Ok(Token { id, nombre, imagen, precio: self.precio, estado })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_whatever_their_case_accents_and_composition() {
        for (nombre, plegado) in [
            ("Gato Cósmico", "gato cosmico"),
            ("GATO CO\u{301}SMICO", "gato cosmico"),
            ("ÑANDÚ", "nandu"),
            ("İstanbul", "istanbul"),
            ("ΟΔΟΣ", "οδοσ"),
            ("猫 №5", "猫 №5"),
        ] {
            assert_eq!(plegar(nombre), plegado);
            assert_eq!(plegar(&plegar(nombre)), plegado);
        }
    }

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
