//! Where errors meet HTTP.

use crate::error::Error;
use http_kit::problem::{General, Problem, Text};
use http_kit::text;
use market::codes::Codigo;
use market::contract::Refusal;
use market::domain::{TokenId, UsuarioId};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TransaccionNoEncontrada(id) => Self::new(
                Codigo::TransaccionNoEncontrada,
                text!("No hay transacción {id}.", "There is no transaction {id}."),
            ),
            Error::Rechazado { usuario_id, token_id, refusal } => refused(usuario_id, token_id, refusal),
            Error::PrecioCambiado { token_id, precio } => Self::new(
                Codigo::PrecioCambiado,
                text!("El token {token_id} cuesta ahora {precio}.", "Token {token_id} costs {precio} now."),
            ),
            Error::ClaveReutilizada(clave) => Self::new(
                Codigo::ClaveReutilizada,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::SinRespuesta => Self::new(
                General::ServicioNoDisponible,
                Text::new(
                    "Otro servicio no respondió a tiempo; repita la petición, una compra con la misma clave.",
                    "Another service did not answer in time; repeat the request, a purchase with the same key.",
                ),
            ),
            Error::Superado => Self::new(
                General::ServicioNoDisponible,
                Text::new(
                    "La compra no se hizo: otra petición con la misma clave la dio por perdida, o tardó demasiado; repítala \
                     con la misma clave.",
                    "The purchase was not made: another request with the same key gave it up, or it took too long; repeat \
                     it with the same key.",
                ),
            ),
            Error::SinAlmacen => Self::new(
                General::AlmacenNoDisponible,
                Text::new(
                    "No se sabe si la compra quedó hecha; repítala con la misma clave.",
                    "Whether the purchase was made is not known; repeat it with the same key.",
                ),
            ),
            Error::TooManyPurchases => Self::new(
                General::ServicioNoDisponible,
                Text::new(
                    "Hay demasiadas compras en curso; no se empezó nada. Repita la petición, con la misma clave.",
                    "Too many purchases are under way; nothing was begun. Repeat the request, with the same key.",
                ),
            ),
            Error::TooManyReaders => Self::new(
                General::ServicioNoDisponible,
                Text::new(
                    "Demasiados clientes siguen ya los eventos aquí; vuelva más tarde.",
                    "Too many clients follow the events here already; come back later.",
                ),
            ),
            Error::Store(cause) => Self::store(cause),
            Error::Bug(cause) => Self::internal(cause),
        }
    }
}

fn refused(usuario: UsuarioId, token: TokenId, refusal: Refusal) -> Problem {
    let detail = match refusal {
        Refusal::TokenNoEncontrado => text!("No hay token {token}.", "There is no token {token}."),
        Refusal::TokenNoDisponible => {
            text!("El token {token} está reservado o vendido.", "Token {token} is reserved or sold.")
        }
        Refusal::UsuarioNoEncontrado => text!("No hay usuario {usuario}.", "There is no user {usuario}."),
        Refusal::SaldoInsuficiente => text!(
            "El saldo del usuario {usuario} no alcanza para el token {token}.",
            "User {usuario}'s balance is below the price of token {token}."
        ),
        // the state machine answers these otherwise, or a participant broke its contract
        Refusal::ClaveReutilizada | Refusal::IntentoNoEncontrado | Refusal::IntentoConfirmado => {
            return Problem::internal(format!("a purchase ended with {refusal}"));
        }
    };
    Problem::new(refusal.codigo(), detail)
}
