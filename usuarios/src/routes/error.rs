//! What each error is in HTTP.

use crate::error::Error;
use http_kit::problem::Problem;
use http_kit::text;
use market::codes::{MarketCode, of_store};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UsuarioNotFound(id) => Self::new(
                MarketCode::UsuarioNotFound,
                text!("No hay usuario {id}.", "There is no user {id}."),
            ),
            Error::SaldoTooLow { saldo, monto } => Self::new(
                MarketCode::SaldoTooLow,
                text!(
                    "El saldo es {saldo} y hacen falta {monto}.",
                    "The balance is {saldo}, and {monto} is needed."
                ),
            ),
            Error::SaldoTooHigh { saldo, monto } => Self::new(
                MarketCode::SaldoTooHigh,
                text!("{saldo} + {monto} pasa de 2^53 - 1.", "{saldo} + {monto} is more than 2^53 - 1."),
            ),
            Error::ClaveReused(clave) => Self::new(
                MarketCode::ClaveReused,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::IntentoNotFound(intento) => Self::new(
                MarketCode::IntentoNotFound,
                text!("No hay cargo {intento}.", "There is no cargo {intento}."),
            ),
            Error::IntentoConfirmed(intento) => Self::new(
                MarketCode::IntentoConfirmed,
                text!("El cargo {intento} está confirmado.", "The cargo {intento} is confirmed."),
            ),
            Error::NoIdsLeft => Self::internal(error),
            Error::Store(cause) => of_store(cause),
        }
    }
}
