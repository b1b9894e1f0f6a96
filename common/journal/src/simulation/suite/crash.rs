//! Power failures, failures of single calls and kills: each at every place of the [`run`](super::run).

use super::{
    actor::{Actor, Entry, in_dir},
    ledger::{Law, Ledger, Violation},
    machine::NotedMachine,
    run::{EVERY, Setting, beginning, run},
    survey::{Depth, Figures, survey},
};
use crate::{
    disk::{FileSystem, How},
    simulation::memory::{
        EIO, ENOSPC, Lie, Op, Plan, Reach,
        platter::{Loss, Plain},
    },
};
use std::{collections::BTreeMap, fmt, time::Instant};

/// The long form, which leaves nothing out: `JOURNAL_LONG=1 cargo test --release -p journal --lib`. In `cargo test`,
/// which has a minute for all of this without optimization, each call fails in one way only or is killed in, by turns, and each run
/// is looked at in a few places.
fn long() -> bool {
    std::env::var_os("JOURNAL_LONG").is_some()
}

/// Of the random survivors; another number tries others.
fn seed() -> u64 {
    std::env::var("JOURNAL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// One more test that has looked enough says what it did, and how long it took.
fn say(started: Instant, what: impl fmt::Display) {
    println!("{what}, {:.1} s", started.elapsed().as_secs_f32());
}

fn all<T>(result: Result<T, Violation>) -> T {
    result.unwrap_or_else(|violation| panic!("{:?}: {}", violation.law, violation.what))
}

#[test]
fn a_power_failure_at_any_point_loses_nothing_that_was_promised() {
    let started = Instant::now();
    let run = all(run(Setting { watched: true, ..Setting::default() }));
    let (torn, dice, again) = if long() { (1, 200, 1) } else { (7, 2, 0) };
    let depth = Depth { torn, dice, again, stride: 1, seed: seed() };
    let figures = all(survey(&run.machine, depth, Ledger::new()));
    say(started, format_args!("{} calls, {figures}", run.machine.calls()));
    assert!(figures.points > 250, "{figures}");
}

/// The ways in which one call fails.
fn failures() -> Vec<(Reach, i32, Loss)> {
    let mut all = vec![(Reach::Once, EIO, Loss::Dropped), (Reach::Everything, EIO, Loss::Dropped)];
    all.extend([(Reach::SameKind, ENOSPC, Loss::Landed), (Reach::Everything, ENOSPC, Loss::Evicted)]);
    if long() {
        all.extend([(Reach::Once, ENOSPC, Loss::Evicted), (Reach::Once, EIO, Loss::Landed)]);
        all.extend([(Reach::SameKind, EIO, Loss::Dropped), (Reach::SameKind, EIO, Loss::Evicted)]);
        all.push((Reach::Everything, EIO, Loss::Landed));
    }
    all
}

/// Fails each call in turn, goes on in the same processes, and then fails the power at places of what was done.
#[test]
fn a_call_that_fails_breaks_no_promise() {
    let calls = all(run(Setting::default())).machine.calls();
    let started = Instant::now();
    let (mut runs, mut figures) = (0, Figures::default());
    let mut struck: BTreeMap<Op, u64> = BTreeMap::new();
    for at in (0..calls).step_by(if long() { 1 } else { 2 }) {
        let ways = failures();
        let one = (at as usize / 2) % ways.len();
        for (n, (reach, errno, loss)) in ways.into_iter().enumerate() {
            if n != one && !long() {
                continue;
            }
            let plan = Plan::Fail { at, reach, errno, loss };
            let setting = Setting { plan: Some(plan), ..Setting::default() };
            let run = all(run(setting).map_err(|v| v.at(format!("{plan:?}"))));
            runs += 1;
            if let Some(op) = run.machine.struck() {
                *struck.entry(op).or_default() += 1;
                let stride = if long() { 5 } else { 300 + at as usize % 200 };
                let depth = Depth { stride, ..Depth::PLAIN };
                let done = survey(&run.machine, depth, Ledger::new());
                figures += all(done.map_err(|v| v.at(format!("{plan:?} of {op:?}"))));
            }
        }
    }
    say(started, format_args!("{calls} calls, {runs} runs, failed {struck:?}, {figures}"));
    for op in [Op::Open, Op::Read, Op::Stat, Op::Write, Op::SetLen, Op::Sync, Op::Rename, Op::SyncDir] {
        assert!(struck.contains_key(&op), "no {op:?} was made to fail");
    }
}

/// Kills the process that makes each call, in turn; the others go on, and it is started again.
#[test]
fn a_kill_at_any_call_stops_nobody_else_and_loses_nothing() {
    let calls = all(run(Setting::default())).machine.calls();
    let (mut figures, started) = (Figures::default(), Instant::now());
    for at in (1..calls).step_by(if long() { 1 } else { 2 }) {
        let plan = Plan::Kill { at };
        let setting = Setting { plan: Some(plan), ..Setting::default() };
        let run = all(run(setting).map_err(|v| v.at(format!("{plan:?}"))));
        assert!(run.machine.struck().is_some(), "{plan:?} hit nobody");
        let stride = if long() { 1 } else { 300 + at as usize % 200 };
        let done = survey(&run.machine, Depth { stride, ..Depth::PLAIN }, Ledger::new());
        figures += all(done.map_err(|v| v.at(format!("{plan:?}"))));
    }
    say(started, format_args!("{calls} kills, {figures}"));
}

/// A process that has not looked for any time catches up at any moment of what the others do.
#[test]
fn a_reader_that_fell_behind_catches_up_at_any_call() {
    let calls = all(run(Setting::default())).machine.calls();
    for at in (0..calls).step_by(if long() { 1 } else { 3 }) {
        let setting = Setting { lags_until: Some(at), ..Setting::default() };
        all(run(setting).map_err(|v| v.at(format!("a look before call {at}"))));
    }
}

/// A write of another process at any call of a compaction is kept by both, and everybody sees it.
#[test]
fn a_write_at_any_call_of_a_compaction_is_in_both_generations() {
    for shift in 0..EVERY {
        let setting = Setting { shift, watched: true, ..Setting::default() };
        let run = all(run(setting).map_err(|v| v.at(format!("shift {shift}"))));
        let depth = Depth { stride: if long() { 1 } else { 20 }, ..Depth::PLAIN };
        all(survey(&run.machine, depth, Ledger::new()).map_err(|v| v.at(format!("shift {shift}"))));
    }
}

/// Everything that was synced and nothing else, after this run of a machine.
fn after_power_failure(machine: &NotedMachine) -> NotedMachine {
    let (mut platter, log) = machine.story();
    log.iter().for_each(|event| platter.apply(event));
    NotedMachine::boot(&platter.image(&mut Plain { names: false, data: false }), machine.ledger())
}

fn write(actor: &mut Actor, id: u64) {
    assert!(all(actor.write(&[Entry { id, bytes: 0, refuses: false }])));
}

fn start(machine: &NotedMachine) -> Actor {
    Actor::open(machine, machine.process(1)).unwrap()
}

#[test]
fn a_first_write_is_there_although_its_directory_was_new() {
    let machine = NotedMachine::boot(&beginning(), Ledger::new());
    write(&mut start(&machine), 11);
    let machine = after_power_failure(&machine);
    all(machine.ledger().check(&start(&machine).state()));
}

/// An editor that syncs nothing; and one whose failed sync has left the pages clean, so that another sync does nothing.
#[test]
fn a_hand_edit_is_on_disk_before_a_journal_builds_on_it() {
    for lost in [false, true] {
        let machine = NotedMachine::boot(&beginning(), Ledger::new());
        let mut actor = start(&machine);
        write(&mut actor, 11);
        assert!(actor.compact());
        drop(actor);
        let (array, editor) = (in_dir("items.json"), machine.process(2));
        let text = machine.text(&array).unwrap();
        editor.place(&array, text.replace("\n]", "\n ]").as_bytes());
        if lost {
            machine.break_down(&array, Op::Sync);
            let file = FileSystem::open(&editor, &array, How::Write).unwrap();
            assert!(file.sync_data().is_err());
            machine.mend(&array);
        }
        write(&mut start(&machine), 12);
        let machine = after_power_failure(&machine);
        assert!(start(&machine).state().ids().contains(&12));
        assert!(machine.text(&array).unwrap().ends_with("\n ]\n"));
    }
}

/// A sync fails, so does the cut after it, and the page cache forgets the first page of what was written and keeps the others.
/// Another process writes over the beginning as much as was there, so that its batch ends where a line begins whose checksum
/// and number are right.
#[test]
fn what_a_failed_batch_left_in_the_page_cache_is_not_taken_for_the_next_line() {
    for over in 20..60 {
        let machine = NotedMachine::boot(&beginning(), Ledger::new());
        let (mut failing, mut other) = (start(&machine), Actor::open(&machine, machine.process(2)).unwrap());
        let batch = |ids: std::ops::Range<u64>| -> Vec<_> {
            ids.map(|id| Entry { id: 2 * id + 1, bytes: 50, refuses: false }).collect()
        };
        // The bytes that the failed batch finds are padding that is on the disk.
        assert!(all(other.write(&batch(10..11))));
        machine.break_down(&in_dir("register.journal"), Op::SetLen);
        let next_sync = Plan::FailNext { op: Op::Sync, errno: EIO, loss: Loss::FirstPageEvicted };
        machine.plan(Some(next_sync));
        assert!(!all(failing.write(&batch(100..180))));
        machine.mend(&in_dir("register.journal"));
        assert!(all(other.write(&batch(200..200 + over))));
        assert!(all(other.write(&batch(300..301))), "{over} lines over the failed ones");
        all(machine.ledger().check(&other.state()));
        assert!(other.state().ids().iter().all(|id| !(201..=359).contains(id)), "{over}");
    }
}

/// Which law the checks above find broken, where the store has a bug. A bug can break several, depending on who writes when:
/// then the one that is expected, if it is among them.
fn bites(lie: Lie, expected: Law) -> Option<(&'static str, Violation)> {
    let setting = Setting { lie: Some(lie), watched: true, ..Setting::default() };
    let shifted = |shift| run(Setting { shift, ..setting.clone() }).err();
    let mut found: Vec<Violation> = (1..EVERY).filter_map(shifted).collect();
    if !found.is_empty() {
        let one = found.iter().position(|violation| violation.law == expected).unwrap_or_default();
        return Some(("the run", found.swap_remove(one)));
    }
    let run_of = match run(setting.clone()) {
        Ok(run) => run,
        Err(violation) => return Some(("the run", violation)),
    };
    if let Err(violation) = survey(&run_of.machine, Depth::PLAIN, Ledger::new()) {
        return Some(("the power failures", violation));
    }
    for at in 0..run_of.machine.calls() {
        for (reach, errno, loss) in
            [(Reach::Everything, EIO, Loss::Dropped), (Reach::Once, EIO, Loss::Landed)]
        {
            let setting = Setting {
                plan: Some(Plan::Fail { at, reach, errno, loss }),
                watched: false,
                ..setting.clone()
            };
            // Those are the calls after which the end of the journal is not certain.
            let found = run(setting).and_then(|run| {
                if run.machine.struck().is_none_or(|op| op != Op::Sync) {
                    return Ok(Figures::default());
                }
                survey(&run.machine, Depth { stride: 5, ..Depth::PLAIN }, Ledger::new())
            });
            if let Err(violation) = found {
                return Some(("the failures", violation));
            }
        }
    }
    None
}

#[test]
fn the_checks_find_each_seeded_bug() {
    for (lie, by, law) in [
        // The kernel may write the mark early: then it speaks of lines that are not there.
        (Lie::AckBeforeSync, "the power failures", Law::NotOpened),
        (Lie::MarkBeforeSync, "the power failures", Law::NotOpened),
        (Lie::NoDirectorySync, "the power failures", Law::Lost),
        (Lie::NoArraySync, "the power failures", Law::NotOpened),
        (Lie::NoJournalSync, "the power failures", Law::NotOpened),
        (Lie::NoRewrite, "the failures", Law::NotOpened),
        (Lie::NoCut, "the failures", Law::Returned),
        (Lie::NoLock, "the run", Law::Lost),
    ] {
        let (place, violation) = bites(lie, law).unwrap_or_else(|| panic!("nothing found {lie:?}"));
        println!("{lie:?}: found by {place}, {:?}: {}", violation.law, violation.what);
        assert_eq!((place, violation.law), (by, law), "{lie:?}: {}", violation.what);
    }
}
