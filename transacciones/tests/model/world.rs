//! The world around the purchase: what exists, and everything that can happen in it.
//!
//! The purchase is the product's [`purchase::next`](transacciones::purchase::next) and [`Step::action`], recovery its
//! [`verdict`](transacciones::recovery::verdict), the store its two conditions; the participants' rules are held against
//! the services in `contrast.rs`.
//!
//! **Network.** What was ever sent stays in the soup and may arrive at any time, any number of times, or never: loss,
//! repetition, delay and every order in one. An answer reaches whoever still waits for it, or nobody.
//!
//! **Crashes.** A coordinator's memory is its steps: a killed request is forgotten, and what it sent stays in the soup. A
//! replica that dies is some of its requests killed one after another. A participant that dies has its durable state, the
//! soup holds the rest, and an effect without its answer is a delivery to nobody: nothing else distinguishes it. The
//! store answers, or applies and does not answer, or neither.
//!
//! **Time.** There is none: recovery may take up any pending hold at any moment, as if `ORPHAN_AGE` were zero, and a new era
//! may begin at any moment, in which all is forgotten that may be.

use crate::bugs::Bug;
use crate::participants::{Availability, Hold, Tokens, Usuarios};
use crate::soup::{Message, Soup};
use chrono::DateTime;
use http_kit::access::Carrier;
use market::accounts::Caller;
use market::accounts::rules::{Grant, Role};
use market::accounts::token::{Claims, Subject};
use market::contract::Refusal;
use market::domain::{Intento, Monto, TokenId, TransaccionId, UsuarioId};
use std::sync::Arc;
use transacciones::domain::{Aborted, Compra, Era, Transaccion, Word};
use transacciones::purchase::{Action, Event, Step};

pub const PRECIO: u8 = 60;
/// Attempts of a clave in an era.
const ATTEMPTS_IN_ERA: u32 = 2;

/// A body that requests are made with; all positions are the configuration's.
#[derive(Clone, Debug)]
pub struct Order {
    pub compra: Compra,
    pub clave: u8,
    pub usuario: u8,
    pub token: u8,
}

impl Order {
    pub fn new(clave: u8, usuario: u8, token: u8) -> Self {
        let compra = Compra {
            clave: format!("k{clave}").parse().unwrap(),
            clave_from_client: true,
            usuario_id: UsuarioId::new(u64::from(usuario) + 1).unwrap(),
            token_id: TokenId::new(u64::from(token) + 1).unwrap(),
            precio: None,
            session: None,
        };
        Self { compra, clave, usuario, token }
    }

    /// Of people who log in and all send one key, by usuario and token. The product says whose clave that is; claves that it
    /// does not tell apart are one.
    pub fn under_one_key(of: &[(u8, u8)]) -> Vec<Self> {
        let mut claves = Vec::new();
        let order = |(usuario, token): &(u8, u8)| {
            let clave = person(*usuario).owned("k".parse().unwrap());
            let known = claves.iter().position(|c| *c == clave);
            let at = known.unwrap_or(claves.len());
            claves.push(clave.clone());
            let order = Self::new(small(at as u64), *usuario, *token);
            Self { compra: Compra { clave, ..order.compra }, ..order }
        };
        of.iter().map(order).collect()
    }
}

/// Whoever asks with the session of a usuario's account.
fn person(usuario: u8) -> Caller {
    let id = u64::from(usuario) + 1;
    let (usuario_id, roles) = (UsuarioId::new(id), vec![Role::Buyer]);
    let subject = Subject { account: id, usuario_id, roles, version: 1, sid: 1, api_key: None, auth_time: 0 };
    Caller::Subject { claims: Arc::new(Claims::new(subject, 0)), grant: Grant::Own, carrier: Carrier::Header }
}

/// What a network may do to the messages of a request that has gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// All of it, and requests of one clave overlap.
    Wild,
    /// They are lost, and requests of one clave follow on each other.
    Calm,
}

/// The configuration.
#[derive(Clone, Debug)]
pub struct World {
    pub orders: Vec<Order>,
    /// Requests that may be under way at once: of which pedido, in which replica.
    pub slots: Vec<(u8, u8)>,
    /// Requests in all, by clave.
    pub requests: Vec<u8>,
    pub tokens: u8,
    pub saldos: Vec<u8>,
    /// Times that the price is added to user 0's balance.
    pub abonos: u8,
    /// Times that a new era begins; whatever can be forgotten then is.
    pub eras: u8,
    pub network: Network,
    /// Whether states that differ in nothing that matters count as one: see `reduction.rs`.
    pub reduced: bool,
    pub bug: Option<Bug>,
    /// Whether to look for the breach of the law itself, and not only for what comes of it.
    pub law: bool,
}

