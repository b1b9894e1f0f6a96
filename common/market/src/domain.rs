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
pub const MAX_ENTERO: u64 = (1 << 53) - 1;

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
            pub const MAX: Self = Self(MAX_ENTERO);

            /// The id, where it is in `1 ..= 2^53 - 1`.
            pub const fn new(n: u64) -> Option<Self> {
                if n >= 1 && n <= MAX_ENTERO { Some(Self(n)) } else { None }
            }

            /// The bare number.
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
                Self::new(n).ok_or_else(|| de::Error::custom(format!("id {n} is not in 1 ..= {MAX_ENTERO}")))
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
    /// A recorded purchase; ids grow in the order in which purchases commit.
    TransaccionId
}

/// Money: a whole number of credits in `0 ..= 2^53 - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Monto(u64);

impl Monto {
    /// No money.
    pub const CERO: Self = Self(0);
    /// The most there can be in one place.
    pub const MAX: Self = Self(MAX_ENTERO);

    /// The sum, where it is in range.
    pub const fn new(n: u64) -> Option<Self> {
        if n <= MAX_ENTERO { Some(Self(n)) } else { None }
    }

    /// Credits.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `self + other`, or `None` where that leaves the range.
    pub const fn sumar(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// `self - other`, or `None` where that is below zero.
    pub const fn restar(self, other: Self) -> Option<Self> {
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
        Self::new(n).ok_or_else(|| de::Error::custom(format!("{n} credits are more than {MAX_ENTERO}")))
    }
}

/// Now, to the millisecond: finer digits would only make the JSON harder to read.
pub fn ahora() -> DateTime<Utc> {
    clock::now().trunc_subsecs(3)
}

/// The idempotency key of one purchase or abono: 1 to 128 of `A-Z a-z 0-9 . _ : ~ + = @ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Clave(Arc<str>);

/// Most characters in a clave.
pub const MAX_CLAVE: usize = 128;

impl Clave {
    /// A fresh one, for a client that sent none (a UUID v4).
    pub fn nueva() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Text that is no clave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a clave has 1 to {MAX_CLAVE} characters of A-Z a-z 0-9 . _ : ~ + = @ -")]
pub struct ClaveInvalida;

impl FromStr for Clave {
    type Err = ClaveInvalida;

    fn from_str(s: &str) -> Result<Self, ClaveInvalida> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._:~+=@-".contains(&b);
        if (1..=MAX_CLAVE).contains(&s.len()) && s.bytes().all(legal) {
            Ok(Self(s.into()))
        } else {
            Err(ClaveInvalida)
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
    /// Whose attempt.
    pub clave: Clave,
    /// Which: 1 for the first.
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
pub struct IntentoInvalido;

impl FromStr for Intento {
    type Err = IntentoInvalido;

    fn from_str(s: &str) -> Result<Self, IntentoInvalido> {
        let (clave, numero) = s.rsplit_once('#').ok_or(IntentoInvalido)?;
        // a second spelling of one number ("01", "+1") would be a second key for one attempt
        let canonical = numero.bytes().all(|b| b.is_ascii_digit()) && !numero.starts_with('0');
        match (clave.parse(), numero.parse()) {
            (Ok(clave), Ok(numero)) if canonical => Ok(Self { clave, numero }),
            _ => Err(IntentoInvalido),
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

/// Order-free summary of a set of attempts with their facts, kept running so that two services compare in O(1).
///
/// `huella` is the sum modulo 2^128 of the XXH3-128 of each element: adding and taking out commute, and two sets
/// that differ have equal sums with a chance of about 2^-128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumen {
    /// How many.
    pub cuenta: u64,
    /// The sum of their money, in credits (it can pass 2^53: it is no balance).
    #[serde(with = "text")]
    pub suma: u128,
    /// The order-free hash.
    #[serde(with = "text")]
    pub huella: u128,
}

impl Resumen {
    /// Puts one element in: all that a try says, so that no part of it can differ unseen. Debits know no token.
    pub fn agregar(&mut self, intento: &Intento, de: UsuarioId, token: Option<TokenId>, monto: Monto) {
        self.cuenta = self.cuenta.wrapping_add(1);
        self.suma = self.suma.wrapping_add(u128::from(monto.get()));
        self.huella = self.huella.wrapping_add(huella(intento, de, token, monto));
    }

    /// Takes one element out again.
    pub fn quitar(&mut self, intento: &Intento, de: UsuarioId, token: Option<TokenId>, monto: Monto) {
        self.cuenta = self.cuenta.wrapping_sub(1);
        self.suma = self.suma.wrapping_sub(u128::from(monto.get()));
        self.huella = self.huella.wrapping_sub(huella(intento, de, token, monto));
    }
}

fn huella(intento: &Intento, de: UsuarioId, token: Option<TokenId>, monto: Monto) -> u128 {
    let mut bytes = [0; MAX_CLAVE + 28];
    let clave = intento.clave.as_str().as_bytes();
    let (name, rest) = bytes.split_at_mut(clave.len());
    name.copy_from_slice(clave);
    rest[..4].copy_from_slice(&intento.numero.to_le_bytes());
    rest[4..12].copy_from_slice(&de.get().to_le_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_money_end_where_javascript_ends() {
        assert_eq!(UsuarioId::new(0), None);
        assert_eq!(UsuarioId::new(1 << 53), None);
        assert_eq!(TokenId::new(MAX_ENTERO).map(TokenId::get), Some(MAX_ENTERO));
        assert_eq!(Monto::MAX.sumar(Monto::new(1).unwrap()), None);
        assert_eq!(Monto::CERO.restar(Monto::new(1).unwrap()), None);
        assert!(serde_json::from_str::<Monto>("-1").is_err());
        assert!(serde_json::from_str::<UsuarioId>("0").is_err());
    }

    #[test]
    fn an_attempt_has_one_spelling() {
        let intento: Intento = "a:b#12".parse().unwrap();
        assert_eq!(intento.to_string(), "a:b#12");
        for wrong in ["a", "a#0", "a#01", "a#+1", "#1", "a b#1", "a#4294967296", "á#1"] {
            assert_eq!(wrong.parse::<Intento>(), Err(IntentoInvalido), "{wrong}");
        }
    }

    #[test]
    fn a_digest_forgets_order_and_undoes() {
        let a: Intento = "a#1".parse().unwrap();
        let b: Intento = "b#1".parse().unwrap();
        let (m, n) = (Monto::new(5).unwrap(), Monto::new(7).unwrap());
        let mut one = Resumen::default();
        let (ana, luis, gato) = (UsuarioId::new(1).unwrap(), UsuarioId::new(2).unwrap(), TokenId::new(101));
        one.agregar(&a, ana, gato, m);
        one.agregar(&b, luis, None, n);
        let mut two = Resumen::default();
        two.agregar(&b, luis, None, n);
        two.agregar(&a, ana, gato, m);
        assert_eq!(one, two);
        for (de, token, monto) in
            [(luis, gato, m), (ana, TokenId::new(102), m), (ana, None, m), (ana, gato, n)]
        {
            let mut other = two;
            other.quitar(&a, ana, gato, m);
            other.agregar(&a, de, token, monto);
            assert_ne!(one, other, "another user, token or price is another element");
        }
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Resumen>(&json).unwrap(), one);
    }
}
