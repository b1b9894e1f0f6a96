//! What `transacciones` and the two participants say to each other (internal port, `/interno/…`).
//!
//! | call | body | answers |
//! | --- | --- | --- |
//! | tokens `PUT /interno/reservas/{intento}` | [`ReservaRequest`] | [`HeldToken`] (201 new, 200 known), or a [`Refusal`] |
//! | tokens `PUT /interno/reservas/{intento}/venta` | | 204 |
//! | tokens `DELETE /interno/reservas/{intento}` | | 204 |
//! | usuarios `PUT /interno/cargos/{intento}` | [`CargoRequest`] | `null` (201 new, 200 known), or a [`Refusal`] |
//! | usuarios `PUT /interno/cargos/{intento}/confirmacion` | | 204 |
//! | usuarios `DELETE /interno/cargos/{intento}` | | 204 |
//! | both `GET /interno/{reservas,cargos}?pendientes=true&antes=MS` | | [`Hold`]s, pending ones, oldest first; `&desde=MS&despues=INTENTO` of the last one gives the next page |
//! | both `GET /interno/{reservas,cargos}?pendientes=false` | | [`Hold`]s, settled ones, in an order that stays; `&despues=INTENTO` of the last one gives the next page |
//! | both `GET /interno/resumen` | | [`Digest`] |
//! | both `GET /interno/nombres?ids=1,2` | | [`Named`], of at most [`NAMES`] ids |
//!
//! `antes` is an age in milliseconds by the participant's own clock: the services' clocks need not agree. The law that these
//! calls keep stands at the trait `HoldStore`.

use crate::codes::MarketCode;
use crate::domain::{Intento, Monto, RunningDigest, TokenId, UsuarioId};
use chrono::{DateTime, Utc};
use http_kit::client;
use http_kit::problem::{Code, General};
use serde::{Deserialize, Serialize};

/// What a participant said: yes with a value, or no with a reason.
pub type Answer<T> = client::Answer<T, Refusal>;

/// The most rows of an internal page.
pub const PAGE: usize = 1000;

/// The most names that are asked for at once.
pub const NAMES: usize = 100;

/// The body of a call that holds a token for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReservaRequest {
    /// Which token.
    pub token_id: TokenId,
    /// Who buys.
    pub usuario_id: UsuarioId,
}

/// What the buyer's side learns of a token that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldToken {
    /// The token's price: it cannot change while the token is held.
    pub precio: Monto,
}

/// The body of a call that holds money for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CargoRequest {
    /// Whose money.
    pub usuario_id: UsuarioId,
    /// How many credits.
    pub monto: Monto,
    /// In whose session, where people log in: a session that has ended charges nothing.
    #[serde(default, rename = "sesion", skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRef>,
}

/// A session, as `usuarios` looks it up before it charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionRef {
    /// The account.
    #[serde(rename = "cuenta")]
    pub account: u64,
    /// The account's version: a newer one has ended all earlier sessions.
    pub version: u64,
    /// Which session.
    #[serde(with = "crate::domain::hex")]
    pub sid: u128,
    /// The API key with which it was begun.
    #[serde(default, rename = "claveApi", skip_serializing_if = "Option::is_none")]
    pub api_key: Option<u32>,
}

/// A hold of a participant, pending or settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Of which attempt.
    pub intento: Intento,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// Which token; `usuarios` does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// For how many credits.
    pub monto: Monto,
    /// When the hold was made (of a sale: when it was settled), by the participant's clock.
    pub desde: DateTime<Utc>,
}

/// A participant's side of the audit, all of it of one moment. Its cost is that of what is in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The settled holds.
    pub confirmados: RunningDigest,
    /// How many holds are neither confirmed nor cancelled.
    pub pendientes: u64,
    /// Users whose balance is not the sum of their movements (`usuarios` only).
    #[serde(default)]
    pub descuadrados: u64,
    /// The holds that [`Self::confirmados`] does not count: all that are pending, and such as are settled and not counted
    /// yet. At most [`PAGE`] of them, and then there may be more.
    #[serde(default, rename = "enVuelo", skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<Hold>,
    /// The age of the oldest pending hold in milliseconds, by the participant's clock.
    #[serde(default, rename = "masAntiguo", skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
}

impl Digest {
    /// The digest with the age that its oldest hold has at a moment.
    #[must_use]
    pub fn aged(mut self, now: DateTime<Utc>) -> Self {
        let oldest = self.in_flight.iter().map(|hold| hold.desde).min().filter(|_| self.pendientes > 0);
        // a hold from the future was made before its clock was set back
        self.oldest = oldest.map(|desde| u64::try_from((now - desde).num_milliseconds()).unwrap_or(0));
        self
    }
}

/// What people call a user or a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Which.
    pub id: u64,
    /// Its name.
    pub nombre: String,
}

/// Why a participant said no. The names are those of [`MarketCode`], and one of [`General`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "codigo", rename_all = "kebab-case")]
pub enum Refusal {
    /// No such token.
    #[serde(rename = "token-no-encontrado")]
    TokenNotFound,
    /// Held for another attempt, or sold.
    #[serde(rename = "token-no-disponible")]
    TokenNotAvailable,
    /// No such user.
    #[serde(rename = "usuario-no-encontrado")]
    UsuarioNotFound,
    /// The balance is below the amount.
    #[serde(rename = "saldo-insuficiente")]
    SaldoTooLow,
    /// The attempt is known with another body.
    #[serde(rename = "clave-reutilizada")]
    ClaveReused,
    /// Nothing is held under this attempt.
    #[serde(rename = "intento-no-encontrado")]
    IntentoNotFound,
    /// A confirmed hold cannot be cancelled.
    #[serde(rename = "intento-confirmado")]
    IntentoConfirmed,
    /// The participant has no room for a hold.
    #[serde(rename = "almacen-lleno")]
    StoreFull,
    /// The session in which it was asked for has ended, or its account was revoked.
    #[serde(rename = "sesion-terminada")]
    SessionEnded,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code().name)
    }
}

impl Refusal {
    /// The code under which the refusal travels.
    pub const fn code(self) -> Code {
        let market = match self {
            Self::StoreFull => return General::StoreFull.code(),
            Self::TokenNotFound => MarketCode::TokenNotFound,
            Self::TokenNotAvailable => MarketCode::TokenNotAvailable,
            Self::UsuarioNotFound => MarketCode::UsuarioNotFound,
            Self::SaldoTooLow => MarketCode::SaldoTooLow,
            Self::ClaveReused => MarketCode::ClaveReused,
            Self::IntentoNotFound => MarketCode::IntentoNotFound,
            Self::IntentoConfirmed => MarketCode::IntentoConfirmed,
            Self::SessionEnded => MarketCode::SessionEnded,
        };
        market.code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_back_from_its_problem() {
        use Refusal as R;
        for refusal in [
            R::TokenNotFound,
            R::TokenNotAvailable,
            R::UsuarioNotFound,
            R::SaldoTooLow,
            R::ClaveReused,
            R::IntentoNotFound,
            R::IntentoConfirmed,
            R::StoreFull,
            R::SessionEnded,
        ] {
            let document = format!(r#"{{"status":409,"codigo":"{}","detail":"x"}}"#, refusal.code().name);
            assert_eq!(serde_json::from_str::<R>(&document).unwrap(), refusal);
        }
    }
}
