//! The world around the purchase: what exists, and everything that can happen in it.
//!
//! The purchase is the product's [`purchase::next`](transacciones::purchase::next) and [`Step::action`], recovery its
//! [`verdict`](transacciones::recovery::verdict), the store its two conditions; the participants' rules are held against
//! the services in `contraste.rs`.
//!
//! **Network.** What was ever sent stays in the soup and may arrive at any time, any number of times, or never: loss,
//! repetition, delay and every order in one. An answer reaches whoever still waits for it, or nobody.
//!
//! **Crashes.** A coordinator's memory is its steps: a killed request is forgotten, and what it sent stays in the soup. A
//! replica that dies is some of its requests killed one after another. A participant that dies has its durable state, the
//! soup holds the rest, and an effect without its answer is a delivery to nobody: nothing else distinguishes it. The
//! store answers, or applies and does not answer, or neither.
//!
//! **Time.** There is none: recovery may take up any pending try at any moment, as if `ORPHAN_AGE` were zero.

use crate::errores::{self, Bug};
use crate::participantes::{Cargo, Estado, Tokens, Try, Usuarios};
use crate::soup::{Kind, Message, Soup};
use chrono::DateTime;
use common::contract::Refusal;
use common::domain::{Intento, Monto, TokenId, TransaccionId, UsuarioId};
use transacciones::domain::{Abortado, Compra, Palabra, Transaccion};
use transacciones::purchase::{Action, Event, Outcome, Step};
use transacciones::recovery::Verdict;

pub const PRECIO: u8 = 60;

/// A body that requests are made with; all positions are the configuration's.
#[derive(Clone, Debug)]
pub struct Pedido {
    pub compra: Compra,
    pub clave: u8,
    pub usuario: u8,
    pub token: u8,
}

impl Pedido {
    pub fn new(clave: u8, usuario: u8, token: u8) -> Self {
        let compra = Compra {
            clave: format!("k{clave}").parse().unwrap(),
            clave_del_cliente: true,
            usuario_id: UsuarioId::new(u64::from(usuario) + 1).unwrap(),
            token_id: TokenId::new(u64::from(token) + 1).unwrap(),
            precio: None,
        };
        Self { compra, clave, usuario, token }
    }
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
pub struct Mundo {
    pub pedidos: Vec<Pedido>,
    /// Requests that may be under way at once: of which pedido, in which replica.
    pub slots: Vec<(u8, u8)>,
    /// Requests in all, by clave.
    pub requests: Vec<u8>,
    pub tokens: u8,
    pub saldos: Vec<u8>,
    /// Times that the price is added to user 0's balance.
    pub abonos: u8,
    pub network: Network,
    /// Whether states that differ in nothing that matters count as one: see `reduccion.rs`.
    pub reduced: bool,
    pub bug: Option<Bug>,
    /// Whether to look for the breach of the law itself, and not only for what comes of it.
    pub law: bool,
}

/// A request under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    pub step: Option<Step>,
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
    pub pedido: u8,
    pub numero: u8,
    /// Who wrote it, where that matters.
    replica: u8,
}

/// Attempts of a clave that can never commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Aborted {
    numero: u8,
    pedido: u8,
    token_known: bool,
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
    pub libro: Vec<Entry>,
    aborted: Vec<Option<Aborted>>,
    pub tokens: Tokens,
    pub usuarios: Usuarios,
    pub soup: Soup,
    /// Requests not made yet, by clave.
    left: Vec<u8>,
    pub abonos: u8,
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
    /// Recovery takes up a try that is pending.
    Recovers { tokens: bool, intento: Try },
    /// Money is added.
    Abono,
}

impl Mundo {
    pub fn start(&self) -> State {
        let claves = self.requests.len();
        State {
            slots: vec![Slot::default(); self.slots.len()],
            libro: Vec::new(),
            aborted: vec![None; claves],
            tokens: Tokens(vec![Estado::Libre; usize::from(self.tokens)]),
            usuarios: Usuarios { saldos: self.saldos.clone(), cargos: Vec::new() },
            soup: Soup::default(),
            left: self.requests.clone(),
            abonos: self.abonos,
            heard: vec![None; claves],
            refused: vec![0; claves],
            wrong: None,
        }
    }

    pub fn pedido(&self, slot: usize) -> &Pedido {
        &self.pedidos[usize::from(self.slots[slot].0)]
    }

    /// The store's word on a clave, as a replica reads it.
    pub fn palabra(&self, s: &State, clave: u8, replica: u8) -> Palabra {
        let alone = self.bug == Some(Bug::UniquePerProcess);
        let bought = s.libro.iter().enumerate().find(|(_, e)| {
            self.pedidos[usize::from(e.pedido)].clave == clave && (!alone || e.replica == replica)
        });
        if let Some((at, entry)) = bought {
            return Palabra::Comprado(self.transaccion(at, *entry));
        }
        match s.aborted[usize::from(clave)] {
            None => Palabra::Nada,
            Some(a) => {
                let compra = &self.pedidos[usize::from(a.pedido)].compra;
                Palabra::Abortado(Abortado {
                    clave: compra.clave.clone(),
                    numero: u32::from(a.numero),
                    usuario_id: compra.usuario_id,
                    token_id: a.token_known.then_some(compra.token_id),
                })
            }
        }
    }

