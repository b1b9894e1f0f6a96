//! The comparisons by themselves, on markets that go on while they are read: no reading is ever of the same moment as
//! another.

use super::reconcile::{CARGOS, Reconciliation, Side, VENTAS, agrees};
use super::report::DifferenceKind;
use crate::domain::Transaccion;
use crate::store::{Closing, Standing};
use chrono::{DateTime, Utc};
use market::contract::{Digest, Hold, PAGE};
use market::domain::{Intento, Monto, RunningDigest, TokenId, TransaccionId, UsuarioId};
use proptest::prelude::*;

/// One attempt at one participant. A reading at a moment sees what happened at that moment or before.
#[derive(Clone, Debug)]
struct Attempt {
    held: u32,
    /// Committed or aborted.
    decided: u32,
    commits: bool,
    /// Confirmed or cancelled.
    settled: u32,
    precio: u64,
}

/// What somebody did to a participant's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    None,
    /// This hold is gone.
    Lost(usize),
    /// This hold is for one credit more.
    Changed(usize),
    /// A hold that nobody asked for is settled.
    MadeUp,
}

#[derive(Clone, Debug)]
struct Market {
    attempts: Vec<Attempt>,
    damage: Damage,
    side: &'static Side,
}

fn intento(n: usize) -> Intento {
    format!("k{n}#1").parse().unwrap()
}

fn usuario(n: usize) -> UsuarioId {
    UsuarioId::new(n as u64 % 3 + 1).unwrap()
}

fn token(n: usize) -> TokenId {
    TokenId::new(n as u64 + 1).unwrap()
}

fn sells(side: &Side) -> bool {
    std::ptr::eq(side, &VENTAS)
}

impl Market {
    /// All purchases up to a moment, in the order of their commits.
    fn purchases(&self, at: u32) -> Vec<Transaccion> {
        let mut bought: Vec<_> =
            self.attempts.iter().enumerate().filter(|(_, a)| a.commits && a.decided <= at).collect();
        bought.sort_by_key(|(n, a)| (a.decided, *n));
        let row = |(at, (n, a)): (usize, (usize, &Attempt))| Transaccion {
            id: TransaccionId::new(at as u64 + 1).unwrap(),
            usuario_id: usuario(n),
            token_id: token(n),
            fecha: DateTime::<Utc>::UNIX_EPOCH,
            precio: Monto::new(a.precio).unwrap(),
            intento: Some(intento(n)),
            lugar: None,
            pod: None,
        };
        bought.into_iter().enumerate().map(row).collect()
    }

    fn standing(&self, at: u32) -> Standing {
        let mut closing = Closing::default();
        let purchases = self.purchases(at);
        purchases.iter().for_each(|t| closing.add(t));
        Standing { closing, last: purchases.last().map(|t| t.id) }
    }

    fn hold(&self, n: usize) -> Hold {
        let more = u64::from(self.damage == Damage::Changed(n));
        Hold {
            intento: intento(n),
            usuario_id: usuario(n),
            token_id: sells(self.side).then(|| token(n)),
            monto: Monto::new(self.attempts[n].precio + more).unwrap(),
            desde: DateTime::<Utc>::UNIX_EPOCH,
        }
    }

    fn made_up(&self) -> Hold {
        let more = Hold { intento: "z#1".parse().unwrap(), ..Self::hold(self, 0) };
        Hold { monto: Monto::new(1).unwrap(), ..more }
    }

    fn there(&self) -> impl Iterator<Item = (usize, &Attempt)> {
        self.attempts.iter().enumerate().filter(|(n, _)| self.damage != Damage::Lost(*n))
    }

    fn pending(&self, at: u32) -> Vec<Hold> {
        self.there().filter(|(_, a)| a.held <= at && at < a.settled).map(|(n, _)| self.hold(n)).collect()
    }

    fn settled(&self, at: u32) -> Vec<Hold> {
        let settled = self.there().filter(|(_, a)| a.commits && a.settled <= at);
        let mut all: Vec<_> = settled.map(|(n, _)| self.hold(n)).collect();
        all.extend((self.damage == Damage::MadeUp).then(|| self.made_up()));
        all
    }

