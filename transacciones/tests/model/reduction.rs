//! Fewer states for the same behaviours.
//!
//! - A confirmation or cancellation that agrees with the store's word, and that nobody waits for, is not kept in the soup: as
//!   long as it could have an effect its hold is pending, and recovery may send it again at any moment.
//! - For the same reason recovery's reading, its write and its message are one happening: the store's word on an attempt
//!   does not change once it is decided, and while it is not, nobody settles its holds.
//! - A reservation of a token that is sold and a debit that is confirmed change nothing any more, nor does an abort of an
//!   attempt that is decided.
//! - Where aborts are forgotten, the word on an attempt does change, and neither of the first two is done.
//! - Replicas are alike: which of two requests with the same body runs where does not matter.
//!
//! None of it is taken on trust: `main.rs` explores a market with and without, and compares what was reached.

use crate::bugs::Bug;
use crate::participants::{Availability, Hold};
use crate::soup::{Kind, Message};
use crate::world::{Slot, State, World};
use std::hash::{DefaultHasher, Hash, Hasher};
use transacciones::domain::Fate;

impl World {
    /// The state that stands for this one.
    pub fn reduce(&self, s: &mut State) {
        if self.reduced {
            let mut soup = s.soup;
            soup.keep(|message| {
                (0..s.slots.len()).any(|slot| self.waits(s, slot, message)) || self.matters(s, message)
            });
            s.soup = soup;
            self.sort(s);
        }
    }

    fn matters(&self, s: &State, Message { kind, of, numero }: Message) -> bool {
        let body = kind.is_of_a_body().then(|| &self.orders[usize::from(of)]);
        let clave = body.map_or(of, |p| p.clave);
        let fate = || self.word(s, clave, 0).fate(u32::from(numero));
        let t = Hold { clave, numero };
        match kind {
            Kind::Reserve => {
                body.is_none_or(|p| !matches!(s.tokens.0[usize::from(p.token)], Availability::Sold(..)))
            }
            Kind::Charge => {
                self.bug == Some(Bug::ChargesAgain)
                    || !s.usuarios.cargos.iter().any(|c| c.intento == t && c.confirmado)
            }
            Kind::ConfirmToken | Kind::ConfirmCargo => fate() != Fate::Bought,
            // what is lost now may be forgotten later
            Kind::CancelToken | Kind::CancelCargo => self.eras > 0 || fate() != Fate::Lost,
            Kind::AbortByToken | Kind::AbortByCargo => self.eras > 0 || fate() == Fate::Open,
        }
    }

    /// Puts slots of one body in an order.
    fn sort(&self, s: &mut State) {
        if self.bug == Some(Bug::UniquePerProcess) {
            return;
        }
        for (a, b) in (1..self.slots.len()).map(|b| (b - 1, b)) {
            if self.slots[a].0 == self.slots[b].0 && order(&s.slots[a]) > order(&s.slots[b]) {
                s.slots.swap(a, b);
                for slot in &mut s.slots {
                    let younger = slot.younger;
                    let bit = |from: usize, to: usize| (younger >> from & 1) << to;
                    slot.younger = younger & !(1 << a | 1 << b) | bit(a, b) | bit(b, a);
                }
            }
        }
    }
}

fn order(slot: &Slot) -> (bool, u64, u32) {
    let mut hasher = DefaultHasher::new();
    (&slot.step, slot.got, slot.barred).hash(&mut hasher);
    (slot.step.is_some(), hasher.finish(), slot.younger.count_ones())
}
