//! A request: the product's state machine, step by step, and what its client hears.

use crate::bugs::{self, Bug};
use crate::soup::{Kind, Message};
use crate::world::{Entry, Fence, Network, Order, Slot, State, World, Wrong, small};
use transacciones::domain::{Bought, Word};
use transacciones::error::Error;
use transacciones::purchase::{self, Action, Event, Step};

impl World {
    /// A request comes in and looks: before that it has no effect, so that the two need not be told apart.
    pub fn begin(&self, s: &mut State, slot: usize) {
        let clave = self.order(slot).clave;
        for other in 0..s.slots.len() {
            if other != slot && self.order(other).clave == clave && s.slots[other].step.is_some() {
                s.slots[other].younger |= 1 << slot;
            }
        }
        s.slots[slot] = Slot { era: s.era, ..Slot::default() };
        let first = self.numbered(&s.slots[slot], Step::first(&self.order(slot).compra));
        s.slots[slot].step = Some(first);
        let event = self.store(s, slot);
        self.event(s, slot, event);
    }

    /// As the runner does it.
    fn numbered(&self, slot: &Slot, step: Step) -> Step {
        if self.eras > 0 { purchase::numbered(step, self.era_of(slot)) } else { step }
    }

    /// The store does what a slot's step asks for.
    pub fn store(&self, s: &mut State, slot: usize) -> Event {
        let (order, replica) = self.slots[slot];
        let Order { clave, compra, .. } = self.order(slot);
        let word = self.word(s, *clave, replica);
        match s.slots[slot].step.as_ref().map(|step| step.action(compra)) {
            Some(Action::Look) => Event::Word(word),
            Some(Action::Commit(intento, _)) => {
                if bugs::may_commit(self.bug, &word, self.era(s), intento.numero).is_err() {
                    return Event::Overtaken;
                }
                if s.slots[slot].barred {
                    s.wrong = Some(Wrong::BoughtAfterRefusal);
                }
                let replica = if self.bug == Some(Bug::UniquePerProcess) { replica } else { 0 };
                let entry = Entry { order, numero: small(intento.numero), replica };
                s.ledger.push(entry);
                Event::Committed(self.transaccion(s.ledger.len() - 1, entry))
            }
            Some(Action::Abort(intento)) => {
                self.abort(s, &word, Fence { numero: small(intento.numero), order, token_known: true })
            }
            _ => Event::NoStore,
        }
    }

    pub fn abort(&self, s: &mut State, word: &Word, aborted: Fence) -> Event {
        match bugs::must_abort(self.bug, word, u32::from(aborted.numero)) {
            Err(_) => return Event::Overtaken,
            Ok(false) => {}
            Ok(true) => {
                let clave = self.orders[usize::from(aborted.order)].clave;
                let abort = &mut s.aborted[usize::from(clave)];
                // as in the store: the token that an earlier abort knew still binds the clave
                let known = abort.filter(|before| before.token_known && !aborted.token_known);
                *abort = Some(known.map_or(aborted, |before| Fence { numero: aborted.numero, ..before }));
            }
        }
        Event::Aborted
    }

    /// A request's step came out so.
    pub fn event(&self, s: &mut State, slot: usize, event: Event) {
        let Some(step) = s.slots[slot].step.clone() else { return };
        let before = numero(&step);
        let compra = &self.order(slot).compra;
        self.forget(s);
        let Ok(next) = bugs::next(self.bug, compra, step, event) else {
            s.wrong = Some(Wrong::Unexpected);
            return;
        };
        let next = self.numbered(&s.slots[slot], next);
        s.slots[slot].got = 0;
        let action = next.action(compra);
        for message in self.sent(slot, &next) {
            s.soup.insert(message);
        }
        s.slots[slot].step = Some(next);
        if let Action::Answer(answer) = action {
            self.answer(s, slot, before, &answer);
            self.leave(s, slot);
        }
    }

    /// A client hears the end of its request.
    fn answer(&self, s: &mut State, slot: usize, numero: u8, answer: &Result<Bought, Error>) {
        let Order { clave, compra, .. } = self.order(slot);
        let at = usize::from(*clave);
        match answer {
            Ok(Bought { transaccion, .. }) => {
                let id = small(transaccion.id.get());
                let recorded =
                    s.ledger.get(usize::from(id) - 1).map(|e| self.transaccion(usize::from(id) - 1, *e));
                let known = recorded.as_ref() == Some(transaccion) && transaccion.answers(compra);
                if !known || s.heard[at].is_some_and(|before| before != id) {
                    s.wrong = Some(Wrong::Acknowledged);
                }
                s.heard[at] = Some(id);
            }
            Err(Error::Refused { .. } | Error::PrecioChanged { .. }) => {
                s.refused[at] = s.refused[at].max(numero);
                for older in s.slots.iter_mut().filter(|o| o.younger & 1 << slot != 0) {
                    older.barred = true;
                }
            }
            Err(_) => {}
        }
    }

    pub fn leave(&self, s: &mut State, slot: usize) {
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
        let (order, clave) = (self.slots[slot].0, self.order(slot).clave);
        let message = |kind, of, numero: u32| Message { kind, of, numero: small(numero) };
        match step.action(&self.order(slot).compra) {
            Action::Reserve(i) => vec![message(Kind::Reserve, order, i.numero)],
            Action::Charge(i, _) => vec![message(Kind::Charge, order, i.numero)],
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
        let clave = self.order(slot).clave;
        let of = |kind, numero: u32| Message { kind, of: clave, numero: small(numero) };
        match (self.bug, step.action(&self.order(slot).compra)) {
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
    pub fn answered(&self, s: &mut State, slot: usize, message: Message, event: Event) {
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
