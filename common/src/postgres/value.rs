//! The domain's numbers as a `bigint`, which all of them fit: they are below 2^53.

use crate::domain::{Clave, Intento, Resumen};
use sqlx::Error;

/// What a row says, where it is legal.
///
/// # Errors
/// That it is not, which its table's checks do not let happen.
pub fn read<T>(n: i64, new: impl FnOnce(u64) -> Option<T>) -> Result<T, Error> {
    let legal = u64::try_from(n).ok().and_then(new);
    legal.ok_or_else(|| Error::Decode(format!("{n} is out of range").into()))
}

/// As a `bigint`.
pub fn written(n: u64) -> i64 {
    // what is larger is no id and no money
    i64::try_from(n).unwrap_or(i64::MAX)
}

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
