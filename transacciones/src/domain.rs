//! Purchases.

use chrono::{DateTime, TimeDelta, Utc};
use market::contract::SessionRef;
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a buyer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compra {
    /// The key that makes it happen once.
    pub clave: Clave,
    /// Whether the client chose the key. Only then may a second request with it be under way somewhere.
    pub clave_from_client: bool,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// What.
    pub token_id: TokenId,
    /// What the buyer believes it costs.
    pub precio: Option<Monto>,
    /// In whose session, where people log in.
    pub session: Option<SessionRef>,
}

/// A committed purchase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transaccion {
    /// Unique. In files ids are given in the order of commits; a database gives them before the commits, so there they are
    /// nearly in that order.
    pub id: TransaccionId,
    /// Who bought.
    pub usuario_id: UsuarioId,
    /// What.
    pub token_id: TokenId,
    /// When, by the coordinator's clock.
    pub fecha: DateTime<Utc>,
    /// For how much.
    #[serde(default)]
    pub precio: Monto,
    /// The attempt that was committed; a purchase that was put into the file by hand has none, and the audit leaves it
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intento: Option<Intento>,
    /// In files, the purchase's place in the order of commits, where the place is not the purchase's own id but that of
    /// another such purchase. Such purchases come from a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lugar: Option<TransaccionId>,
    /// The host name of the process that committed it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Arc<str>>,
}

impl Transaccion {
    /// Its place in the order of commits, in files.
    pub fn lugar(&self) -> TransaccionId {
        self.lugar.unwrap_or(self.id)
    }

    /// Whether this is what was asked for: a price counts where the buyer named one.
    pub fn answers(&self, compra: &Compra) -> bool {
        (self.usuario_id, self.token_id) == (compra.usuario_id, compra.token_id)
            && compra.precio.is_none_or(|p| p == self.precio)
    }
}

/// A purchase as it was recorded, for its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bought {
    /// What was recorded.
    pub transaccion: Transaccion,
    /// Whether an earlier request with this key did it.
    pub replayed: bool,
}

/// The attempts of a clave that can never commit: all up to `numero`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aborted {
    /// Whose.
    pub clave: Clave,
    /// The last one.
    pub numero: u32,
    /// What was asked for under the clave, as far as whoever aborted knew it.
    pub usuario_id: UsuarioId,
    /// `usuarios` does not know what its debits were for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
}

/// Attempts that a clave can make in one era: more than one a second for an hour.
pub const ATTEMPTS: u32 = 4096;
/// The parts of the time for which an abort is kept: an era lasts as long as one of them.
pub const PARTS: u32 = 8;

/// A stretch of the store's time, the same for all claves. The number of an attempt says in which era it was begun.
///
/// An attempt may be committed in its own era and in the next one. Afterwards its abort says nothing that its number does
/// not say, and can be forgotten: a coordinator that was stopped in the middle of it, for however long, does not commit it any
/// more. And a clave that is used again is numbered from the era that it is used in, so that no attempt is ever numbered like
/// one that was forgotten: a message that comes late is about nobody else's hold. No clock is needed for any of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Era {
    number: u32,
    attempts: u32,
}

impl Era {
    /// By its number, from 0.
    pub const fn new(number: u32) -> Self {
        Self::of_attempts(number, ATTEMPTS)
    }

    /// One in which a clave can make so many attempts.
    pub const fn of_attempts(number: u32, attempts: u32) -> Self {
        Self { number, attempts }
    }

    /// The number of the era that an attempt was begun in.
    const fn of(self, numero: u32) -> u32 {
        numero.saturating_sub(1) / self.attempts
    }

    /// Whether an attempt may be committed now.
    pub const fn admits(self, numero: u32) -> bool {
        self.number <= self.of(numero).saturating_add(1)
    }

