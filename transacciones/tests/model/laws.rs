//! What must hold in every state, and what must come of every state once faults stop.

use crate::bugs::Bug;
use crate::participants::{Availability, Hold};
use crate::soup::Kind;
use crate::world::{Happening, Network, PRECIO, State, World, Wrong};
use stateright::{Model, Property};
use transacciones::domain::{Fate, Word};
use transacciones::purchase::{Action, Step};

/// What has to be reached somewhere, or the rest says little.
pub const REACHED: [&str; 3] =
    ["a second attempt buys", "a request is answered with an earlier one's purchase", "a client is refused"];

impl Model for World {
    type State = State;
    type Action = Happening;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, s: &State, out: &mut Vec<Happening>) {
        self.happenings(s, out);
    }

    fn next_state(&self, s: &State, happening: Happening) -> Option<State> {
        let mut next = s.clone();
        self.happen(&mut next, happening);
        self.reduce(&mut next);
        (next != *s).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always("money is neither made nor lost", money),
            Property::always("a token is sold once, and a clave buys once", once),
            Property::always("what is confirmed or sold is committed", only_committed),
            Property::always("what is committed is held or confirmed, once", committed_is_held),
            Property::always("an acknowledged purchase stays, and is the same on replay", acknowledged),
            Property::always("an attempt that was refused is never committed", refused),
            Property::always(
                "no request buys after a younger one with its clave was refused",
                |_, s: &State| s.wrong != Some(Wrong::BoughtAfterRefusal),
            ),
            Property::always("a decided try can be settled as it was decided", |_, s: &State| {
                !matches!(s.wrong, Some(Wrong::NotSettled(_)))
            }),
            Property::always("nothing happens that the state machine does not expect", |_, s: &State| {
                s.wrong != Some(Wrong::Unexpected)
            }),
            Property::always(
                "once faults stop, all tries are settled, the books agree and requests are answered truly",
                |m: &World, s: &State| {
                    s.wrong.is_some() || m.recovered(s).is_some_and(|s| m.answers_truly(&s))
                },
            ),
        ];
        let [second, replay, refusal] = REACHED;
        all.push(Property::sometimes(second, |_, s: &State| s.ledger.iter().any(|e| e.numero == 2)));
        all.push(Property::sometimes(replay, |_, s: &State| {
            s.slots.iter().any(|slot| matches!(slot.step, Some(Step::Confirm { replayed: true, .. })))
        }));
        all.push(Property::sometimes(refusal, |_, s: &State| s.refused.iter().any(|n| *n > 0)));
        if self.law {
            all.push(Property::always("nobody cancels before the abort is durable", law));
        }
        if self.network == Network::Calm {
            let own = "in a calm network nobody is refused for what its own clave holds";
            all.push(Property::always(own, |_, s: &State| s.wrong != Some(Wrong::OwnLeftover)));
        }
        all
    }
}

fn money(m: &World, s: &State) -> bool {
    let debits: u32 = s.usuarios.cargos.iter().map(|c| u32::from(c.monto)).sum();
    let has = s.usuarios.saldos.iter().copied().map(u32::from).sum::<u32>() + debits;
    let got =
        m.saldos.iter().copied().map(u32::from).sum::<u32>() + u32::from((m.abonos - s.abonos) * PRECIO);
    has == got
}

fn once(m: &World, s: &State) -> bool {
    let bodies = || s.ledger.iter().map(|e| &m.orders[usize::from(e.order)]);
    let distinct = |of: fn(&crate::world::Order) -> u8| {
        let mut seen: Vec<_> = bodies().map(of).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len() == s.ledger.len()
    };
    distinct(|p| p.token) && distinct(|p| p.clave)
}

fn committed(m: &World, s: &State) -> impl Iterator<Item = (Hold, u8, u8)> {
    s.ledger.iter().map(|e| {
        let p = &m.orders[usize::from(e.order)];
        (Hold { clave: p.clave, numero: e.numero }, p.token, p.usuario)
    })
}

fn only_committed(m: &World, s: &State) -> bool {
    let sold = s.tokens.0.iter().enumerate().filter_map(|(at, estado)| match estado {
        Availability::Sold(t, usuario) => Some((*t, at, *usuario)),
        Availability::Free | Availability::Reserved(..) => None,
    });
    let mut cargos = s.usuarios.cargos.iter().filter(|c| c.confirmado);
    let mut sold = sold;
    sold.all(|(t, at, usuario)| committed(m, s).any(|(i, k, u)| (i, usize::from(k), u) == (t, at, usuario)))
        && cargos.all(|c| committed(m, s).any(|(i, _, u)| (i, u, PRECIO) == (c.intento, c.usuario, c.monto)))
}

fn committed_is_held(m: &World, s: &State) -> bool {
    committed(m, s).all(|(t, token, _)| {
        s.tokens.0[usize::from(token)].owner_of() == Some(t)
            && s.usuarios.cargos.iter().filter(|c| c.intento == t).count() == 1
    })
}

