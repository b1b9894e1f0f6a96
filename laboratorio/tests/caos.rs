//! The short form: real processes, a minute of faults, and a verdict. The long form is `caos --local --kills 1000`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

use std::fs::DirEntry;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

const LABORATORIO: &str = env!("CARGO_BIN_EXE_laboratorio");

/// `cargo test --workspace` has built the services already. `cargo test -p laboratorio` alone would run with those of
/// yesterday, or with none.
fn services() {
    const SERVICES: [&str; 3] = ["usuarios", "tokens", "transacciones"];
    const LAYERS: [&str; 4] = ["common/journal", "common/http", "common/pg", "common/market"];
    let bin = Path::new(LABORATORIO).parent().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = LAYERS.iter().chain(&SERVICES);
    let newest = crates.map(|c| newest(&root.join(c).join("src"))).max().unwrap();
    let fresh = |c: &&str| bin.join(c).metadata().is_ok_and(|m| m.modified().unwrap() > newest);
    if SERVICES.iter().all(fresh) {
        return;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "usuarios", "-p", "tokens", "-p", "transacciones"]);
    if bin.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(bin.parent().unwrap()).current_dir(root);
    assert!(cargo.status().unwrap().success());
}

fn newest(dir: &Path) -> SystemTime {
    let entries = dir.read_dir().unwrap().map(Result::unwrap);
    let time = |e: &DirEntry| match e.metadata().unwrap() {
        m if m.is_dir() => newest(&e.path()),
        m => m.modified().unwrap(),
    };
    entries.map(|e| time(&e)).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn chaos(dir: &TempDir, args: &[&str]) -> (Output, String) {
    let mut command = Command::new(LABORATORIO);
    let output = command.args(["caos", "--local", "--dir"]).arg(dir.path()).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

/// The number behind a row of the table.
fn row(said: &str, name: &str) -> u64 {
    let line = said.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_whitespace().next_back().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// A run that must end green; what it said.
fn green(args: &[&str]) -> String {
    // one after another: a market that is short of processor time buys little
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    services();
    let dir = TempDir::new().unwrap();
    let (output, said) = chaos(&dir, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(0) {
        // the evidence
        let kept = dir.keep();
        panic!("{said}\n{errors}\nkept in {}", kept.display());
    }
    assert!(row(&said, "kill -9") >= 10, "{said}");
    assert!(row(&said, "transactions in the end") >= 20, "{said}");
    said
}

#[test]
fn the_market_stays_right() {
    green(&["--minutos", "0.6", "--semilla", "20"]);
}

#[test]
fn the_market_stays_right_on_postgresql() {
    let said = green(&["--store", "postgres", "--minutos", "0.6", "--semilla", "7"]);
    assert!(row(&said, "standby promoted") >= 1, "{said}");
    let stops = ["PostgreSQL, kill -9", "PostgreSQL, immediate", "PostgreSQL, fast"];
    assert!(stops.iter().map(|stop| row(&said, stop)).sum::<u64>() >= 2, "{said}");
}

#[test]
fn the_market_stays_right_where_transactions_are_serializable() {
    let said = green(&["--store", "postgres", "--serializable", "--minutos", "0.6", "--semilla", "8"]);
    assert!(row(&said, "conflicts, taken again") >= 1, "{said}");
}

#[test]
fn the_shop_that_everybody_writes_does_not() {
    let dir = TempDir::new().unwrap();
    let (output, said) = chaos(&dir, &["--minutos", "0.15", "--semilla", "20", "--ingenuo"]);
    assert_eq!(output.status.code(), Some(1), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("oversold: token "), "{said}");
    assert!(said.contains("RED: "), "{said}");
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

/// How many processes have the directory in their command or their environment.
fn running(dir: &str) -> usize {
    let says = |e: &DirEntry, file| {
        std::fs::read(e.path().join(file)).is_ok_and(|text| String::from_utf8_lossy(&text).contains(dir))
    };
    let processes = Path::new("/proc").read_dir().unwrap().map(Result::unwrap);
    processes.filter(|e| says(e, "cmdline") || says(e, "environ")).count()
}

fn wait_for(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