    /// As a participant gives it that counts what was settled up to a moment, and is read at a later one.
    fn digest(&self, counted: u32, at: u32) -> Digest {
        let mut confirmados = RunningDigest::default();
        let inside = self.settled(counted);
        for t in &inside {
            confirmados.add(&t.intento, t.usuario_id, t.token_id, t.monto);
        }
        let open = self.pending(at).into_iter().chain(self.settled(at));
        let in_flight: Vec<_> = open.filter(|t| !inside.contains(t)).collect();
        let pendientes = self.pending(at).len() as u64;
        Digest { confirmados, pendientes, descuadrados: 0, in_flight, oldest: None }
    }

    /// The purchases under some holds.
    fn found(&self, holds: &[Hold], at: u32) -> Vec<Transaccion> {
        let under = |t: &Transaccion| holds.iter().any(|hold| t.intento.as_ref() == Some(&hold.intento));
        self.purchases(at).into_iter().filter(under).collect()
    }

    /// The comparison of digests, read at these moments.
    fn digests_agree(&self, [before, counted, digest, found, since]: [u32; 5]) -> bool {
        let standing = self.standing(before);
        let digest = self.digest(counted, digest);
        let held = self.found(&digest.in_flight, found);
        let all = self.purchases(since);
        let since = &all[usize::try_from(standing.closing.transacciones).unwrap()..];
        agrees(self.side, &standing, &digest, &held, since)
    }

    /// The comparison of lists, in pages of three that are read a moment apart.
    fn lists_say(&self, before: u32) -> Vec<(DifferenceKind, Option<Intento>)> {
        let first = self.purchases(before);
        let (mut now, mut lists) = (before, Reconciliation::new(self.side, usize::MAX));
        for settled in [false, true] {
            let mut after: Option<Intento> = None;
            loop {
                now += 1;
                let all = if settled { self.settled(now) } else { self.pending(now) };
                let rest = all.into_iter().filter(|t| after.as_ref().is_none_or(|last| t.intento > *last));
                let mut page: Vec<_> = rest.collect();
                page.sort_by(|a, b| a.intento.cmp(&b.intento));
                page.truncate(3);
                now += 1;
                let found = self.found(&page, now);
                if settled {
                    lists.settled(&page, &found);
                } else {
                    lists.pending(&page, &found);
                }
                if page.len() < 3 {
                    break;
                }
                after = page.into_iter().next_back().map(|t| t.intento);
            }
        }
        lists.purchases(&first);
        let mut all: Vec<_> = lists.finish().into_iter().map(|d| (d.tipo, d.intento)).collect();
        all.sort_by_key(|(_, intento)| intento.clone());
        all
    }

    /// How a kind of difference is called on this side.
    fn named(&self, cargo: DifferenceKind, venta: DifferenceKind) -> DifferenceKind {
        if sells(self.side) { venta } else { cargo }
    }
}

fn market(damage: impl Strategy<Value = Damage>) -> impl Strategy<Value = Market> {
    let attempt = (0..60_u32, 1..20_u32, 1..20_u32, prop::bool::weighted(0.8), 1..100_u64).prop_map(
        |(held, to_decide, to_settle, commits, precio)| {
            let decided = held + to_decide;
            Attempt { held, decided, commits, settled: decided + to_settle, precio }
        },
    );
    let side = prop::bool::ANY.prop_map(|sells| if sells { &VENTAS } else { &CARGOS });
    (prop::collection::vec(attempt, 1..40), damage, side).prop_map(|(attempts, damage, side)| Market {
        attempts,
        damage,
        side,
    })
}

