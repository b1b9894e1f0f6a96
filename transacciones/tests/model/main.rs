//! The purchase, checked in every state of small markets: DESIGN section 4, `docs/CORRECTNESS.md`.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `world` | the world around the product's `next` and `verdict`: what there is, and what can happen |
//! | `request`, `arrival` | what comes of it: a request goes on; a message arrives, recovery takes up a hold |
//! | `participants`, `soup` | the participants' rules; the network |
//! | `laws` | what must hold in every state, and what must come of every state once faults stop |
//! | `reduction` | fewer states for the same behaviours |
//! | `bugs` | protocol bugs that must be found |
//! | `contrast` | the model's participants and store held against the real ones |
//!
//! `MODEL=large cargo test -p transacciones --test model -- --nocapture` explores larger markets.

#![cfg(test)]

mod arrival;
mod bugs;
mod contrast;
mod laws;
mod participants;
mod reduction;
mod request;
mod soup;
mod world;

use bugs::Bug;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::{HashSet, VecDeque};
use std::time::Instant;
use world::{Network, Order, PRECIO, State, World};

/// One token and one user: a clave that is retried at two replicas, and a competing clave. The balance suffices once money
/// is added.
fn one_token(requests: [u8; 2]) -> World {
    World {
        orders: vec![Order::new(0, 0, 0), Order::new(1, 0, 0)],
        slots: vec![(0, 0), (0, 1), (1, 0)],
        requests: requests.to_vec(),
        tokens: 1,
        saldos: vec![PRECIO / 2],
        abonos: 1,
        eras: 0,
        network: Network::Wild,
        reduced: true,
        bug: None,
        law: true,
    }
}

/// Two tokens and one user, whose balance suffices for one until money is added.
fn two_tokens(requests: [u8; 2]) -> World {
    World {
        orders: vec![Order::new(0, 0, 0), Order::new(1, 0, 1)],
        tokens: 2,
        saldos: vec![PRECIO],
        ..one_token(requests)
    }
}

/// One token and two users who can both pay, with accounts and under the same key.
fn two_users(requests: [u8; 2]) -> World {
    World {
        orders: Order::under_one_key(&[(0, 0), (1, 0)]),
        saldos: vec![PRECIO, PRECIO],
        abonos: 0,
        ..one_token(requests)
    }
}

/// A clave that is used for two tokens.
fn misused_key(requests: u8) -> World {
    World {
        orders: vec![Order::new(0, 0, 0), Order::new(0, 0, 1)],
        requests: vec![requests],
        tokens: 2,
        saldos: vec![PRECIO],
        slots: vec![(0, 0), (1, 1)],
        ..one_token([0, 0])
    }
}

/// Messages are lost and processes die, but what comes late comes never, and a client waits before it asks again.
fn calm(world: World) -> World {
    World { network: Network::Calm, ..world }
}

fn long() -> bool {
    std::env::var("MODEL").is_ok_and(|v| v == "large")
}

fn explore(name: &str, world: World) {
    let start = Instant::now();
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    checker.assert_properties();
    println!(
        "{name}: {} states, {} transitions, at most {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f64()
    );
}

#[test]
fn one_token_bought_under_two_keys() {
    explore("one token", one_token(if long() { [3, 1] } else { [2, 1] }));
}

#[test]
fn two_tokens_bought_with_money_for_one() {
    explore("two tokens", two_tokens(if long() { [3, 1] } else { [2, 1] }));
}

#[test]
fn one_token_bought_by_two_users_under_one_key() {
    explore("two users", two_users(if long() { [3, 1] } else { [2, 1] }));
}

#[test]
fn one_key_used_for_two_tokens() {
    explore("misused key", misused_key(if long() { 4 } else { 3 }));
}

#[test]
fn in_a_calm_network_nobody_is_refused_for_what_its_own_key_holds() {
    explore("calm, one token", calm(one_token(if long() { [4, 2] } else { [3, 2] })));
    explore("calm, two tokens", calm(two_tokens(if long() { [4, 2] } else { [2, 2] })));
}

