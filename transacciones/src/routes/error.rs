//! Where errors meet HTTP.

use crate::audit::Unaudited;
use crate::domain::Compra;
use crate::error::Error;
use crate::purchase::Motivo;
use http_kit::problem::{General, Problem, Text};
use http_kit::text;
use market::codes::Codigo;
use market::contract::Refusal;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TransaccionNoEncontrada(id) => Self::new(
                Codigo::TransaccionNoEncontrada,
                text!("No hay transacción {id}.", "There is no transaction {id}."),
            ),
            Error::Rechazado { compra, motivo } => refused(&compra, motivo),
            Error::ClaveReutilizada(clave) => Self::new(
                Codigo::ClaveReutilizada,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::SinRespuesta => no_answer(),
            Error::Superado => Self::new(
                General::ServicioNoDisponible,
                Text::new(
                    "La compra no se hizo: otra petición con la misma clave la dio por perdida, o tardó demasiado; repítala \
                     con la misma clave.",
                    "The purchase was not made: another request with the same key gave it up, or it took too long; repeat \
                     it with the same key.",
                ),
            ),
            // logged where it happened
            Error::SinAlmacen => Self::new(
                General::AlmacenNoDisponible,
                Text::new(
                    "No se sabe si la compra quedó hecha; repítala con la misma clave.",
                    "Whether the purchase was made is not known; repeat it with the same key.",
                ),
            ),
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
        General::ServicioNoDisponible,
        Text::new(
            "Otro servicio no respondió a tiempo; repita la petición, una compra con la misma clave.",
            "Another service did not answer in time; repeat the request, a purchase with the same key.",
        ),
    )
}

fn refused(compra: &Compra, motivo: Motivo) -> Problem {
    let (usuario, token) = (compra.usuario_id, compra.token_id);
    let (codigo, detail) = match motivo {
        Motivo::PrecioCambiado(precio) => (
            Codigo::PrecioCambiado,
            text!("El token {token} cuesta ahora {precio}.", "Token {token} costs {precio} now."),
        ),
        Motivo::Rechazo(refusal) => {
            let detail = match refusal {
                Refusal::TokenNoEncontrado => text!("No hay token {token}.", "There is no token {token}."),
                Refusal::TokenNoDisponible => {
                    text!("El token {token} está reservado o vendido.", "Token {token} is reserved or sold.")
                }
                Refusal::UsuarioNoEncontrado => {
                    text!("No hay usuario {usuario}.", "There is no user {usuario}.")
                }
                Refusal::SaldoInsuficiente => text!(
                    "El saldo del usuario {usuario} no alcanza para el token {token}.",
                    "User {usuario}'s balance is below the price of token {token}."
                ),
                // the state machine answers these otherwise, or a participant broke its contract
                Refusal::ClaveReutilizada | Refusal::IntentoNoEncontrado | Refusal::IntentoConfirmado => {
                    return Problem::internal(format!("a purchase ended with {refusal}"));
                }
            };
            (refusal.codigo(), detail)
        }
    };
    Problem::new(codigo, detail)
}