/// Moments in their order: any two may be the same one.
fn moments() -> impl Strategy<Value = [u32; 5]> {
    prop::array::uniform5(0..110_u32).prop_map(|mut moments| {
        moments.sort_unstable();
        moments
    })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..40_usize).prop_map(Damage::Lost),
        (0..40_usize).prop_map(Damage::Changed),
        Just(Damage::MadeUp)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_market_at_work_that_is_right_agrees_without_its_lists(m in market(Just(Damage::None)), at in moments()) {
        prop_assert!(m.digests_agree(at));
    }

    #[test]
    fn damage_that_a_digest_counts_never_agrees(m in market(damage()), at in moments()) {
        let counted = at[1];
        let shows = match m.damage {
            // a lost hold shows once its purchase was there before
            Damage::Lost(n) => m.attempts.get(n).is_some_and(|a| a.commits && a.decided <= at[0]),
            Damage::Changed(n) => m.attempts.get(n).is_some_and(|a| a.commits && a.settled <= counted),
            Damage::MadeUp => true,
            Damage::None => false,
        };
        if shows {
            prop_assert!(!m.digests_agree(at));
        }
    }

    #[test]
    fn lists_of_a_market_at_work_accuse_nobody(m in market(Just(Damage::None)), before in 0..110_u32) {
        prop_assert_eq!(m.lists_say(before), []);
    }

    #[test]
    fn lists_name_the_damage_and_nothing_else(m in market(damage()), before in 0..110_u32) {
        let said = m.lists_say(before);
        match m.damage {
            Damage::Lost(n) => {
                let missing = m.named(DifferenceKind::TransaccionWithoutCargo, DifferenceKind::TransaccionWithoutVenta);
                let shows = m.attempts.get(n).is_some_and(|a| a.commits && a.decided <= before);
                prop_assert_eq!(said, shows.then(|| (missing, Some(intento(n)))).into_iter().collect::<Vec<_>>());
            }
            Damage::Changed(n) => {
                let other = m.named(DifferenceKind::CargoDiffers, DifferenceKind::VentaDiffers);
                prop_assert!(said.is_empty() || said == [(other, Some(intento(n)))], "{:?}", said);
                let shows = m.attempts.get(n).is_some_and(|a| a.commits && a.settled <= before);
                prop_assert!(!shows || !said.is_empty());
            }
            Damage::MadeUp => {
                let extra = m.named(DifferenceKind::CargoWithoutTransaccion, DifferenceKind::VentaWithoutTransaccion);
                prop_assert_eq!(said, [(extra, Some("z#1".parse().unwrap()))]);
            }
            Damage::None => prop_assert_eq!(said, []),
        }
    }
}

/// Then nothing can be said of the digests, and the lists are read.
#[test]
fn a_digest_that_does_not_list_all_that_is_in_flight_is_not_believed() {
    let attempt = |n: usize| Attempt {
        held: 0,
        decided: 1,
        commits: true,
        settled: if n == 0 { 2 } else { 9 },
        precio: 5,
    };
    let attempts: Vec<_> = (0..=PAGE).map(attempt).collect();
    let m = Market { attempts, damage: Damage::None, side: &CARGOS };
    let standing = m.standing(2);
    let mut digest = m.digest(2, 2);
    let held = m.found(&digest.in_flight, 2);
    assert_eq!(digest.in_flight.len(), PAGE, "as many as a digest lists, and so perhaps more");
    assert!(!agrees(m.side, &standing, &digest, &held, &[]));
    digest.in_flight.clear();
    assert!(!agrees(m.side, &standing, &digest, &held, &[]), "a participant of before lists none");
}

/// A purchase that people put into the files by hand names no attempt, and no participant knows it.
#[test]
fn a_purchase_without_an_attempt_needs_no_hold() {
    let attempt = Attempt { held: 0, decided: 1, commits: true, settled: 5, precio: 5 };
    let m = Market { attempts: vec![attempt], damage: Damage::None, side: &VENTAS };
    let mut by_hand = m.purchases(9).remove(0);
    (by_hand.id, by_hand.intento) = (TransaccionId::new(77).unwrap(), None);
    let mut lists = Reconciliation::new(m.side, usize::MAX);
    lists.purchases(std::slice::from_ref(&by_hand));
    assert_eq!(lists.finish(), []);
    let (digest, held) = (m.digest(9, 9), []);
    let since = [by_hand, m.purchases(9).remove(0)];
    assert!(agrees(m.side, &Standing::default(), &digest, &held, &since));
}
