//! What `transacciones` and the two participants say to each other (internal port, `/interno/…`).
//!
//! | call | body | answers |
//! | --- | --- | --- |
//! | tokens `PUT /interno/reservas/{intento}` | [`PedidoReserva`] | [`Reservado`] (201 new, 200 known), or a [`Refusal`] |
//! | tokens `PUT /interno/reservas/{intento}/venta` | | 204 |
//! | tokens `DELETE /interno/reservas/{intento}` | | 204 |
//! | usuarios `PUT /interno/cargos/{intento}` | [`PedidoCargo`] | `null` (201 new, 200 known), or a [`Refusal`] |
//! | usuarios `PUT /interno/cargos/{intento}/confirmacion` | | 204 |
//! | usuarios `DELETE /interno/cargos/{intento}` | | 204 |
//! | both `GET /interno/{reservas,cargos}?pendientes=true&antes=MS` | | [`Try`]s, oldest first; `&desde=MS&despues=INTENTO` of the last one leads on |
//! | both `GET /interno/{reservas,cargos}?pendientes=false&despues=INTENTO` | | settled [`Try`]s behind one, in an order that stays |
//! | both `GET /interno/resumen` | | [`Digest`] |
//!
//! `antes` is an age in milliseconds by the participant's own clock: the services' clocks need not agree.

use crate::domain::{Intento, Monto, Resumen, TokenId, UsuarioId};
use chrono::{DateTime, Utc};
use http_kit::client;
use serde::{Deserialize, Serialize};

/// What a participant said: yes with a body, or no with a reason.
pub type Answer<T> = client::Answer<T, Refusal>;

/// Rows of an internal page.
pub const PAGE: usize = 1000;

/// Hold a token for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PedidoReserva {
    /// Which.
    pub token_id: TokenId,
    /// For whom.
    pub usuario_id: UsuarioId,
}

/// The token is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservado {
    /// What it costs: it cannot change while it is held.
    pub precio: Monto,
}

/// Hold money for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PedidoCargo {
    /// Whose.
    pub usuario_id: UsuarioId,
    /// How much.
    pub monto: Monto,
}

/// A try at a participant, pending or settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// Of which attempt.
    pub intento: Intento,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// What; `usuarios` does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// For how much.
    pub monto: Monto,
    /// When it was made, by the participant's clock.
    pub desde: DateTime<Utc>,
}

/// A participant's side of the audit, in O(1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The settled tries.
    pub confirmados: Resumen,
    /// Tries neither confirmed nor cancelled.
    pub pendientes: u64,
    /// Users whose balance is not the sum of their movements (`usuarios` only).
    #[serde(default)]
    pub descuadrados: u64,
}

/// Why a participant said no. The names are those of [`crate::codes::Codigo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "codigo", rename_all = "kebab-case")]
pub enum Refusal {
    /// No such token.
    TokenNoEncontrado,
    /// Held for another attempt, or sold.
    TokenNoDisponible,
    /// No such user.
    UsuarioNoEncontrado,
    /// The balance is below the amount.
    SaldoInsuficiente,
    /// The attempt is known with another body.
    ClaveReutilizada,
    /// Nothing is held under this attempt.
    IntentoNoEncontrado,
    /// A confirmed try cannot be cancelled.
    IntentoConfirmado,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.codigo().code().name)
    }
}

impl Refusal {
    /// The code that it travels under.
    pub const fn codigo(self) -> crate::codes::Codigo {
        use crate::codes::Codigo;
        match self {
            Self::TokenNoEncontrado => Codigo::TokenNoEncontrado,
            Self::TokenNoDisponible => Codigo::TokenNoDisponible,
            Self::UsuarioNoEncontrado => Codigo::UsuarioNoEncontrado,
            Self::SaldoInsuficiente => Codigo::SaldoInsuficiente,
            Self::ClaveReutilizada => Codigo::ClaveReutilizada,
            Self::IntentoNoEncontrado => Codigo::IntentoNoEncontrado,
            Self::IntentoConfirmado => Codigo::IntentoConfirmado,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_back_from_its_problem() {
        use Refusal as R;
        for refusal in [
            R::TokenNoEncontrado,
            R::TokenNoDisponible,
            R::UsuarioNoEncontrado,
            R::SaldoInsuficiente,
            R::ClaveReutilizada,
            R::IntentoNoEncontrado,
            R::IntentoConfirmado,
        ] {
            let document =
                format!(r#"{{"status":409,"codigo":"{}","detail":"x"}}"#, refusal.codigo().code().name);
            assert_eq!(serde_json::from_str::<R>(&document).unwrap(), refusal);
        }
    }
}
