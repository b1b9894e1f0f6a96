//! Damage where no crash can make it: refused, named, and left as it is.

use super::{
    super::{OpenError, memory::platter::Image},
    actor::{Actor, DIR, in_dir},
    ledger::{Ledger, SEED},
    machine::Machine,
    run::{Setting, run},
};
use std::path::{Path, PathBuf};

/// The files that a refusal must leave alone: those with records.
fn records(image: &Image) -> Vec<(PathBuf, Vec<u8>)> {
    let keeps = |path: &Path| {
        path.starts_with(DIR) && path.extension().is_some_and(|e| e == "json" || e == "journal" || e == "tmp")
    };
    image.files.iter().filter(|(path, _)| keeps(path)).map(|(p, b)| (p.clone(), b.clone())).collect()
}

fn refusal(image: &Image) -> Option<OpenError> {
    let machine = Machine::boot(image, Ledger::new());
    let error = Actor::open(&machine, machine.process(1)).err()?;
    assert_eq!(records(&machine.image()), records(image), "a refusal changes nothing: {error}");
    Some(error)
}

fn names(error: &OpenError, file: &Path, number: Option<u64>) -> bool {
    matches!(error, OpenError::Data { file: f, line, .. } if f == file && (number.is_none() || *line == number))
}

#[test]
fn a_flipped_byte_anywhere_before_the_end_is_named_and_nothing_changes() {
    let finished = run(Setting::default()).map_err(|v| v.what).unwrap();
    let image = finished.machine.image();
    let journal = in_dir("registro.journal");
    let bytes = &image.files[&journal];
    let acknowledged = bytes.len() - bytes.iter().rev().take_while(|b| **b == b'\r').count();
    let last_batch = {
        let lines: Vec<&[u8]> = bytes[..acknowledged].split_inclusive(|b| *b == b'\n').collect();
        acknowledged - lines.last().unwrap().len()
    };
    assert!(bytes[..acknowledged].iter().filter(|b| **b == b'\n').count() > 4, "some lines to damage");
    let mut forgotten = image.clone();
    forgotten.files.remove(&in_dir("registro.lock"));
    let mut line = 1;
    for (at, byte) in bytes[..acknowledged].iter().enumerate() {
        // A different bit each time; the last one is never set in our text.
        let bit = 1 << (at % 8);
        for (start, known) in [(&image, acknowledged), (&forgotten, last_batch)] {
            if at >= known {
                continue;
            }
            let mut spoiled = start.clone();
            spoiled.files.get_mut(&journal).unwrap()[at] ^= bit;
            let error = refusal(&spoiled).unwrap_or_else(|| panic!("byte {at} of {acknowledged}, line {line}, last batch at {last_batch}, known {known}: it opened"));
            assert!(names(&error, &journal, Some(line)), "byte {at}, line {line}: {error}");
        }
        line += u64::from(*byte == b'\n');
    }
    // The arrays, too, while the journal has lines that build on them.
    for array in ["altas.json", "pares.json", "aperturas.json"].map(in_dir) {
        for at in 0..image.files[&array].len() {
            let mut spoiled = image.clone();
            spoiled.files.get_mut(&array).unwrap()[at] ^= 1 << (at % 8);
            let error =
                refusal(&spoiled).unwrap_or_else(|| panic!("{}, byte {at}: it opened", array.display()));
            assert!(names(&error, &array, None), "{error}");
        }
    }
    assert!(refusal(&image).is_none() && SEED.len() == 2);
}
