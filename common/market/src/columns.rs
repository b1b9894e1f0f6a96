//! The domain's values in the columns of tables.

use crate::domain::{Clave, Intento, RunningDigest};
use pg::read;
use sqlx::Error;

/// A clave from its column.
///
/// # Errors
/// Where the text is no clave.
pub fn clave(text: &str) -> Result<Clave, Error> {
    text.parse().map_err(|e| Error::Decode(format!("{text:?}: {e}").into()))
}

/// An attempt from its two columns.
///
/// # Errors
/// Where they make no attempt.
pub fn intento(text: &str, numero: i64) -> Result<Intento, Error> {
    Ok(Intento { clave: clave(text)?, numero: read(numero, |n| u32::try_from(n).ok())? })
}

/// Attempts as the two columns that a statement unnests.
pub fn of_intentos<'a>(intentos: impl IntoIterator<Item = &'a Intento>) -> (Vec<String>, Vec<i64>) {
    intentos.into_iter().map(|i| (i.clave.to_string(), i64::from(i.numero))).unzip()
}

/// Attempts, each once, in the order in which all processes lock what they have.
pub fn lock_order<'a>(asked: &[&'a Intento]) -> Vec<&'a Intento> {
    let mut intentos = asked.to_vec();
    intentos.sort_unstable();
    intentos.dedup();
    intentos
}

impl RunningDigest {
    /// A digest from its three columns; the two large numbers come as text.
    ///
    /// # Errors
    /// Where a column is no number, or is out of range.
    pub fn of_columns(cuenta: i64, suma: &str, huella: &str) -> Result<Self, Error> {
        let large = |s: &str| s.parse().map_err(|e| Error::Decode(format!("{s}: {e}").into()));
        Ok(Self { cuenta: read(cuenta, Some)?, suma: large(suma)?, huella: large(huella)? })
    }
}
