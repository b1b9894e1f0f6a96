//! The whole purchase in a simulated world: the real coordinator, recovery, services and stores, on disks in memory, over a
//! network and clocks that a seed makes fail. docs/CORRECTNESS.md says what it shows and what not.
//!
//! ```text
//! cargo test -p mercado --test simulation                                  1200 seeds
//! SIMULACION_SEMILLA=7 cargo test -p mercado --test simulation seeds -- --nocapture     one, with its trace
//! SIMULACION_SEMILLAS=200000 SIMULACION_MINUTOS=10 cargo test …            the long form: whichever is less;
//!                                                                          from SIMULACION_SEMILLA on, if it is given
//! ```
//!
//! | file | what is in it |
//! | --- | --- |
//! | `azar`, `ajustes` | chance, and what a seed makes of a run |
//! | `mundo` | machines, time, starts and deaths of processes |
//! | `proceso` | one process: the product's services over a journal, whose writer is a task |
//! | `red`, `servir` | messages, and what is done with them |
//! | `fallos` | crashes, power failures, bad disks, wrong clocks |
//! | `clientes` | who buys |
//! | `historia`, `juez` | what was answered, and what must hold |
//! | `errores` | bugs that must be found |
//! | `cuenta` | the trace, and what was seen |
//!
//! All of it is one thread on a paused Tokio clock: time goes on when nobody has anything to do, and tasks run in the order
//! in which they were woken.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod account;
mod bugs;
mod chance;
mod clients;
mod faults;
mod history;
mod judge;
mod network;
mod process;
mod serving;
mod settings;
mod world;

use account::{LEAST, Seen};
use bugs::Bug;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use world::World;

/// What came of a run.
struct Run {
    hash: u64,
    events: u64,
    seen: BTreeMap<Seen, u64>,
    violations: Vec<String>,
}

fn run(seed: u64, bug: Option<Bug>, print: bool) -> Run {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let world = runtime.block_on(async {
        let world = World::new(seed, bug, print);
        world.note(format_args!("{:?}", world.settings));
        for slot in &world.slots {
            world.start(slot.index, Duration::ZERO);
        }
        faults::begin(&world);
        let mut clients = Vec::new();
        for name in 1..=world.settings.clients {
            clients.push(world.spawn(clients::customer(Arc::clone(&world), name)));
        }
        clients.push(world.spawn(clients::benefactor(Arc::clone(&world))));
        clients.push(world.spawn(clients::editor(Arc::clone(&world))));
        clients.push(world.spawn(clients::auditor(Arc::clone(&world))));
        for client in clients {
            let _ = client.await;
        }
        faults::end(&world);
        world.quiet().await;
        judge::ask_again(&world).await;
        judge::buy_afresh(&world).await;
        world.quiet().await;
        world.audit().await;
        world.judge();
        world
    });
    drop(runtime);
    let mut account = world.account();
    Run {
        hash: account.hash(),
        events: account.events,
        seen: std::mem::take(&mut account.seen),
        violations: std::mem::take(&mut account.violations),
    }
}

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, and should be a number")))
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Runs seeds on every core; what was seen in all, and the first that went wrong.
fn many(
    seeds: std::ops::Range<u64>,
    bug: Option<Bug>,
    until_found: bool,
) -> (Sum, Option<(u64, Vec<String>)>) {
    let (begun, time) = (Instant::now(), from_env("SIMULACION_MINUTOS").map_or(Duration::MAX, minutes));
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let wrong = Mutex::new(BTreeMap::new());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let enough = until_found && !wrong.lock().unwrap().is_empty();
            if enough || seed >= seeds.end || begun.elapsed() >= time {
                return;
            }
            let run = run(seed, bug, false);
            sum.lock().unwrap().add(&run);
            if !run.violations.is_empty() {
                wrong.lock().unwrap().insert(seed, run.violations);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(worker);
        }
    });
    (sum.into_inner().unwrap(), wrong.into_inner().unwrap().pop_first())
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    seen: BTreeMap<Seen, u64>,
}

impl Sum {
    fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.events += run.events;
        for (seen, times) in &run.seen {
            *self.seen.entry(*seen).or_default() += times;
        }
    }
}

/// Many seeds, none of which breaks anything, and everything that should happen in them does.
#[test]
fn seeds() {
    let (one, many_of) = (from_env("SIMULACION_SEMILLA"), from_env("SIMULACION_SEMILLAS"));
    if let (Some(seed), None) = (one, many_of) {
        let run = run(seed, None, true);
        println!("{:#?}\n{} events, trace {:016x}", run.seen, run.events, run.hash);
        assert!(run.violations.is_empty(), "seed {seed}: {:#?}", run.violations);
        return;
    }
    let (from, count) = (one.unwrap_or(0), many_of.unwrap_or(1200));
    let begun = Instant::now();
    let (sum, wrong) = many(from..from + count, None, false);
    println!(
        "{} seeds, {} events, {:.1} s: {:#?}",
        sum.seeds,
        sum.events,
        begun.elapsed().as_secs_f64(),
        sum.seen
    );
    if let Some((seed, violations)) = wrong {
        panic!("SIMULACION_SEMILLA={seed} replays it: {violations:#?}");
    }
    if sum.seeds >= 1000 {
        for (seen, least) in LEAST {
            let times = sum.seen.get(&seen).copied().unwrap_or_default();
            assert!(times * 1000 >= least * sum.seeds, "{seen:?} was seen only {times} times");
        }
        assert_eq!(sum.seen.len(), LEAST.len(), "something is counted that has no floor");
    }
}

/// Each bug is found, and within so many seeds.
#[test]
fn every_seeded_bug_is_found() {
    const WITHIN: u64 = 1000;
    for bug in Bug::ALL {
        let (sum, found) = many(0..WITHIN, Some(bug), true);
        let Some((seed, violations)) = found else { panic!("{bug:?} is not found in {WITHIN} seeds") };
        println!("{bug:?}: seed {seed} ({} run): {}", sum.seeds, violations[0]);
    }
}

/// The same seed is the same run, to the last event; another seed is another run.
#[test]
fn a_seed_is_a_run() {
    let hashes: Vec<u64> = (0..30).map(|seed| run(seed, None, false).hash).collect();
    for (seed, hash) in (0..30).zip(&hashes) {
        assert_eq!(run(seed, None, false).hash, *hash, "seed {seed} is not the same run twice");
    }
    let different: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len());
}
