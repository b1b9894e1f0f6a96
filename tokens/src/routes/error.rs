//! Where errors meet HTTP.

use crate::error::Error;
use http_kit::problem::Problem;
use http_kit::text;
use market::codes::Codigo;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TokenNoEncontrado(id) => {
                Self::new(Codigo::TokenNoEncontrado, text!("No hay token {id}.", "There is no token {id}."))
            }
            Error::TokenReservado(id) => Self::new(
                Codigo::TokenNoDisponible,
                text!(
                    "El token {id} está reservado para una compra en curso.",
                    "Token {id} is reserved for a purchase under way."
                ),
            ),
            Error::TokenVendido(id) => Self::new(
                Codigo::TokenNoDisponible,
                text!("El token {id} ya está vendido.", "Token {id} is sold already."),
            ),
            Error::ClaveReutilizada(intento) => Self::new(
                Codigo::ClaveReutilizada,
                text!(
                    "«{intento}» ya se usó con otros datos; use una clave nueva.",
                    "\"{intento}\" was used with other data; use a new key."
                ),
            ),
            Error::IntentoNoEncontrado(intento) => Self::new(
                Codigo::IntentoNoEncontrado,
                text!("No hay reserva {intento}.", "There is no reserva {intento}."),
            ),
            Error::IntentoConfirmado(intento) => Self::new(
                Codigo::IntentoConfirmado,
                text!("La reserva {intento} es una venta.", "The reserva {intento} is a sale."),
            ),
            Error::SinIds => Self::internal(error),
            Error::Store(cause) => Self::store(cause),
        }
    }
}
