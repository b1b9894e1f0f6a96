//! The market's own errors, beside the errors that any service has ([`General`]).

use http_kit::problem::{Code, General, Problem, Text};
use journal::StoreError;

http_kit::codes! {
    /// Errors of the market. Names never change; new ones may come. `docs/ERRORS.md` repeats them, and a test holds the two
    /// together.
    pub enum MarketCode {
        /// The session was ended, or its account revoked, or has another password.
        SessionEnded = "sesion-terminada", FORBIDDEN, "La sesión ha terminado", "The session has ended";
        /// No such user.
        UsuarioNotFound = "usuario-no-encontrado", NOT_FOUND, "No existe este usuario", "There is no such user";
        /// No such token.
        TokenNotFound = "token-no-encontrado", NOT_FOUND, "No existe este token", "There is no such token";
        /// No such purchase.
        TransaccionNotFound = "transaccion-no-encontrada", NOT_FOUND, "No existe esta transacción", "There is no such transaction";
        /// No such account.
        AccountNotFound = "cuenta-no-encontrada", NOT_FOUND, "No existe esta cuenta", "There is no such account";
        /// No such API key.
        KeyNotFound = "clave-no-encontrada", NOT_FOUND, "No existe esta clave de API", "There is no such API key";
        /// No hold is known under this attempt.
        IntentoNotFound = "intento-no-encontrado", NOT_FOUND, "No existe este intento", "There is no such attempt";
        /// The name is another account's, or the usuario has an account.
        AccountTaken = "cuenta-existente", CONFLICT, "Ya existe esta cuenta", "There is such an account already";
        /// As many API keys as one account may have.
        TooManyKeys = "demasiadas-claves", CONFLICT, "La cuenta tiene demasiadas claves", "The account has too many keys";
        /// Reserved for, or sold to, somebody.
        TokenNotAvailable = "token-no-disponible", CONFLICT, "El token no está disponible", "The token is not available";
        /// The balance is below the price.
        SaldoTooLow = "saldo-insuficiente", CONFLICT, "El saldo no alcanza", "The balance is too low";
        /// The buyer saw another price.
        PrecioChanged = "precio-cambiado", CONFLICT, "El precio ha cambiado", "The price has changed";
        /// A confirmed hold cannot be cancelled.
        IntentoConfirmed = "intento-confirmado", CONFLICT, "El intento ya está confirmado", "The attempt is already confirmed";
        /// More attempts than one may make in a while.
        TooManyAttempts = "demasiados-intentos", TOO_MANY_REQUESTS, "Demasiados intentos", "Too many attempts";
        /// One key, two different requests.
        ClaveReused = "clave-reutilizada", UNPROCESSABLE_ENTITY, "La clave ya se usó con otros datos", "The key was used with other data";
        /// A balance would pass 2^53 - 1.
        SaldoTooHigh = "saldo-excedido", UNPROCESSABLE_ENTITY, "El saldo pasaría del máximo", "The balance would pass the maximum";
    }
}

/// What a client hears of a store that failed.
pub fn of_store(cause: StoreError) -> Problem {
    match cause {
        StoreError::Full => Problem::store_full(),
        StoreError::Busy => Problem::too_busy(Text::new(
            "Demasiadas operaciones esperan al almacén; no se guardó nada. Repita la petición.",
            "Too many operations wait for the store; nothing was saved. Repeat the request.",
        )),
        // the same will fail again: nobody is told to try
        StoreError::Rejected { .. } => Problem::internal(cause),
        StoreError::Latched { .. }
        | StoreError::Closed
        | StoreError::Unknown { .. }
        | StoreError::Io { .. } => Problem::store(cause),
    }
}

/// Every error that a client of the market can meet.
pub fn all() -> impl Iterator<Item = Code> {
    let general = General::ALL.iter().map(|row| row.code());
    general.chain(MarketCode::ALL.iter().map(|row| row.code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_in_the_documentation_with_its_status() {
        let page = include_str!("../../../docs/ERRORS.md");
        for code in all() {
            let row = format!("| `{}` | {} |", code.name, code.status.as_u16());
            assert!(page.contains(&row), "docs/ERRORS.md has no row that starts {row}");
        }
        let rows = page.lines().filter(|l| l.starts_with("| `")).count();
        assert_eq!(rows, all().count(), "docs/ERRORS.md names codes that do not exist");
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = all().map(|code| code.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