/// A request under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    pub step: Option<Step>,
    /// The era that it began in.
    pub era: u8,
    /// Which of the step's messages were answered.
    pub got: u8,
    /// Slots whose request with the same clave began after this one.
    pub younger: u8,
    /// A younger request was refused: this one must not buy any more.
    pub barred: bool,
}

/// A committed purchase; its id is its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub order: u8,
    pub numero: u8,
    /// Who wrote it, where that matters.
    pub replica: u8,
}

/// Attempts of a clave that can never commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    pub numero: u8,
    pub order: u8,
    pub token_known: bool,
}

/// What must not happen, seen as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// A purchase was acknowledged that is not what is recorded, or not what was acknowledged before.
    Acknowledged,
    /// A request bought after a younger one with its clave had been refused.
    BoughtAfterRefusal,
    /// A participant would not confirm or cancel.
    NotSettled(Refusal),
    /// The state machine has no arrow for what happened.
    Unexpected,
    /// A request was refused for what an earlier one with its clave holds.
    OwnLeftover,
}

/// Everything durable, everything in memory, everything on its way, and what clients were told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub slots: Vec<Slot>,
    pub ledger: Vec<Entry>,
    pub aborted: Vec<Option<Fence>>,
    pub tokens: Tokens,
    pub usuarios: Usuarios,
    pub soup: Soup,
    /// Requests not made yet, by clave.
    left: Vec<u8>,
    pub abonos: u8,
    /// The era that the store is in.
    pub era: u8,
    /// The purchase that was acknowledged, by clave.
    pub heard: Vec<Option<u8>>,
    /// The last attempt that was refused, by clave.
    pub refused: Vec<u8>,
    /// What went wrong just now; nothing happens after it.
    pub wrong: Option<Wrong>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A client sends a request: for the first time, again after any answer or none, or while one is under way.
    Request(usize),
    /// The store does what a request asks for, and answers.
    Store(usize),
    /// The store fails a request, having written or not.
    StoreFails { slot: usize, written: bool },
    /// A message arrives; its answer reaches a request or nobody.
    Arrives { message: Message, answers: Option<usize> },
    /// A request's deadline comes.
    GivesUp(usize),
    /// A replica dies with a request.
    Dies(usize),
    /// Recovery takes up a hold that is pending.
    Recovers { tokens: bool, intento: Hold },
    /// Money is added.
    Abono,
    /// A new era begins.
    Era,
}

impl World {
    pub fn start(&self) -> State {
        let claves = self.requests.len();
        State {
            slots: vec![Slot::default(); self.slots.len()],
            ledger: Vec::new(),
            aborted: vec![None; claves],
            tokens: Tokens(vec![Availability::Free; usize::from(self.tokens)]),
            usuarios: Usuarios { saldos: self.saldos.clone(), cargos: Vec::new() },
            soup: Soup::default(),
            left: self.requests.clone(),
            abonos: self.abonos,
            era: 0,
            heard: vec![None; claves],
            refused: vec![0; claves],
            wrong: None,
        }
    }

    pub fn order(&self, slot: usize) -> &Order {
        &self.orders[usize::from(self.slots[slot].0)]
    }

    /// The store's word on a clave, as a replica reads it.
    pub fn word(&self, s: &State, clave: u8, replica: u8) -> Word {
        let alone = self.bug == Some(Bug::UniquePerProcess);
        let bought = s.ledger.iter().enumerate().find(|(_, e)| {
            self.orders[usize::from(e.order)].clave == clave && (!alone || e.replica == replica)
        });
        if let Some((at, entry)) = bought {
            return Word::Bought(self.transaccion(at, *entry));
        }
        match s.aborted[usize::from(clave)] {
            None => Word::Nothing,
            Some(a) => {
                let compra = &self.orders[usize::from(a.order)].compra;
                Word::Aborted(Aborted {
                    clave: compra.clave.clone(),
                    numero: u32::from(a.numero),
                    usuario_id: compra.usuario_id,
                    token_id: a.token_known.then_some(compra.token_id),
                })
            }
        }
    }

    /// The era that the store is in. A clave makes few attempts in one of them, so that small numbers reach far.
    pub fn era(&self, s: &State) -> Era {
        let number = if self.bug == Some(Bug::NumbersUsedAgain) { 0 } else { u32::from(s.era) };
        Era::of_attempts(number, ATTEMPTS_IN_ERA)
    }

    /// The era that a slot's request began in.
    pub fn era_of(&self, slot: &Slot) -> Era {
        let number = if self.bug == Some(Bug::NumbersUsedAgain) { 0 } else { u32::from(slot.era) };
        Era::of_attempts(number, ATTEMPTS_IN_ERA)
    }

