//! Where errors meet HTTP.

use crate::error::Error;
use http_kit::problem::Problem;
use http_kit::text;
use market::codes::Codigo;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UsuarioNoEncontrado(id) => Self::new(
                Codigo::UsuarioNoEncontrado,
                text!("No hay usuario {id}.", "There is no user {id}."),
            ),
            Error::SaldoInsuficiente { saldo, monto } => Self::new(
                Codigo::SaldoInsuficiente,
                text!(
                    "El saldo es {saldo} y hacen falta {monto}.",
                    "The balance is {saldo}, and {monto} is needed."
                ),
            ),
            Error::SaldoExcedido { saldo, monto } => Self::new(
                Codigo::SaldoExcedido,
                text!("{saldo} + {monto} pasa de 2^53 - 1.", "{saldo} + {monto} is more than 2^53 - 1."),
            ),
            Error::ClaveReutilizada(clave) => Self::new(
                Codigo::ClaveReutilizada,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::IntentoNoEncontrado(intento) => Self::new(
                Codigo::IntentoNoEncontrado,
                text!("No hay cargo {intento}.", "There is no cargo {intento}."),
            ),
            Error::IntentoConfirmado(intento) => Self::new(
                Codigo::IntentoConfirmado,
                text!("El cargo {intento} está confirmado.", "The cargo {intento} is confirmed."),
            ),
            Error::SinIds => Self::internal(error),
            Error::Store(cause) => Self::store(cause),
        }
    }
}
