//! Where errors meet HTTP.

use crate::audit::Unaudited;
use crate::domain::Compra;
use crate::error::Error;
use crate::purchase::Reason;
use http_kit::problem::{General, Problem, Text};
use http_kit::text;
use journal::StoreError;
use market::codes::MarketCode;
use market::contract::Refusal;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TransaccionNotFound(id) => Self::new(
                MarketCode::TransaccionNotFound,
                text!("No hay transacción {id}.", "There is no transaction {id}."),
            ),
            Error::Refused { compra, reason } => refused(&compra, reason),
            Error::ClaveReused(clave) => Self::new(
                MarketCode::ClaveReused,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::NoAnswer => no_answer(),
            Error::GivenUp => Self::new(
                General::ServiceUnavailable,
                Text::new(
                    "La compra no se hizo: otra petición con la misma clave la dio por perdida, o tardó demasiado; repítala \
                     con la misma clave.",
                    "The purchase was not made: another request with the same key gave it up, or it took too long; repeat \
                     it with the same key.",
                ),
            ),
            // logged where it happened
            Error::NoStore => Self::new(
                General::StoreUnavailable,
                Text::new(
                    "No se sabe si la compra quedó hecha; repítala con la misma clave.",
                    "Whether the purchase was made is not known; repeat it with the same key.",
                ),
            ),
            // the same will fail again: nobody is told to try
            Error::Store(cause @ StoreError::Rejected { .. }) => Self::internal(cause),
            Error::Store(cause) => Self::store(cause),
            Error::Unaudited(Unaudited::Participant(cause)) => {
                log::warn!("audit: {cause}");
                no_answer()
            }
            Error::Unaudited(Unaudited::Store(cause)) => Self::store(cause),
            Error::Unaudited(cause @ Unaudited::Refused(_)) => Self::internal(cause),
            Error::Bug(cause) => Self::internal(cause),
        }
    }
}

fn no_answer() -> Problem {
    Problem::new(
        General::ServiceUnavailable,
        Text::new(
            "Otro servicio no respondió a tiempo; repita la petición, una compra con la misma clave.",
            "Another service did not answer in time; repeat the request, a purchase with the same key.",
        ),
    )
}

fn refused(compra: &Compra, reason: Reason) -> Problem {
    let (usuario, token) = (compra.usuario_id, compra.token_id);
    let (codigo, detail) = match reason {
        Reason::PrecioChanged(precio) => (
            MarketCode::PrecioChanged,
            text!("El token {token} cuesta ahora {precio}.", "Token {token} costs {precio} now."),
        ),
        Reason::Refused(refusal) => {
            let detail = match refusal {
                Refusal::TokenNotFound => text!("No hay token {token}.", "There is no token {token}."),
                Refusal::TokenNotAvailable => {
                    text!("El token {token} está reservado o vendido.", "Token {token} is reserved or sold.")
                }
                Refusal::UsuarioNotFound => {
                    text!("No hay usuario {usuario}.", "There is no user {usuario}.")
                }
                Refusal::SaldoTooLow => text!(
                    "El saldo del usuario {usuario} no alcanza para el token {token}.",
                    "User {usuario}'s balance is below the price of token {token}."
                ),
                // the state machine answers these otherwise, or a participant broke its contract
                Refusal::ClaveReused | Refusal::IntentoNotFound | Refusal::IntentoConfirmed => {
                    return Problem::internal(format!("a purchase ended with {refusal}"));
                }
            };
            (refusal.code(), detail)
        }
    };
    Problem::new(codigo, detail)
}
