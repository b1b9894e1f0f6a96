//! Where errors meet HTTP.

use crate::error::Error;
use http_kit::problem::{General, Problem, Text};
use http_kit::text;
use journal::StoreError;
use market::codes::{MarketCode, of_store};
use market::contract::Refusal;
use market::domain::{TokenId, UsuarioId};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::TransaccionNotFound(id) => Self::new(
                MarketCode::TransaccionNotFound,
                text!("No hay transacción {id}.", "There is no transaction {id}."),
            ),
            Error::Refused { usuario_id, token_id, refusal } => refused(usuario_id, token_id, refusal),
            Error::PrecioChanged { token_id, precio } => Self::new(
                MarketCode::PrecioChanged,
                text!("El token {token_id} cuesta ahora {precio}.", "Token {token_id} costs {precio} now."),
            ),
            Error::ClaveReused(clave) => Self::new(
                MarketCode::ClaveReused,
                text!(
                    "«{clave}» ya se usó con otros datos; use una clave nueva.",
                    "\"{clave}\" was used with other data; use a new key."
                ),
            ),
            Error::NoAnswer => Self::new(
                General::ServiceUnavailable,
                Text::new(
                    "Otro servicio no respondió a tiempo; repita la petición, una compra con la misma clave.",
                    "Another service did not answer in time; repeat the request, a purchase with the same key.",
                ),
            ),
            Error::GivenUp => Self::new(
                General::ServiceUnavailable,
                Text::new(
                    "La compra no se hizo: otra petición con la misma clave la dio por perdida, o tardó demasiado; repítala \
                     con la misma clave.",
                    "The purchase was not made: another request with the same key gave it up, or it took too long; repeat \
                     it with the same key.",
                ),
            ),
            Error::NoStore => Self::new(
                General::StoreUnavailable,
                Text::new(
                    "No se sabe si la compra quedó hecha; repítala con la misma clave.",
                    "Whether the purchase was made is not known; repeat it with the same key.",
                ),
            ),
            Error::TooManyPurchases => Self::too_busy(Text::new(
                "Hay demasiadas compras en curso; no se empezó nada. Repita la petición, con la misma clave.",
                "Too many purchases are under way; nothing was begun. Repeat the request, with the same key.",
            )),
            Error::TooManyReaders => Self::too_busy(Text::new(
                "Demasiados clientes siguen ya los eventos aquí; vuelva más tarde.",
                "Too many clients follow the events here already; come back later.",
            )),
            Error::StoreFull => Self::store_full(),
            Error::Busy => of_store(StoreError::Busy),
            Error::Store(cause) => Self::store(cause),
            Error::Bug(cause) => Self::internal(cause),
        }
    }
}

fn refused(usuario: UsuarioId, token: TokenId, refusal: Refusal) -> Problem {
    let detail = match refusal {
        Refusal::StoreFull => return Problem::store_full(),
        Refusal::TokenNotFound => text!("No hay token {token}.", "There is no token {token}."),
        Refusal::TokenNotAvailable => {
            text!("El token {token} está reservado o vendido.", "Token {token} is reserved or sold.")
        }
        Refusal::UsuarioNotFound => text!("No hay usuario {usuario}.", "There is no user {usuario}."),
        Refusal::SaldoTooLow => text!(
            "El saldo del usuario {usuario} no alcanza para el token {token}.",
            "User {usuario}'s balance is below the price of token {token}."
        ),
        Refusal::SessionEnded => Text::new(
            "La sesión se cerró, la cuenta se revocó o se cambió la contraseña; inicie otra sesión.",
            "The session was closed, the account revoked or its password changed; begin another session.",
        ),
        // the state machine answers these otherwise, or a participant broke its contract
        Refusal::ClaveReused | Refusal::IntentoNotFound | Refusal::IntentoConfirmed => {
            return Problem::internal(format!("a purchase ended with {refusal}"));
        }
    };
    Problem::new(refusal.code(), detail)
}
