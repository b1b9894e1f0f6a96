//! The state machine by itself: each arrow of the protocol, and random walks of several coordinators through a small world
//! that loses answers, repeats messages late and kills coordinators.

use super::*;
use crate::domain::Aborted;
use market::domain::{Clave, TokenId, TransaccionId, UsuarioId, timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn compra(clave: &str, usuario: u64, token: u64, del_cliente: bool) -> Compra {
    Compra {
        clave: clave.parse().unwrap(),
        clave_from_client: del_cliente,
        usuario_id: UsuarioId::new(usuario).unwrap(),
        token_id: TokenId::new(token).unwrap(),
        precio: None,
        session: None,
    }
}

fn credits(n: u64) -> Monto {
    Monto::new(n).unwrap()
}

fn transaccion(compra: &Compra, numero: u32, precio: Monto, id: u64) -> Transaccion {
    Transaccion {
        id: TransaccionId::new(id).unwrap(),
        usuario_id: compra.usuario_id,
        token_id: compra.token_id,
        fecha: timestamp(),
        precio,
        intento: Some(Intento { clave: compra.clave.clone(), numero }),
        lugar: None,
        pod: None,
    }
}

/// The steps that a purchase takes for these events.
fn walk(compra: &Compra, events: impl IntoIterator<Item = Event>) -> Step {
    events.into_iter().fold(Step::Look, |step, event| next(compra, step, event).unwrap())
}

#[test]
fn a_purchase_reserves_charges_commits_confirms_and_answers() {
    let c = compra("k", 1, 101, false);
    let t = transaccion(&c, 1, credits(50), 1);
    let way = [
        Event::Word(Word::Nothing),
        Event::Reserved(credits(50)),
        Event::Charged,
        Event::Committed(t.clone()),
    ];
    assert_eq!(walk(&c, way.clone()), Step::Confirm { transaccion: t.clone(), replayed: false });
    let bought = Step::Answer(Ok(Bought { transaccion: t, replayed: false }));
    assert_eq!(walk(&c, way.iter().cloned().chain([Event::Done])), bought);
    assert_eq!(
        walk(&c, way.into_iter().chain([Event::NoAnswer])),
        bought,
        "a lost confirmation is recovery's"
    );
}

#[test]
fn a_purchase_under_the_servers_own_clave_begins_with_the_token() {
    assert_eq!(Step::first(&compra("k", 1, 101, true)), Step::Look);
    assert_eq!(Step::first(&compra("k", 1, 101, false)), Step::Reserve { numero: 1 });
}

#[test]
fn nothing_is_cancelled_before_its_abort_is_durable() {
    let c = compra("k", 1, 101, true);
    let no = Event::Refused(Refusal::SaldoTooLow);
    let refused = walk(&c, [Event::Word(Word::Nothing), Event::Reserved(credits(50)), no]);
    assert!(matches!(refused, Step::Abort { numero: 1, held: StillHeld::Reserva, .. }));
    assert_eq!(next(&c, refused.clone(), Event::NoStore).unwrap(), Step::Answer(Err(Error::NoStore)));
    assert_eq!(next(&c, refused.clone(), Event::Overtaken).unwrap(), Step::Overtaken);
    assert!(matches!(next(&c, refused, Event::Aborted).unwrap(), Step::Cancel { numero: 1, .. }));
}

#[test]
fn a_full_store_is_told_cancels_nothing_and_refuses_nothing_for_good() {
    let c = compra("k", 1, 101, true);
    let full = Step::Answer(Err(Error::StoreFull));
    let no_room = || Event::Refused(Refusal::StoreFull);
    let held = [Event::Word(Word::Nothing), Event::Reserved(credits(50))];
    assert_eq!(walk(&c, [Event::Word(Word::Nothing), no_room()]), full);
    assert_eq!(walk(&c, held.clone().into_iter().chain([no_room()])), full);
    assert_eq!(walk(&c, held.into_iter().chain([Event::Charged, Event::StoreFull])), full);
    let refused = walk(&c, [Event::Word(Word::Nothing), Event::Refused(Refusal::TokenNotAvailable)]);
    assert_eq!(refused.need(), Need::Add, "nothing is held, and a key would be kept");
    assert_eq!(next(&c, refused, Event::StoreFull).unwrap(), full);
    let poor = walk(
        &c,
        [Event::Word(Word::Nothing), Event::Reserved(credits(50)), Event::Refused(Refusal::SaldoTooLow)],
    );
    assert_eq!(poor.need(), Need::End);
}

#[test]
fn a_refusal_under_a_clients_key_is_made_to_last_and_another_costs_no_write() {
    let no = [Event::Word(Word::Nothing), Event::Refused(Refusal::TokenNotAvailable)];
    assert!(matches!(
        walk(&compra("k", 1, 101, true), no.clone()),
        Step::Abort { held: StillHeld::Nothing, .. }
    ));
    let c = compra("k", 1, 101, false);
    let (usuario_id, token_id, refusal) = (c.usuario_id, c.token_id, Refusal::TokenNotAvailable);
    let refused = Error::Refused { usuario_id, token_id, refusal };
    assert_eq!(walk(&c, no), Step::Answer(Err(refused)));
}

#[test]
fn a_commit_of_unknown_outcome_is_not_cancelled() {
    let c = compra("k", 1, 101, true);
    let way = [Event::Word(Word::Nothing), Event::Reserved(credits(50)), Event::Charged];
    let commit = walk(&c, way);
    assert_eq!(next(&c, commit.clone(), Event::NoStore).unwrap(), Step::Answer(Err(Error::NoStore)));
    assert_eq!(next(&c, commit, Event::Overtaken).unwrap(), Step::Overtaken);
}

#[test]
fn an_aborted_attempt_is_cleared_before_the_next_and_another_body_is_refused() {
    let c = compra("k", 1, 101, true);
    let aborted = |token| {
        Event::Word(Word::Aborted(Aborted {
            clave: c.clave.clone(),
            numero: 3,
            usuario_id: c.usuario_id,
            token_id: token,
        }))
    };
    assert_eq!(walk(&c, [aborted(None)]), Step::Clear { numero: 3 });
    assert_eq!(walk(&c, [aborted(Some(c.token_id)), Event::Done]), Step::Reserve { numero: 4 });
    assert_eq!(walk(&c, [aborted(Some(c.token_id)), Event::NoAnswer]), Step::Answer(Err(Error::NoAnswer)));
    assert_eq!(
        walk(&c, [aborted(TokenId::new(102))]),
        Step::Answer(Err(Error::ClaveReused(c.clave.clone())))
    );
    let t = transaccion(&compra("k", 1, 102, true), 1, credits(70), 1);
    assert_eq!(
        walk(&c, [Event::Word(Word::Bought(t))]),
        Step::Answer(Err(Error::ClaveReused(c.clave.clone())))
    );
}

/// Found by the model: whoever overtook this request may have told the client 409, so it must not buy with another attempt.
#[test]
fn a_request_that_was_overtaken_says_what_was_bought_or_gives_up() {
    let c = compra("k", 1, 101, true);
    let aborted = Word::Aborted(Aborted {
        clave: c.clave.clone(),
        numero: 1,
        usuario_id: c.usuario_id,
        token_id: Some(c.token_id),
    });
    let overtaken = |step| next(&c, step, Event::Overtaken).unwrap();
    let commit = overtaken(Step::Commit { numero: 1, precio: credits(50) });
    assert_eq!(commit.action(&c), Action::Look);
    assert_eq!(next(&c, commit.clone(), Event::Word(aborted)).unwrap(), Step::Answer(Err(Error::GivenUp)));
    let t = transaccion(&c, 1, credits(50), 1);
    let bought = Step::Confirm { transaccion: t.clone(), replayed: true };
    assert_eq!(next(&c, commit.clone(), Event::Word(Word::Bought(t))).unwrap(), bought);
    assert_eq!(next(&c, commit, Event::NoStore).unwrap(), Step::Answer(Err(Error::NoStore)));
}

/// The reservation was given up and the price changed before its debit was taken back: no fault of the client's.
#[test]
fn a_debit_at_another_price_is_an_attempt_that_was_given_up_and_no_misused_key() {
    let c = compra("k", 1, 101, true);
    let no = Event::Refused(Refusal::ClaveReused);
    let way = [Event::Word(Word::Nothing), Event::Reserved(credits(70)), no.clone()];
    assert_eq!(walk(&c, way), Step::Overtaken);
    assert_eq!(
        walk(&c, [Event::Word(Word::Nothing), no]),
        Step::Answer(Err(Error::ClaveReused(c.clave.clone())))
    );
}

#[test]
fn a_price_that_the_buyer_did_not_see_is_refused() {
    let c = Compra { precio: Some(credits(50)), ..compra("k", 1, 101, false) };
    let step = walk(&c, [Event::Word(Word::Nothing), Event::Reserved(credits(51))]);
    assert!(matches!(step, Step::Abort { why: Error::PrecioChanged { .. }, held: StillHeld::Reserva, .. }));
    assert!(matches!(
        walk(&c, [Event::Word(Word::Nothing), Event::Reserved(credits(50))]),
        Step::Charge { numero: 1, .. }
    ));
}

#[test]
fn an_event_that_cannot_come_is_an_error_and_not_a_guess() {
    let c = compra("k", 1, 101, true);
    assert!(next(&c, Step::Look, Event::Charged).is_err());
    assert!(
        next(&c, Step::Reserve { numero: 1 }, Event::Committed(transaccion(&c, 1, credits(1), 1))).is_err()
    );
    assert!(next(&c, Step::Answer(Err(Error::NoAnswer)), Event::Done).is_err());
}

const PRICE: u64 = 60;
const BALANCE: u64 = 100;

/// Two users with 100 credits each, two tokens of 60; the store; and every message that may yet arrive again.
#[derive(Default)]
struct World {
    committed: BTreeMap<Clave, Transaccion>,
    aborted: BTreeMap<Clave, u32>,
    held: BTreeMap<TokenId, (Intento, UsuarioId)>,
    sold: BTreeMap<TokenId, Intento>,
    charged: BTreeMap<Intento, (UsuarioId, bool)>,
    late: Vec<(Compra, Action)>,
    answers: Vec<(Compra, Result<Bought, Error>)>,
}

impl World {
    fn balance(&self, usuario: UsuarioId) -> u64 {
        BALANCE - PRICE * self.charged.values().filter(|(u, _)| *u == usuario).count() as u64
    }

    fn perform(&mut self, compra: &Compra, action: Action) -> Event {
        let decided = |w: &Self, i: &Intento| {
            w.committed.contains_key(&i.clave) || w.aborted.get(&i.clave).is_some_and(|n| *n >= i.numero)
        };
        match action {
            Action::Look => Event::Word(self.word(compra)),
            Action::Reserve(i) => match (self.held.get(&compra.token_id), self.sold.get(&compra.token_id)) {
                (_, Some(by)) if *by == i => Event::Reserved(credits(PRICE)),
                (Some((by, _)), None) if *by == i => Event::Reserved(credits(PRICE)),
                (None, None) => {
                    self.held.insert(compra.token_id, (i, compra.usuario_id));
                    Event::Reserved(credits(PRICE))
                }
                _ => Event::Refused(Refusal::TokenNotAvailable),
            },
            Action::Charge(i, _) if self.charged.contains_key(&i) => Event::Charged,
            Action::Charge(..) if self.balance(compra.usuario_id) < PRICE => {
                Event::Refused(Refusal::SaldoTooLow)
            }
            Action::Charge(i, _) => {
                self.charged.insert(i, (compra.usuario_id, false));
                Event::Charged
            }
            Action::Commit(i, _) if decided(self, &i) => Event::Overtaken,
            Action::Commit(i, precio) => {
                let t = transaccion(compra, i.numero, precio, self.committed.len() as u64 + 1);
                self.committed.insert(i.clave, t.clone());
                Event::Committed(t)
            }
            Action::Abort(i) if self.committed.contains_key(&i.clave) => Event::Overtaken,
            Action::Abort(i) => {
                let n = self.aborted.entry(i.clave).or_default();
                *n = i.numero.max(*n);
                Event::Aborted
            }
            Action::Confirm(t) => {
                let i = t.intento.unwrap();
                assert!(self.committed.contains_key(&i.clave), "confirmed before it was committed");
                self.confirm(&i);
                Event::Done
            }
            Action::Cancel { intento, cargo } => {
                let lost = self.aborted.get(&intento.clave).is_some_and(|n| *n >= intento.numero);
                assert!(lost, "{intento} is cancelled before its abort is durable");
                self.cancel(&intento, cargo);
                Event::Done
            }
            Action::Answer(_) => unreachable!(),
        }
    }

    fn word(&self, compra: &Compra) -> Word {
        match (self.committed.get(&compra.clave), self.aborted.get(&compra.clave)) {
            (Some(t), _) => Word::Bought(t.clone()),
            (None, Some(n)) => Word::Aborted(Aborted {
                clave: compra.clave.clone(),
                numero: *n,
                usuario_id: compra.usuario_id,
                token_id: None,
            }),
            (None, None) => Word::Nothing,
        }
    }

    fn confirm(&mut self, i: &Intento) {
        if let Some(token) = self.held.iter().find(|(_, (by, _))| by == i).map(|(token, _)| *token) {
            self.held.remove(&token);
            self.sold.insert(token, i.clone());
        }
        if let Some((_, confirmed)) = self.charged.get_mut(i) {
            *confirmed = true;
        }
    }

    fn cancel(&mut self, i: &Intento, cargo: bool) {
        assert!(!self.sold.values().any(|by| by == i), "{i} is sold and cancelled");
        self.held.retain(|_, (by, _)| by != i);
        if cargo && let Some((_, confirmed)) = self.charged.remove(i) {
            assert!(!confirmed, "{i} is settled and refunded");
        }
    }

    /// What recovery does: the store's word, the abort first.
    fn recover(&mut self) {
        let holds: BTreeSet<Intento> = self
            .held
            .values()
            .map(|(i, _)| i.clone())
            .chain(self.charged.iter().filter(|(_, (_, confirmed))| !confirmed).map(|(i, _)| i.clone()))
            .collect();
        for i in holds {
            let bought = |w: &Self| w.committed.get(&i.clave).is_some_and(|t| t.intento.as_ref() == Some(&i));
            if !bought(self) && !self.committed.contains_key(&i.clave) {
                let n = self.aborted.entry(i.clave.clone()).or_default();
                *n = i.numero.max(*n);
            }
            if bought(self) { self.confirm(&i) } else { self.cancel(&i, true) }
        }
    }

    fn check(&self) {
        for (i, (_, confirmed)) in &self.charged {
            assert!(*confirmed, "{i} is left pending");
            let t = self.committed.get(&i.clave).unwrap_or_else(|| panic!("{i} is charged and not bought"));
            assert_eq!(t.intento.as_ref(), Some(i));
        }
        for t in self.committed.values() {
            let i = t.intento.as_ref().unwrap();
            assert!(self.charged.contains_key(i), "{i} is bought and not charged");
            assert_eq!(self.sold.get(&t.token_id), Some(i), "{i} is bought and not sold");
        }
        assert_eq!(self.sold.len(), self.committed.len(), "a token is sold without a purchase");
        assert!(self.held.is_empty());
        for (compra, outcome) in &self.answers {
            if let Ok(Bought { transaccion, .. }) = outcome {
                assert_eq!(
                    self.committed.get(&compra.clave),
                    Some(transaccion),
                    "an acknowledged purchase is gone"
                );
            }
        }
    }
}

/// What happens to one coordinator next.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Goes,
    AnswerLost,
    RequestLost,
    ArrivesAgainLater,
    Dies,
    LateMessageArrives,
    RecoveryRuns,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Goes),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::ArrivesAgainLater),
        1 => Just(Fate::Dies),
        1 => Just(Fate::LateMessageArrives),
        1 => Just(Fate::RecoveryRuns),
    ]
}

