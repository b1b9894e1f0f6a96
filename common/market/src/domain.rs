//! The values that travel: parsed once at the edge, legal ever after.
//!
//! Ids and money are whole numbers that JavaScript holds exactly (at most 2^53 - 1), so that no client rounds them.

use crate::clock;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The largest id and the largest sum of money: 2^53 - 1, the last integer that an IEEE 754 double counts to.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The smallest.
            pub const MIN: Self = Self(1);
            /// The largest.
            pub const MAX: Self = Self(MAX_INTEGER);

            /// The id, where it is in `1 ..= 2^53 - 1`.
            pub const fn new(n: u64) -> Option<Self> {
                if n >= 1 && n <= MAX_INTEGER { Some(Self(n)) } else { None }
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let n = u64::deserialize(d)?;
                Self::new(n).ok_or_else(|| de::Error::custom(format!("id {n} is not in 1 ..= {MAX_INTEGER}")))
            }
        }
    };
}

id! {
    /// Who buys.
    UsuarioId
}
id! {
    /// What is bought.
    TokenId
}
id! {
    /// A recorded purchase. Ids are unique, and nearly in the order in which purchases commit.
    TransaccionId
}

/// Money: a whole number of credits in `0 ..= 2^53 - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Monto(u64);

impl Monto {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The most that a balance or a price can be.
    pub const MAX: Self = Self(MAX_INTEGER);

    /// A sum of money, where it is in range.
    pub const fn new(n: u64) -> Option<Self> {
        if n <= MAX_INTEGER { Some(Self(n)) } else { None }
    }

    /// The number of credits.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `self + other`, or `None` where that leaves the range.
    pub const fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// `self - other`, or `None` where that is below zero.
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }
}

impl fmt::Display for Monto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Monto {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = u64::deserialize(d)?;
        Self::new(n).ok_or_else(|| de::Error::custom(format!("{n} credits are more than {MAX_INTEGER}")))
    }
}

/// Now, to the millisecond: finer digits would only make the JSON harder to read.
pub fn timestamp() -> DateTime<Utc> {
    clock::now().trunc_subsecs(3)
}

/// The idempotency key of one purchase or abono: 1 to 255 visible ASCII characters. `#` and nothing but digits is none: so
/// a table names a purchase that came without a clave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Clave(Arc<str>);

/// The most characters of a clave.
pub const MAX_CLAVE: usize = 255;

impl Clave {
    /// A fresh clave, for a client that sent none (a UUID v4).
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is no clave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a clave has 1 to {MAX_CLAVE} visible ASCII characters, and is not # with a number")]
pub struct InvalidClave;

impl FromStr for Clave {
    type Err = InvalidClave;

    fn from_str(s: &str) -> Result<Self, InvalidClave> {
        let of_a_table = s
            .strip_prefix('#')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
        if (1..=MAX_CLAVE).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic()) && !of_a_table {
            Ok(Self(s.into()))
        } else {
            Err(InvalidClave)
        }
    }
}

impl fmt::Display for Clave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Clave {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// One attempt at a purchase, as the participants know it: `clave#numero`, numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intento {
    /// The key of the purchase.
    pub clave: Clave,
    /// Which attempt under the clave: 1 for the first.
    pub numero: u32,
}

impl fmt::Display for Intento {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.clave, self.numero)
    }
}

/// Text that is no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attempt is `clave#number`, numbered from 1")]
pub struct InvalidIntento;

impl FromStr for Intento {
    type Err = InvalidIntento;

    fn from_str(s: &str) -> Result<Self, InvalidIntento> {
        let (clave, numero) = s.rsplit_once('#').ok_or(InvalidIntento)?;
        // a second spelling of one number ("01", "+1") would be a second key for one attempt
        let canonical = numero.bytes().all(|b| b.is_ascii_digit()) && !numero.starts_with('0');
        match (clave.parse(), numero.parse()) {
            (Ok(clave), Ok(numero)) if canonical => Ok(Self { clave, numero }),
            _ => Err(InvalidIntento),
        }
    }
}

impl Serialize for Intento {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Intento {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// An order-free digest of a set of attempts with their facts. Each service keeps its digest up to date, so that two of them
/// compare at a cost that does not grow with the sets.
///
/// `huella` is the sum modulo 2^128 of the XXH3-128 of each element: adding and taking out commute, and two sets
/// that differ have equal sums with a chance of about 2^-128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningDigest {
    /// How many attempts.
    pub cuenta: u64,
    /// The sum of their money, in credits. It can pass 2^53, since it is no balance.
    #[serde(with = "text")]
    pub suma: u128,
    /// The order-free hash.
    #[serde(with = "text")]
    pub huella: u128,
}

impl RunningDigest {
    /// Puts one element in: everything that a hold says, so that no part of it can differ unseen. Debits know no token.
    pub fn add(&mut self, intento: &Intento, usuario: UsuarioId, token: Option<TokenId>, monto: Monto) {
        self.cuenta = self.cuenta.wrapping_add(1);
        self.suma = self.suma.wrapping_add(u128::from(monto.get()));
        self.huella = self.huella.wrapping_add(hash(intento, usuario, token, monto));
    }