    /// Forgets every abort that may be: the product keeps them for longer. There is no clock that could go wrong.
    fn forget_aborts(&self, s: &mut State) {
        let era = Era::of_attempts(u32::from(s.era), ATTEMPTS_IN_ERA);
        for abort in &mut s.aborted {
            let early = self.bug == Some(Bug::ForgetsTooEarly);
            if abort.is_some_and(|a| early || !era.admits(u32::from(a.numero))) {
                *abort = None;
            }
        }
    }

    pub fn transaccion(&self, at: usize, entry: Entry) -> Transaccion {
        let compra = &self.orders[usize::from(entry.order)].compra;
        Transaccion {
            id: TransaccionId::new(at as u64 + 1).unwrap(),
            usuario_id: compra.usuario_id,
            token_id: compra.token_id,
            fecha: DateTime::UNIX_EPOCH,
            precio: precio(),
            intento: Some(Intento { clave: compra.clave.clone(), numero: u32::from(entry.numero) }),
            lugar: None,
            pod: None,
        }
    }

    /// Everything that can happen now.
    pub fn happenings(&self, s: &State, out: &mut Vec<Happening>) {
        if s.wrong.is_some() {
            return;
        }
        for (slot, Slot { step, .. }) in s.slots.iter().enumerate() {
            let Some(step) = step else {
                let clave = self.order(slot).clave;
                let overlaps =
                    (0..s.slots.len()).any(|o| self.order(o).clave == clave && s.slots[o].step.is_some());
                if s.left[usize::from(clave)] > 0 && (self.network == Network::Wild || !overlaps) {
                    out.push(Happening::Request(slot));
                }
                continue;
            };
            match step.action(&self.order(slot).compra) {
                Action::Look => out.extend([Happening::Store(slot), Happening::Dies(slot)]),
                Action::Commit(..) | Action::Abort(_) => out.extend([
                    Happening::Store(slot),
                    Happening::StoreFails { slot, written: false },
                    Happening::StoreFails { slot, written: true },
                    Happening::Dies(slot),
                ]),
                _ => {
                    out.push(Happening::GivesUp(slot));
                    // in the other steps whoever gives up is gone as well
                    if matches!(step, Step::Confirm { .. } | Step::Cancel { .. }) {
                        out.push(Happening::Dies(slot));
                    }
                }
            }
        }
        for message in s.soup.iter() {
            out.push(Happening::Arrives { message, answers: None });
            let waiting = (0..s.slots.len()).filter(|slot| self.waits(s, *slot, message));
            out.extend(waiting.map(|slot| Happening::Arrives { message, answers: Some(slot) }));
        }
        out.extend(s.tokens.pending().map(|intento| Happening::Recovers { tokens: true, intento }));
        out.extend(s.usuarios.pending().map(|intento| Happening::Recovers { tokens: false, intento }));
        if s.abonos > 0 {
            out.push(Happening::Abono);
        }
        if s.era < self.eras {
            out.push(Happening::Era);
        }
    }

    /// What comes of it.
    pub fn happen(&self, s: &mut State, happening: Happening) {
        match happening {
            Happening::Request(slot) => {
                s.left[usize::from(self.order(slot).clave)] -= 1;
                self.begin(s, slot);
            }
            Happening::Store(slot) => {
                let event = self.store(s, slot);
                self.event(s, slot, event);
            }
            Happening::StoreFails { slot, written } => {
                if written {
                    self.store(s, slot);
                }
                self.event(s, slot, Event::NoStore);
            }
            Happening::Arrives { message, answers } => {
                let event = self.arrive(s, message, answers);
                if let Some(slot) = answers {
                    self.answered(s, slot, message, event);
                }
            }
            Happening::GivesUp(slot) => self.event(s, slot, Event::NoAnswer),
            Happening::Dies(slot) => self.leave(s, slot),
            Happening::Recovers { tokens, intento } => {
                let message = self.recover(s, tokens, intento);
                // where aborts are forgotten, what recovery has read may be forgotten before what it sends arrives
                if self.reduced && self.eras == 0 {
                    self.arrive(s, message, None);
                } else {
                    s.soup.insert(message);
                }
            }
            Happening::Era => {
                s.era += 1;
                self.forget_aborts(s);
            }
            Happening::Abono => {
                s.abonos -= 1;
                s.usuarios.saldos[0] += PRECIO;
            }
        }
    }
}

pub fn precio() -> Monto {
    Monto::new(u64::from(PRECIO)).unwrap()
}

pub fn small(n: impl Into<u64>) -> u8 {
    u8::try_from(n.into()).unwrap()
}