fn acknowledged(m: &World, s: &State) -> bool {
    let stays = |clave: u8, id: u8| {
        s.ledger.get(usize::from(id) - 1).is_some_and(|e| m.orders[usize::from(e.order)].clave == clave)
    };
    s.wrong != Some(Wrong::Acknowledged)
        && (0..).zip(&s.heard).all(|(k, id)| id.is_none_or(|id| stays(k, id)))
}

fn refused(m: &World, s: &State) -> bool {
    committed(m, s).all(|(t, ..)| t.numero > s.refused[usize::from(t.clave)])
}

fn law(m: &World, s: &State) -> bool {
    s.soup.iter().filter(|c| matches!(c.kind, Kind::CancelToken | Kind::CancelCargo)).all(|cancel| {
        let numero = u32::from(cancel.numero);
        match m.word(s, cancel.of, 0).fate(numero) {
            Fate::Lost => true,
            Fate::Bought => false,
            // forgotten, and yet it can never be committed
            Fate::Open => !m.era(s).admits(numero),
        }
    })
}

/// The most that recovery needs: a pass that aborts and a pass that settles; one more sees that nothing is left.
const PASSES: usize = 3;
/// More steps than any purchase takes that meets no fault.
const STEPS: usize = 30;

impl World {
    /// The state after every process was killed, every message lost, and recovery ran to its end; none where that is not
    /// as it must be.
    fn recovered(&self, s: &State) -> Option<State> {
        let mut s = s.clone();
        let stopped = self.start();
        (s.slots, s.soup) = (stopped.slots, stopped.soup);
        for _ in 0..PASSES {
            let tokens: Vec<_> = s.tokens.pending().map(|t| (true, t)).collect();
            let holds: Vec<_> = tokens.into_iter().chain(s.usuarios.pending().map(|t| (false, t))).collect();
            for (tokens, t) in holds {
                let message = self.recover(&s, tokens, t);
                self.arrive(&mut s, message, None);
            }
        }
        let quiet = s.tokens.pending().next().is_none() && s.usuarios.pending().next().is_none();
        let sold = s.tokens.0.iter().filter(|estado| **estado != Availability::Free).count();
        let agree = sold == s.ledger.len() && s.usuarios.cargos.len() == s.ledger.len();
        let laws = [money, only_committed, committed_is_held].iter().all(|law| law(self, &s));
        (s.wrong.is_none() && quiet && agree && laws).then_some(s)
    }

    /// Whether a request without any fault buys what can be bought, repeats what was, and is refused otherwise.
    fn answers_truly(&self, s: &State) -> bool {
        let slot_of = |order| self.slots.iter().position(|(of, _)| usize::from(*of) == order);
        (0..self.orders.len()).filter_map(slot_of).all(|slot| {
            let mut s = s.clone();
            let order = self.order(slot);
            let word = self.word(&s, order.clave, self.slots[slot].1);
            let token = s.tokens.0[usize::from(order.token)];
            let can = token == Availability::Free && s.usuarios.saldos[usize::from(order.usuario)] >= PRECIO;
            let before = s.ledger.clone();
            s.refused[usize::from(order.clave)] = 0;
            self.begin(&mut s, slot);
            for _ in 0..STEPS {
                let Some(step) = s.slots[slot].step.clone() else { break };
                match step.action(&order.compra) {
                    Action::Look | Action::Commit(..) | Action::Abort(_) => {
                        self.happen(&mut s, Happening::Store(slot));
                    }
                    _ => {
                        for message in self.awaited(slot, &step) {
                            self.happen(&mut s, Happening::Arrives { message, answers: Some(slot) });
                        }
                    }
                }
            }
            let heard = s.heard[usize::from(order.clave)].is_some();
            let mine = match &word {
                Word::Nothing => true,
                Word::Bought(t) => t.answers(&order.compra),
                Word::Aborted(a) => {
                    let same = order.compra.token_id;
                    a.usuario_id == order.compra.usuario_id && a.token_id.is_none_or(|t| t == same)
                }
            };
            // what was ever said of a clave was said to its person
            let own = match &word {
                Word::Nothing => true,
                Word::Bought(t) => t.usuario_id == order.compra.usuario_id,
                Word::Aborted(a) => a.usuario_id == order.compra.usuario_id,
            };
            let bought = matches!(word, Word::Bought(_));
            let used_up =
                matches!(&word, Word::Aborted(a) if self.eras > 0 && self.era(&s).attempt(a.numero + 1).is_none());
            let right = match (mine, bought, can) {
                (true, false, _) if used_up => s.ledger == before,
                (false, ..) => s.ledger == before,
                (true, true, _) => s.ledger == before && heard,
                (true, false, true) => s.ledger.len() == before.len() + 1 && heard,
                (true, false, false) => s.ledger == before && s.refused[usize::from(order.clave)] > 0,
            };
            s.slots[slot].step.is_none() && s.wrong.is_none() && own && right
        })
    }

    /// With a bug, looked for by what comes of it.
    pub fn with(mut self, bug: Bug) -> Self {
        if bug == Bug::KeyOfNobody {
            let clave = self.orders[0].compra.clave.clone();
            for order in &mut self.orders {
                (order.clave, order.compra.clave) = (0, clave.clone());
            }
        }
        Self { bug: Some(bug), law: false, ..self }
    }
}