    /// Takes one element out again.
    pub fn remove(&mut self, intento: &Intento, usuario: UsuarioId, token: Option<TokenId>, monto: Monto) {
        self.cuenta = self.cuenta.wrapping_sub(1);
        self.suma = self.suma.wrapping_sub(u128::from(monto.get()));
        self.huella = self.huella.wrapping_sub(hash(intento, usuario, token, monto));
    }
}

fn hash(intento: &Intento, usuario: UsuarioId, token: Option<TokenId>, monto: Monto) -> u128 {
    let mut bytes = [0; MAX_CLAVE + 28];
    let clave = intento.clave.as_str().as_bytes();
    let (name, rest) = bytes.split_at_mut(clave.len());
    name.copy_from_slice(clave);
    rest[..4].copy_from_slice(&intento.numero.to_le_bytes());
    rest[4..12].copy_from_slice(&usuario.get().to_le_bytes());
    // ids start at 1
    rest[12..20].copy_from_slice(&token.map_or(0, TokenId::get).to_le_bytes());
    rest[20..28].copy_from_slice(&monto.get().to_le_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes[..clave.len() + 28])
}

/// 128-bit numbers travel as text: JSON readers do not agree on integers over 2^53.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(n: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(n)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// 128-bit numbers as hexadecimal text.
pub mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// 32 digits.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(n: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{n:032x}"))
    }

    /// Reads them back.
    ///
    /// # Errors
    /// Where it is no such number.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        u128::from_str_radix(&text, 16).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_money_end_where_javascript_ends() {
        assert_eq!(UsuarioId::new(0), None);
        assert_eq!(UsuarioId::new(1 << 53), None);
        assert_eq!(TokenId::new(MAX_INTEGER).map(TokenId::get), Some(MAX_INTEGER));
        assert_eq!(Monto::MAX.plus(Monto::new(1).unwrap()), None);
        assert_eq!(Monto::ZERO.minus(Monto::new(1).unwrap()), None);
        assert!(serde_json::from_str::<Monto>("-1").is_err());
        assert!(serde_json::from_str::<UsuarioId>("0").is_err());
    }

    #[test]
    fn a_clave_is_any_visible_ascii() {
        for legal in ["a", "#", "#a", "#1a", "n/x+Zm9v==", "\"", "%2F", "..", &"~".repeat(255)] {
            assert_eq!(legal.parse::<Clave>().unwrap().as_str(), legal);
        }
        for wrong in ["", " ", "a b", "a\tb", "ñ", "\u{7f}", "#1", &"~".repeat(256)] {
            assert!(wrong.parse::<Clave>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_attempt_has_one_spelling() {
        let intento: Intento = "a:b#12".parse().unwrap();
        assert_eq!(intento.to_string(), "a:b#12");
        let intento: Intento = "a#7#12".parse().unwrap();
        assert_eq!((intento.clave.as_str(), intento.numero), ("a#7", 12), "a clave may have a # itself");
        for wrong in ["a", "a#0", "a#01", "a#+1", "#1", "a b#1", "a#4294967296", "á#1", "#7#1"] {
            assert_eq!(wrong.parse::<Intento>(), Err(InvalidIntento), "{wrong}");
        }
    }

    #[test]
    fn a_digest_forgets_order_and_undoes() {
        let a: Intento = "a#1".parse().unwrap();
        let b: Intento = "b#1".parse().unwrap();
        let (m, n) = (Monto::new(5).unwrap(), Monto::new(7).unwrap());
        let mut one = RunningDigest::default();
        let (ana, luis, gato) = (UsuarioId::new(1).unwrap(), UsuarioId::new(2).unwrap(), TokenId::new(101));
        one.add(&a, ana, gato, m);
        one.add(&b, luis, None, n);
        let mut two = RunningDigest::default();
        two.add(&b, luis, None, n);
        two.add(&a, ana, gato, m);
        assert_eq!(one, two);
        for (usuario, token, monto) in
            [(luis, gato, m), (ana, TokenId::new(102), m), (ana, None, m), (ana, gato, n)]
        {
            let mut other = two;
            other.remove(&a, ana, gato, m);
            other.add(&a, usuario, token, monto);
            assert_ne!(one, other, "another user, token or price is another element");
        }
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<RunningDigest>(&json).unwrap(), one);
    }
}