fn lossy(action: &Action) -> bool {
    // a process and its own store do not lose each other's answers
    matches!(action, Action::Reserve(_) | Action::Charge(..) | Action::Confirm(_) | Action::Cancel { .. })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Four requests, two of them with one key, step by step in any order, with any faults: after recovery the money is
    /// right.
    #[test]
    fn no_walk_loses_or_doubles_anything(moves in prop::collection::vec((0..4_usize, fate()), 1..120)) {
        let requests = [
            compra("a", 1, 101, true), compra("a", 1, 101, true), compra("b", 2, 101, true), compra("c", 1, 102, false),
        ];
        let mut world = World::default();
        let mut steps: Vec<Option<Step>> = vec![Some(Step::Look); requests.len()];
        for (who, fate) in moves {
            match fate {
                Fate::RecoveryRuns => world.recover(),
                Fate::LateMessageArrives => {
                    if let Some((compra, action)) = world.late.pop() {
                        world.perform(&compra, action);
                    }
                }
                Fate::Dies => steps[who] = None,
                _ => {
                    let compra = &requests[who];
                    // a killed coordinator's client asks again
                    let step = steps[who].take().unwrap_or(Step::Look);
                    let action = step.action(compra);
                    if let Action::Answer(outcome) = action {
                        world.answers.push((compra.clone(), outcome));
                        continue;
                    }
                    let event = match (fate, lossy(&action)) {
                        (Fate::AnswerLost, true) => {
                            world.perform(compra, action);
                            Event::NoAnswer
                        }
                        (Fate::RequestLost, true) => Event::NoAnswer,
                        (Fate::ArrivesAgainLater, true) => {
                            world.late.push((compra.clone(), action.clone()));
                            world.perform(compra, action)
                        }
                        _ => world.perform(compra, action),
                    };
                    let next = next(compra, step, event).unwrap();
                    if let Step::Answer(Err(Error::Refused { .. } | Error::PrecioChanged { .. })) = &next
                        && compra.clave_from_client
                    {
                        let i = Intento { clave: compra.clave.clone(), numero: 1 };
                        prop_assert!(world.aborted.contains_key(&i.clave), "refused, and might yet be bought");
                    }
                    steps[who] = Some(next);
                }
            }
        }
        // every late message arrives in the end, and recovery comes after the last
        while let Some((compra, action)) = world.late.pop() {
            world.perform(&compra, action);
        }
        world.recover();
        world.check();
    }
}
