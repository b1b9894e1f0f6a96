//! What was ever sent: a set, since a message that is the same is the same however often it is sent.

use std::fmt;

/// The kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reserve,
    Charge,
    ConfirmToken,
    ConfirmCargo,
    CancelToken,
    CancelCargo,
    /// Recovery's write to the store, for a hold that it found at `tokens`.
    AbortByToken,
    /// The same for one at `usuarios`, which does not know the token.
    AbortByCargo,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Reserve,
        Self::Charge,
        Self::ConfirmToken,
        Self::ConfirmCargo,
        Self::CancelToken,
        Self::CancelCargo,
        Self::AbortByToken,
        Self::AbortByCargo,
    ];

    /// Whether it is sent for a body, and not for a clave only.
    pub fn is_of_a_body(self) -> bool {
        matches!(self, Self::Reserve | Self::Charge | Self::AbortByToken | Self::AbortByCargo)
    }
}

/// A message for one attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    /// A body or a clave, by position.
    pub of: u8,
    pub numero: u8,
}

/// Bodies that there is room for.
const BODIES: u8 = 2;
/// Attempts of a clave: one for each request, and one for the request after recovery.
const ATTEMPTS: u8 = 8;

impl Message {
    fn bit(self) -> u128 {
        let fits = self.of < BODIES && (1..=ATTEMPTS).contains(&self.numero);
        assert!(fits, "{self:?} does not fit into the soup");
        1 << ((self.kind as u8 * BODIES + self.of) * ATTEMPTS + self.numero - 1)
    }

    fn of_bit(bit: u32) -> Self {
        let bit = u8::try_from(bit).unwrap();
        let kind = Kind::ALL[usize::from(bit / (BODIES * ATTEMPTS))];
        Self { kind, of: bit / ATTEMPTS % BODIES, numero: bit % ATTEMPTS + 1 }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}#{})", self.kind, self.of, self.numero)
    }
}

/// A set of messages.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Soup(u128);

impl Soup {
    pub fn insert(&mut self, message: Message) {
        self.0 |= message.bit();
    }

    pub fn keep(&mut self, which: impl Fn(Message) -> bool) {
        *self = Self(self.iter().filter(|m| which(*m)).fold(0, |bits, m| bits | m.bit()));
    }

    pub fn iter(self) -> impl Iterator<Item = Message> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros())?;
            rest &= rest - 1;
            Some(Message::of_bit(bit))
        })
    }
}

impl fmt::Debug for Soup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