/// The market whose aborts are forgotten, twice, at any moments.
fn forgetting(world: World) -> World {
    World { eras: 2, ..world }
}

#[test]
fn what_is_forgotten_is_not_missed() {
    explore("forgetting, one token", forgetting(one_token([2, 0])));
    if long() {
        explore("forgetting, misused key", forgetting(misused_key(2)));
    }
}

/// What was reached, without what is on its way and without who is where.
fn reached(world: &World) -> HashSet<String> {
    let visible = |s: &State| {
        let mut steps: Vec<_> = s.slots.iter().map(|slot| format!("{:?}", slot.step)).collect();
        steps[..2].sort();
        format!("{:?}", (steps, &s.ledger, &s.tokens, &s.usuarios, &s.heard, &s.refused, s.abonos))
    };
    let mut seen: HashSet<_> = world.init_states().into_iter().collect();
    let mut queue: VecDeque<_> = seen.iter().cloned().collect();
    while let Some(s) = queue.pop_front() {
        for next in world.next_states(&s) {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    seen.iter().map(visible).collect()
}

#[test]
fn the_reduction_loses_nothing() {
    let mut markets = vec![one_token([1, 1]), two_tokens([1, 1]), two_users([1, 1])];
    if long() {
        markets.push(one_token([2, 0]));
    }
    for world in markets {
        let all = reached(&World { reduced: false, ..world.clone() });
        assert_eq!(reached(&world), all);
    }
}

/// What is found of a bug, and in how many steps: the shortest way to it.
fn find(bug: Bug, world: World) -> Option<(&'static str, usize)> {
    let world = world.with(bug);
    // one thread goes breadth first, so that what it finds first is the shortest
    let checker = world.checker().threads(1).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found: Vec<_> = checker.discoveries().into_iter().collect();
    found.retain(|(property, _)| !laws::REACHED.contains(property));
    let found = found.into_iter().map(|(property, path)| (property, path.into_actions().len()));
    found.min_by_key(|(_, steps)| *steps)
}

#[test]
fn every_seeded_bug_is_found_by_what_comes_of_it() {
    let bugs = [
        (Bug::ConfirmsBeforeCommit, one_token([2, 1])),
        (Bug::NoFence, one_token([2, 1])),
        (Bug::CancelsBeforeAbort, one_token([2, 1])),
        (Bug::UniquePerProcess, one_token([2, 1])),
        (Bug::ChargesAgain, two_tokens([2, 1])),
        (Bug::RecoveryCancelsUndecided, one_token([2, 1])),
        (Bug::RecoveryConfirmsAnyAttempt, two_tokens([2, 1])),
        (Bug::CancelsOnAGuess, one_token([2, 1])),
        (Bug::AbortsWhatIsBought, one_token([2, 1])),
        (Bug::RefusalNotFenced, one_token([2, 1])),
        (Bug::GoesOnAfterOvertaken, one_token([2, 1])),
        (Bug::AttemptUsedAgain, one_token([2, 1])),
        (Bug::ForgetsTooEarly, forgetting(one_token([2, 0]))),
        (Bug::CommitsInAnyEra, forgetting(one_token([2, 0]))),
        (Bug::NumbersUsedAgain, forgetting(one_token([2, 0]))),
        (Bug::KeyOfNobody, two_users([2, 0])),
    ];
    for (bug, world) in bugs {
        let (property, steps) = find(bug, world).unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: {steps} steps to a state where it is not so that {property}");
    }
}

/// Clearing is there for true answers and not for the money.
#[test]
fn not_clearing_is_safe_and_makes_refusals_lie() {
    let clear = Bug::ClearSkipped;
    assert_eq!(find(clear, one_token([2, 1])), None);
    assert_eq!(find(clear, two_tokens([2, 1])), None);
    let (property, steps) = find(clear, calm(one_token([3, 1]))).expect("a refusal that lies");
    println!("{clear:?}: {steps} steps to a state where it is not so that {property}");
}
