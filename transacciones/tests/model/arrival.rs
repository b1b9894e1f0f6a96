//! A message arrives, or recovery takes up a hold.

use crate::bugs::{self, Bug};
use crate::participants::{Availability, Cargo, Hold, Usuarios};
use crate::soup::{Kind, Message};
use crate::world::{Fence, Network, Order, PRECIO, State, World, Wrong, precio, small};
use market::contract::Refusal;
use transacciones::purchase::Event;
use transacciones::recovery::Verdict;

impl World {
    /// What a participant, or the store, does with a message; and its answer.
    pub fn arrive(&self, s: &mut State, message: Message, answers: Option<usize>) -> Event {
        let Message { kind, of, numero } = message;
        let body = &self.orders[usize::from(of).min(self.orders.len() - 1)];
        let clave = if kind.is_of_a_body() { body.clave } else { of };
        let t = Hold { clave, numero };
        match kind {
            Kind::Reserve => match s.tokens.reserve(t, body.token, body.usuario) {
                Ok(()) => Event::Reserved(precio()),
                Err(refusal) => {
                    let holder = s.tokens.0[usize::from(body.token)].owner_of();
                    if answers.is_some() && holder.is_some_and(|h| h.clave == clave && h != t) {
                        self.leftover(s);
                    }
                    Event::Refused(refusal)
                }
            },
            Kind::Charge => {
                let again = self.bug == Some(Bug::ChargesAgain);
                let charge = if again { Usuarios::charge_again } else { Usuarios::charge };
                match charge(&mut s.usuarios, t, body.usuario, PRECIO) {
                    Ok(()) => Event::Charged,
                    Err(refusal) => {
                        let own = |c: &Cargo| c.intento.clave == clave && c.intento != t && !c.confirmado;
                        if answers.is_some() && s.usuarios.cargos.iter().any(own) {
                            self.leftover(s);
                        }
                        Event::Refused(refusal)
                    }
                }
            }
            Kind::ConfirmToken => settled(s.tokens.confirm(t), &mut s.wrong),
            Kind::ConfirmCargo => settled(s.usuarios.confirm(t), &mut s.wrong),
            Kind::CancelToken => settled(s.tokens.cancel(t), &mut s.wrong),
            Kind::CancelCargo => settled(s.usuarios.cancel(t), &mut s.wrong),
            Kind::AbortByToken | Kind::AbortByCargo => {
                let word = self.word(s, clave, 0);
                self.abort(s, &word, Fence { numero, order: of, token_known: kind == Kind::AbortByToken })
            }
        }
    }

    /// In a wild network a late message can hold what the next attempt needs, and recovery has to free it first.
    fn leftover(&self, s: &mut State) {
        if self.network == Network::Calm {
            s.wrong = Some(Wrong::OwnLeftover);
        }
    }

    /// What recovery sends for a hold: to the participant, or to the store, after which it asks again.
    pub fn recover(&self, s: &State, tokens: bool, intento: Hold) -> Message {
        let Hold { clave, numero } = intento;
        let verdict = bugs::verdict(self.bug, &self.word(s, clave, 0), u32::from(numero));
        let (kind, of) = match (verdict, tokens) {
            (Verdict::Confirm, true) => (Kind::ConfirmToken, clave),
            (Verdict::Confirm, false) => (Kind::ConfirmCargo, clave),
            (Verdict::Cancel, true) => (Kind::CancelToken, clave),
            (Verdict::Cancel, false) => (Kind::CancelCargo, clave),
            (Verdict::AbortFirst, true) => (Kind::AbortByToken, self.body(s, tokens, intento)),
            (Verdict::AbortFirst, false) => (Kind::AbortByCargo, self.body(s, tokens, intento)),
        };
        Message { kind, of, numero }
    }

    /// Whose try it is, as far as the participant knows.
    fn body(&self, s: &State, tokens: bool, intento: Hold) -> u8 {
        let token = s.tokens.position(intento).filter(|_| tokens);
        let usuario = match token.map(|at| s.tokens.0[at]) {
            Some(Availability::Reserved(_, usuario) | Availability::Sold(_, usuario)) => Some(usuario),
            _ => s.usuarios.cargos.iter().find(|c| c.intento == intento).map(|c| c.usuario),
        };
        let same = |p: &Order| {
            p.clave == intento.clave
                && usuario.is_none_or(|u| u == p.usuario)
                && token.is_none_or(|t| t == usize::from(p.token))
        };
        small(self.orders.iter().position(same).unwrap_or_default() as u64)
    }
}

fn settled(answer: Result<(), Refusal>, wrong: &mut Option<Wrong>) -> Event {
    if let Err(refusal) = answer {
        *wrong = Some(Wrong::NotSettled(refusal));
    }
    Event::Done
}
