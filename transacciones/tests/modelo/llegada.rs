//! A message arrives, or recovery takes up a try.

use crate::errores::{self, Bug};
use crate::mundo::{Aborted, Mundo, Network, PRECIO, Pedido, State, Wrong, precio, small};
use crate::participantes::{Cargo, Estado, Try, Usuarios};
use crate::soup::{Kind, Message};
use market::contract::Refusal;
use transacciones::purchase::Event;
use transacciones::recovery::Verdict;

impl Mundo {
    /// What a participant, or the store, does with a message; and its answer.
    pub fn arrive(&self, s: &mut State, message: Message, answers: Option<usize>) -> Event {
        let Message { kind, of, numero } = message;
        let body = &self.pedidos[usize::from(of).min(self.pedidos.len() - 1)];
        let clave = if kind.is_of_a_body() { body.clave } else { of };
        let t = Try { clave, numero };
        match kind {
            Kind::Reserve => match s.tokens.reserve(t, body.token, body.usuario) {
                Ok(()) => Event::Reserved(precio()),
                Err(refusal) => {
                    let holder = s.tokens.0[usize::from(body.token)].de();
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
                let palabra = self.palabra(s, clave, 0);
                self.abort(
                    s,
                    &palabra,
                    Aborted { numero, pedido: of, token_known: kind == Kind::AbortByToken },
                )
            }
        }
    }

    /// In a wild network a late message can hold what the next attempt needs, and recovery has to free it first.
    fn leftover(&self, s: &mut State) {
        if self.network == Network::Calm {
            s.wrong = Some(Wrong::OwnLeftover);
        }
    }

    /// What recovery sends for a try: to the participant, or to the store, after which it asks again.
    pub fn recover(&self, s: &State, tokens: bool, intento: Try) -> Message {
        let Try { clave, numero } = intento;
        let verdict = errores::verdict(self.bug, &self.palabra(s, clave, 0), u32::from(numero));
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
    fn body(&self, s: &State, tokens: bool, intento: Try) -> u8 {
        let token = s.tokens.position(intento).filter(|_| tokens);
        let usuario = match token.map(|at| s.tokens.0[at]) {
            Some(Estado::Reservado(_, usuario) | Estado::Vendido(_, usuario)) => Some(usuario),
            _ => s.usuarios.cargos.iter().find(|c| c.intento == intento).map(|c| c.usuario),
        };
        let same = |p: &Pedido| {
            p.clave == intento.clave
                && usuario.is_none_or(|u| u == p.usuario)
                && token.is_none_or(|t| t == usize::from(p.token))
        };
        small(self.pedidos.iter().position(same).unwrap_or_default() as u64)
    }
}

fn settled(answer: Result<(), Refusal>, wrong: &mut Option<Wrong>) -> Event {
    if let Err(refusal) = answer {
        *wrong = Some(Wrong::NotSettled(refusal));
    }
    Event::Done
}