    fn transaccion(&self, at: usize, entry: Entry) -> Transaccion {
        let compra = &self.pedidos[usize::from(entry.pedido)].compra;
        Transaccion {
            id: TransaccionId::new(at as u64 + 1).unwrap(),
            usuario_id: compra.usuario_id,
            token_id: compra.token_id,
            fecha: DateTime::UNIX_EPOCH,
            precio: precio(),
            intento: Some(Intento { clave: compra.clave.clone(), numero: u32::from(entry.numero) }),
        }
    }

    /// Everything that can happen now.
    pub fn happenings(&self, s: &State, out: &mut Vec<Happening>) {
        if s.wrong.is_some() {
            return;
        }
        for (slot, Slot { step, .. }) in s.slots.iter().enumerate() {
            let Some(step) = step else {
                let clave = self.pedido(slot).clave;
                let overlaps =
                    (0..s.slots.len()).any(|o| self.pedido(o).clave == clave && s.slots[o].step.is_some());
                if s.left[usize::from(clave)] > 0 && (self.network == Network::Wild || !overlaps) {
                    out.push(Happening::Request(slot));
                }
                continue;
            };
            match step.action(&self.pedido(slot).compra) {
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
    }

    /// What comes of it.
    pub fn happen(&self, s: &mut State, happening: Happening) {
        match happening {
            Happening::Request(slot) => {
                s.left[usize::from(self.pedido(slot).clave)] -= 1;
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
                if self.reduced {
                    self.arrive(s, message, None);
                } else {
                    s.soup.insert(message);
                }
            }
            Happening::Abono => {
                s.abonos -= 1;
                s.usuarios.saldos[0] += PRECIO;
            }
        }
    }

    /// A request comes in and looks: before that it has no effect, so that the two need not be told apart.
    pub fn begin(&self, s: &mut State, slot: usize) {
        let clave = self.pedido(slot).clave;
        for other in 0..s.slots.len() {
            if other != slot && self.pedido(other).clave == clave && s.slots[other].step.is_some() {
                s.slots[other].younger |= 1 << slot;
            }
        }
        s.slots[slot] = Slot { step: Some(Step::Look), ..Slot::default() };
        let event = self.store(s, slot);
        self.event(s, slot, event);
    }

    /// The store does what a slot's step asks for.
    pub fn store(&self, s: &mut State, slot: usize) -> Event {
        let (pedido, replica) = self.slots[slot];
        let Pedido { clave, compra, .. } = self.pedido(slot);
        let palabra = self.palabra(s, *clave, replica);
        match s.slots[slot].step.as_ref().map(|step| step.action(compra)) {
            Some(Action::Look) => Event::Word(palabra),
            Some(Action::Commit(intento, _)) => {
                if errores::may_commit(self.bug, &palabra, intento.numero).is_err() {
                    return Event::Overtaken;
                }
                if s.slots[slot].barred {
                    s.wrong = Some(Wrong::BoughtAfterRefusal);
                }
                let replica = if self.bug == Some(Bug::UniquePerProcess) { replica } else { 0 };
                let entry = Entry { pedido, numero: small(intento.numero), replica };
                s.libro.push(entry);
                Event::Committed(self.transaccion(s.libro.len() - 1, entry))
            }
            Some(Action::Abort(intento)) => {
                self.abort(s, &palabra, Aborted { numero: small(intento.numero), pedido, token_known: true })
            }
            _ => Event::NoStore,
        }
    }

    fn abort(&self, s: &mut State, palabra: &Palabra, aborted: Aborted) -> Event {
        match errores::must_abort(self.bug, palabra, u32::from(aborted.numero)) {
            Err(_) => return Event::Overtaken,
            Ok(false) => {}
            Ok(true) => {
                let clave = self.pedidos[usize::from(aborted.pedido)].clave;
                s.aborted[usize::from(clave)] = Some(aborted);
            }
        }
        Event::Aborted
    }

    /// A request's step came out so.
    pub fn event(&self, s: &mut State, slot: usize, event: Event) {
        let Some(step) = s.slots[slot].step.clone() else { return };
        let before = numero(&step);
        let compra = &self.pedido(slot).compra;
        self.forget(s);
        let Ok(next) = errores::next(self.bug, compra, step, event) else {
            s.wrong = Some(Wrong::Unexpected);
            return;
        };
        s.slots[slot].got = 0;
        let action = next.action(compra);
        for message in self.sent(slot, &next) {
            s.soup.insert(message);
        }
        s.slots[slot].step = Some(next);
        if let Action::Answer(outcome) = action {
            self.answer(s, slot, before, &outcome);
            self.leave(s, slot);
        }
    }

    /// A client hears the end of its request.
    fn answer(&self, s: &mut State, slot: usize, numero: u8, outcome: &Outcome) {
        let Pedido { clave, compra, .. } = self.pedido(slot);
        let at = usize::from(*clave);
        match outcome {
            Outcome::Comprado { transaccion, .. } => {
                let id = small(transaccion.id.get());
                let recorded =
                    s.libro.get(usize::from(id) - 1).map(|e| self.transaccion(usize::from(id) - 1, *e));
                let known = recorded.as_ref() == Some(transaccion) && transaccion.responde_a(compra);
                if !known || s.heard[at].is_some_and(|before| before != id) {
                    s.wrong = Some(Wrong::Acknowledged);
                }
                s.heard[at] = Some(id);
            }
            Outcome::Rechazado(_) => {
                s.refused[at] = s.refused[at].max(numero);
                for older in s.slots.iter_mut().filter(|o| o.younger & 1 << slot != 0) {
                    older.barred = true;
                }
            }
            _ => {}
        }
    }

    fn leave(&self, s: &mut State, slot: usize) {
        s.slots[slot] = Slot::default();
        for other in &mut s.slots {
            // whoever takes the slot next is younger, too, and says so when it begins
            other.younger &= !(1 << slot);
        }
        self.forget(s);
    }

    fn forget(&self, s: &mut State) {
        if self.network == Network::Calm {
            s.soup.keep(|m| matches!(m.kind, Kind::AbortByToken | Kind::AbortByCargo));
        }
    }

    /// What a slot sends when it comes to a step, and waits for there.
    pub fn awaited(&self, slot: usize, step: &Step) -> Vec<Message> {
        let (pedido, clave) = (self.slots[slot].0, self.pedido(slot).clave);
        let message = |kind, of, numero: u32| Message { kind, of, numero: small(numero) };
        match step.action(&self.pedido(slot).compra) {
            Action::Reserve(i) => vec![message(Kind::Reserve, pedido, i.numero)],
            Action::Charge(i, _) => vec![message(Kind::Charge, pedido, i.numero)],
            Action::Confirm(t) => {
                t.intento.map(|i| message(Kind::ConfirmToken, clave, i.numero)).into_iter().collect()
            }
            Action::Cancel { intento, cargo } => {
                let mut both = vec![message(Kind::CancelToken, clave, intento.numero)];
                both.extend(cargo.then(|| message(Kind::CancelCargo, clave, intento.numero)));
                both
            }
            Action::Look | Action::Commit(..) | Action::Abort(_) | Action::Answer(_) => Vec::new(),
        }
    }

    fn sent(&self, slot: usize, step: &Step) -> Vec<Message> {
        let mut all = self.awaited(slot, step);
        let clave = self.pedido(slot).clave;
        let of = |kind, numero: u32| Message { kind, of: clave, numero: small(numero) };
        match (self.bug, step.action(&self.pedido(slot).compra)) {
            // the debit's end is not waited for
            (_, Action::Confirm(t)) => all.extend(t.intento.map(|i| of(Kind::ConfirmCargo, i.numero))),
            (Some(Bug::ConfirmsBeforeCommit), Action::Commit(i, _)) => {
                all.extend([of(Kind::ConfirmToken, i.numero), of(Kind::ConfirmCargo, i.numero)]);
            }
            (Some(Bug::CancelsBeforeAbort), Action::Abort(i)) => all.push(of(Kind::CancelToken, i.numero)),
            _ => {}
        }
        all
    }

    pub fn waits(&self, s: &State, slot: usize, message: Message) -> bool {
        let Slot { step: Some(step), got, .. } = &s.slots[slot] else { return false };
        self.awaited(slot, step).iter().enumerate().any(|(i, m)| *m == message && got & 1 << i == 0)
    }

    /// The answer to one of a step's messages; the step is done with the last.
    fn answered(&self, s: &mut State, slot: usize, message: Message, event: Event) {
        let Some(step) = &s.slots[slot].step else { return };
        let awaited = self.awaited(slot, step);
        for (i, m) in awaited.iter().enumerate() {
            if *m == message {
                s.slots[slot].got |= 1 << i;
            }
        }
        if s.slots[slot].got.count_ones() as usize == awaited.len() {
            self.event(s, slot, event);
        }
    }

    /// Whether to try it again, by the participant's rules; and the answer, if anybody waits for it.
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

pub fn precio() -> Monto {
    Monto::new(u64::from(PRECIO)).unwrap()
}

fn small(n: impl Into<u64>) -> u8 {
    u8::try_from(n.into()).unwrap()
}

fn numero(step: &Step) -> u8 {
    match step {
        Step::Reserve { numero }
        | Step::Clear { numero }
        | Step::Charge { numero, .. }
        | Step::Commit { numero, .. }
        | Step::Abort { numero, .. }
        | Step::Cancel { numero, .. } => small(*numero),
        _ => 0,
    }
}
