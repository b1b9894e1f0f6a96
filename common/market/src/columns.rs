//! The domain's values in the columns of tables.

use crate::domain::{Clave, Intento, Resumen};
use pg::read;
use sqlx::Error;

/// A key, as its column has it.
///
/// # Errors
/// That it is none.
pub fn clave(text: &str) -> Result<Clave, Error> {
    text.parse().map_err(|e| Error::Decode(format!("{text:?}: {e}").into()))
}

/// An attempt, as its two columns have it.
///
/// # Errors
/// That it is none.
pub fn intento(text: &str, numero: i64) -> Result<Intento, Error> {
    Ok(Intento { clave: clave(text)?, numero: read(numero, |n| u32::try_from(n).ok())? })
}

impl Resumen {
    /// From the three columns that keep one, the two large ones as text.
    ///
    /// # Errors
    /// That they are none.
    pub fn of_columns(cuenta: i64, suma: &str, huella: &str) -> Result<Self, Error> {
        let large = |s: &str| s.parse().map_err(|e| Error::Decode(format!("{s}: {e}").into()));
        Ok(Self { cuenta: read(cuenta, Some)?, suma: large(suma)?, huella: large(huella)? })
    }
}
