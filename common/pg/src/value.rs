//! Whole numbers as a `bigint`, which those below 2^53 fit.

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
