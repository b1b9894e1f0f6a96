//! The short form: real processes, a minute of faults, and a verdict. The long form is `caos --kills 1000`.

use crate::helpers::{LABORATORIO, row, running, services, turn, wait_for};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn chaos(dir: &TempDir, args: &[&str]) -> (Output, String) {
    let mut command = Command::new(LABORATORIO);
    let output = command
        .args(["caos", "--idioma", "en", "--local", "--dir"])
        .arg(dir.path())
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

/// A run that must end green; where a busy machine let too little happen in it, a longer one follows.
fn green(args: &[&str], enough: impl Fn(&str) -> bool) {
    let _turn = turn();
    services();
    let mut last = String::new();
    for minutes in ["0.6", "3"] {
        let dir = TempDir::new().unwrap();
        let (output, said) = chaos(&dir, &[args, &["--minutos", minutes]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(0) {
            // the evidence
            let kept = dir.keep();
            panic!("{said}\n{errors}\nkept in {}", kept.display());
        }
        if row(&said, "kill -9") >= 10 && row(&said, "transactions in the end") >= 20 && enough(&said) {
            return;
        }
        last = said;
    }
    panic!("too little happened:\n{last}");
}

#[test]
fn the_market_stays_right_where_people_log_in() {
    let sessions = ["sessions begun", "sessions renewed", "sessions that had ended"];
    green(&["--cuentas", "si", "--semilla", "20"], |said| sessions.iter().all(|s| row(said, s) >= 5));
}

#[test]
fn the_market_stays_right_on_postgresql() {
    let stops = ["PostgreSQL, kill -9", "PostgreSQL, immediate", "PostgreSQL, fast"];
    green(&["--store", "postgres", "--semilla", "7"], |said| {
        row(said, "standby promoted") >= 1 && stops.iter().map(|stop| row(said, stop)).sum::<u64>() >= 2
    });
}

#[test]
fn the_market_stays_right_where_transactions_are_serializable() {
    green(&["--store", "postgres", "--serializable", "--semilla", "8"], |said| {
        row(said, "conflicts, taken again") >= 1
    });
}

#[test]
fn the_shop_that_everybody_writes_does_not() {
    let _turn = turn();
    let dir = TempDir::new().unwrap();
    let (output, said) = chaos(&dir, &["--minutos", "0.15", "--semilla", "20", "--ingenuo"]);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("No token was sold twice: broken × ") && said.contains("\n  token "), "{said}");
    assert!(said.contains("RED: The money is not right"), "{said}");
}

#[test]
fn a_directory_that_was_used_is_refused() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("historia.jsonl"), "").unwrap();
    let (output, _) = chaos(&dir, &["--ingenuo"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("not empty") && errors.contains(dir.path().to_str().unwrap()), "{errors}");
}

#[test]
fn a_run_that_is_stopped_leaves_no_process_and_no_disk_behind() {
    let _turn = turn();
    services();
    for (more, processes) in [(&[][..], 4), (&["--store", "postgres"][..], 12)] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().to_str().unwrap();
        let mut run = Command::new(LABORATORIO);
        run.args(["caos", "--local", "--minutos", "10", "--dir", path]).args(more);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for(|| running(path) >= processes);
        assert!(Command::new("kill").arg("-TERM").arg(run.id().to_string()).status().unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(2));
        wait_for(|| running(path) == 0);
        assert!(!std::fs::read_to_string("/proc/mounts").unwrap().contains(path));
    }
}
