//! An edit that a compaction meets is somewhere on the disk, wherever the compaction is cut short.

use super::{
    actor::{Actor, Entry, in_dir},
    ledger::Ledger,
    machine::NotedMachine,
    run::beginning,
};
use crate::{
    OpenError,
    simulation::memory::{
        Op, Plan,
        platter::{Image, Plain},
    },
};

const EDIT: &[u8] = b"[{\"id\":77,\"pos\":0,\"text\":\"by hand\"}]";

/// A store with lines, of which somebody edits an array while it is in use, and a stop that is killed at a call.
fn stopped_at(at: Option<u64>) -> NotedMachine {
    let machine = NotedMachine::boot(&beginning(), Ledger::new());
    let mut actor = Actor::open(&machine, machine.process(1)).unwrap();
    assert!(actor.write(&[Entry { id: 10, bytes: 3, refuses: false }]).unwrap());
    let editor = machine.quiet(2).volume().create(&in_dir("items.json")).unwrap();
    editor.write_all_at(EDIT, 0).unwrap();
    editor.sync_data().unwrap();
    let before = machine.calls();
    machine.plan(at.map(|at| Plan::Kill { at: before + at }));
    assert!(actor.compact() || machine.struck().is_some());
    machine
}

fn has_edit(image: &Image) -> bool {
    image.files.values().any(|bytes| bytes == EDIT)
}

#[test]
fn an_edit_that_a_compaction_meets_is_kept_wherever_that_is_cut_short() {
    let (mut opened, mut refused) = (0, 0);
    for at in 0.. {
        let machine = stopped_at(Some(at));
        if machine.struck().is_none() {
            break;
        }
        let platter = machine.platter();
        let after_power_failure = platter.image(&mut Plain { names: false, data: false });
        for image in [machine.image(), after_power_failure] {
            assert!(has_edit(&image), "killed at call {at}: {:?}", image.files.keys());
            let machine = NotedMachine::boot(&image, machine.ledger());
            match Actor::open(&machine, machine.process(1)) {
                Ok(actor) => {
                    machine.ledger().check(&actor.state()).map_err(|v| v.what).unwrap();
                    opened += 1;
                }
                Err(OpenError::Data { file, .. }) => {
                    assert_eq!(file, in_dir("items.json"), "killed at call {at}");
                    refused += 1;
                }
                Err(e) => panic!("killed at call {at}: {e}"),
            }
            assert!(has_edit(&machine.image()), "killed at call {at}, and after a start");
        }
    }
    assert!(opened > 5 && refused > 5, "{opened} starts, {refused} refusals");
    let machine = stopped_at(None);
    assert!(has_edit(&machine.image()) && Actor::open(&machine, machine.process(3)).is_ok());
}

/// One process dies in the middle of its renames, somebody edits, and the next compaction finishes them.
#[test]
fn an_edit_between_two_halves_of_a_switch_is_kept_by_who_finishes_it() {
    let machine = NotedMachine::boot(&beginning(), Ledger::new());
    let mut dying = Actor::open(&machine, machine.process(1)).unwrap();
    let living = Actor::open(&machine, machine.process(2)).unwrap();
    assert!(dying.write(&[Entry { id: 10, bytes: 3, refuses: false }]).unwrap());
    let array = in_dir("items.json");
    machine.break_down(&array, Op::Rename);
    assert!(!dying.compact());
    machine.mend(&array);
    machine.quiet(3).place(&array, EDIT);
    assert!(living.compact());
    assert!(has_edit(&machine.image()));
    machine.ledger().check(&living.state()).map_err(|v| v.what).unwrap();
}