    /// The number of an attempt that begins now, and no lower one; `None` where the clave has made as many as it can.
    pub fn attempt(self, numero: u32) -> Option<u32> {
        let numero = numero.max(self.number.saturating_mul(self.attempts).saturating_add(1));
        (self.of(numero) == self.number).then_some(numero)
    }

    /// Aborts of attempts up to this one are forgotten now: they can be committed no more since [`PARTS`] eras.
    pub const fn forgotten(self) -> u32 {
        self.number.saturating_sub(PARTS + 1).saturating_mul(self.attempts)
    }
}

/// The era that a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraRecord {
    /// Its number.
    pub epoca: u32,
    /// Since when, by the clock of whoever began it.
    pub desde: DateTime<Utc>,
}

impl EraRecord {
    /// The record that follows on this one, where the era has lasted for `length`. One from the future begins again: its
    /// clock was set back.
    pub fn next(self, now: DateTime<Utc>, length: TimeDelta) -> Option<Self> {
        let Self { epoca, desde } = self;
        if desde > now {
            Some(Self { epoca, desde: now })
        } else if now - desde >= length {
            Some(Self { epoca: epoca.saturating_add(1), desde: now })
        } else {
            None
        }
    }
}

/// The store's word on a clave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Nothing was decided yet.
    Nothing,
    /// Attempts up to this one are aborted.
    Aborted(Aborted),
    /// It is bought.
    Bought(Transaccion),
}

/// What has become of one attempt. Every word but [`Fate::Open`] is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It may yet be committed.
    Open,
    /// It is committed.
    Bought,
    /// It never will be: aborted, or another attempt of its clave is bought.
    Lost,
}

impl Word {
    /// What this word on a clave says of one of its attempts. Whoever decides asks this: the store before each of its two
    /// writes, and recovery before it settles a hold.
    pub fn fate(&self, numero: u32) -> Fate {
        match self {
            Self::Bought(t) if t.intento.as_ref().is_some_and(|i| i.numero == numero) => Fate::Bought,
            Self::Bought(_) => Fate::Lost,
            Self::Aborted(a) if a.numero >= numero => Fate::Lost,
            Self::Aborted(_) | Self::Nothing => Fate::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_cannot_be_committed_and_is_not_begun_again() {
        for attempts in [2, ATTEMPTS] {
            let era = |number| Era::of_attempts(number, attempts);
            assert_eq!((era(0).attempt(1), era(0).attempt(attempts)), (Some(1), Some(attempts)));
            assert_eq!(era(0).attempt(attempts + 1), None);
            for number in 0..30 {
                let (now, before) = (era(number), era(number.saturating_sub(1)));
                let first = now.attempt(1).unwrap();
                assert!(now.admits(first) && now.admits(before.attempt(1).unwrap()));
                assert_eq!(number > 1, !now.admits(era(number.saturating_sub(2)).attempt(1).unwrap()));
                let forgotten = now.forgotten();
                assert!(forgotten < first, "{number}");
                assert!((1..=forgotten).all(|numero| !now.admits(numero)), "{number}");
            }
            // kept for PARTS whole eras after the last in which it could be told
            let last = era(3).attempt(4 * attempts).unwrap();
            let forgets = (0..).find(|number| era(*number).forgotten() >= last).unwrap();
            assert_eq!(forgets, 3 + 1 + PARTS + 1);
        }
        assert!(Era::new(u32::MAX).admits(u32::MAX) || Era::new(u32::MAX).attempt(1).is_none());
    }

    #[test]
    fn an_era_lasts_its_time_and_a_clock_that_is_set_back_makes_none() {
        let at = |s| DateTime::<Utc>::from_timestamp(s, 0).unwrap();
        let record = EraRecord { epoca: 3, desde: at(100) };
        let length = TimeDelta::seconds(10);
        assert_eq!(record.next(at(109), length), None);
        assert_eq!(record.next(at(110), length), Some(EraRecord { epoca: 4, desde: at(110) }));
        assert_eq!(record.next(at(90), length), Some(EraRecord { epoca: 3, desde: at(90) }));
    }
}
