//! What each error is in HTTP.

use crate::error::Error;
use http_kit::problem::{Problem, Text};
use http_kit::text;
use market::codes::{MarketCode, of_store};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TokenNotFound(id) => {
                Self::new(MarketCode::TokenNotFound, text!("No hay token {id}.", "There is no token {id}."))
            }
            Error::TokenReserved(id) => Self::new(
                MarketCode::TokenNotAvailable,
                text!(
                    "El token {id} está reservado para una compra en curso.",
                    "Token {id} is reserved for a purchase under way."
                ),
            ),
            Error::TokenSold(id) => Self::new(
                MarketCode::TokenNotAvailable,
                text!("El token {id} ya está vendido.", "Token {id} is sold already."),
            ),
            Error::ClaveReused(intento) => Self::new(
                MarketCode::ClaveReused,
                text!(
                    "«{intento}» ya se usó con otros datos; use una clave nueva.",
                    "\"{intento}\" was used with other data; use a new key."
                ),
            ),
            Error::IntentoNotFound(intento) => Self::new(
                MarketCode::IntentoNotFound,
                text!("No hay reserva {intento}.", "There is no reserva {intento}."),
            ),
            Error::IntentoConfirmed(intento) => Self::new(
                MarketCode::IntentoConfirmed,
                text!("La reserva {intento} es una venta.", "The reserva {intento} is a sale."),
            ),
            Error::NoIdsLeft => Self::internal(error),
            Error::TooManySearches => Self::too_busy(Text::new(
                "Se buscan ya demasiadas listas a la vez; repita la petición.",
                "Too many lists are being searched already; repeat the request.",
            )),
            Error::Store(cause) => of_store(cause),
        }
    }
}
