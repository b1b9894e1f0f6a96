//! The short form: every kind of attack on real processes, within a minute. The long form is `ataque --local --minutos 5`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn attack(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laboratorio"));
    command
        .arg("ataque")
        .args(args)
        .env("LANG", "es_ES.UTF-8")
        .env_remove("LC_ALL")
        .env_remove("LC_MESSAGES");
    command
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn the_market_bears_every_kind_of_attack() {
    let output = attack(&["--local", "--corto"]).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("VERDE: 17 clases"), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains(" bien ")).count(), 17, "{said}");
    assert_eq!(said.lines().filter(|line| line.contains(" aparte ")).count(), 4, "{said}");
}

#[test]
fn a_broken_rule_is_red_and_named_in_the_language_that_was_asked_for() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut run = attack(&["--local", "--corto", "--solo", "archivos", "--idioma", "en", "--dir", path]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // somebody leaves a file among those of the store that everybody may read
    let data = dir.path().join("datos");
    let start = Instant::now();
    while !data.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "no data within 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    let open = data.join("copia.bak");
    std::fs::write(&open, "").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run.wait_with_output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("copia.bak: 644") && said.contains("RED: archivos"), "{said}");
}

#[test]
fn bad_options_are_64_and_a_run_that_cannot_be_is_2() {
    for args in [
        &[][..],
        &["--local", "--minutos", "0"],
        &["--local", "--minutos", "x"],
        &["--local", "--minutos", "1", "--corto"],
        &["--local", "--solo", "nada"],
        &["--local", "--idioma", "fr"],
        &["--local", "--url", "http://example.org"],
    ] {
        let output = attack(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", said(&output));
    }
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("algo"), "").unwrap();
    let output = attack(&["--local", "--dir", dir.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no está vacío"), "{}", said(&output));
}
