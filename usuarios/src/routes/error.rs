//! What each error is in HTTP.

use crate::error::Error;
use http_kit::access::{forbidden, not_authenticated};
use http_kit::problem::{FieldError, General, Problem, Text};
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
            Error::AccountNotFound => Self::new(
                MarketCode::AccountNotFound,
                Text::new("Nadie tiene ese nombre.", "Nobody has that name."),
            ),
            Error::KeyNotFound => Self::new(
                MarketCode::KeyNotFound,
                Text::new("Su cuenta no tiene esa clave.", "Your account has no such key."),
            ),
            Error::NotABuyer => forbidden(Text::new(
                "Aquí solo se pueden revocar cuentas de compradores, sin otro rol; las demás, con `cuenta revocar`.",
                "Only accounts of compradores can be revoked here, without another role; others, with `cuenta revocar`.",
            )),
            Error::AccountTaken => Self::new(
                MarketCode::AccountTaken,
                Text::new(
                    "El nombre es de otra cuenta, o el usuario ya tiene una.",
                    "The name is another account's, or the user has one already.",
                ),
            ),
            Error::BuyerNeedsUsuario => Self::invalid(vec![FieldError {
                campo: "usuarioId".to_owned(),
                detalle: Text::new(
                    "hace falta para un comprador, y solo para él",
                    "is for a comprador, who needs it",
                ),
            }]),
            Error::TooManyKeys => Self::new(
                MarketCode::TooManyKeys,
                Text::new("Revoque una clave antes de hacer otra.", "Revoke a key before you make another."),
            ),
            Error::WrongCredentials => not_authenticated(Text::new(
                "El nombre, la contraseña o la clave no valen.",
                "The name, the password or the key are not valid.",
            )),
            Error::WrongPassword => {
                let campo = "actual".to_owned();
                Self::invalid(vec![FieldError {
                    campo,
                    detalle: Text::new(
                        "no es la contraseña de esta cuenta",
                        "is not this account's password",
                    ),
                }])
            }
            Error::TooManyAttempts { seconds } => Self {
                retry_after: Some(seconds.max(1)),
                ..Self::new(
                    MarketCode::TooManyAttempts,
                    text!("Espere {seconds} s y vuelva a probar.", "Wait {seconds} s and try again."),
                )
            },
            Error::TooManyLogins => Self::new(
                General::TooBusy,
                Text::new(
                    "Demasiadas personas inician sesión a la vez; vuelva a probar dentro de poco.",
                    "Too many people log in at once; try again in a moment.",
                ),
            ),
            Error::NotReady => Self::new(
                General::ServiceUnavailable,
                Text::new("Aún no se puede iniciar sesión.", "Logging in is not possible yet."),
            ),
            Error::SessionEnded => Self::new(
                MarketCode::SessionEnded,
                Text::new(
                    "La sesión se cerró, la cuenta se revocó o se cambió la contraseña; inicie otra sesión.",
                    "The session was closed, the account revoked or its password changed; begin another session.",
                ),
            ),
            Error::NotByKey => forbidden(Text::new(
                "Con una clave de API no se cambia la contraseña ni se hacen claves.",
                "An API key changes no password and makes no keys.",
            )),
            Error::Bug(cause) => Self::internal(cause),
            Error::NoIdsLeft => Self::internal(error),
            Error::Store(cause) => of_store(cause),
        }
    }
}
