//! Starts that must not succeed, and what the binary says.

use crate::process::command;
use std::process::Command;
use tempfile::TempDir;

/// Runs a command to its end, which must come by itself: its exit code and what it said.
#[track_caller]
fn fails(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().expect("an exit code"), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_bad_option_exits_64_and_names_flag_and_variable() {
    let dir = TempDir::new().unwrap();
    for (flag, variable, value) in [
        ("--usuarios-url", "USUARIOS_URL", "usuarios"),
        ("--usuarios-url", "USUARIOS_URL", "usuarios:9000"),
        ("--usuarios-url", "USUARIOS_URL", "https://usuarios:9000"),
        ("--usuarios-url", "USUARIOS_URL", "http://usuarios:9000/interno"),
        ("--usuarios-url", "USUARIOS_URL", "http://ana@usuarios:9000"),
        ("--tokens-url", "TOKENS_URL", ""),
        ("--tokens-url", "TOKENS_URL", "http://"),
        ("--tokens-url", "TOKENS_URL", "http://tokens:99999"),
        ("--tokens-url", "TOKENS_URL", "http://tokens?x=1"),
        ("--purchase-deadline-ms", "PURCHASE_DEADLINE_MS", "9"),
        ("--purchase-deadline-ms", "PURCHASE_DEADLINE_MS", "60001"),
        ("--purchase-deadline-ms", "PURCHASE_DEADLINE_MS", "3s"),
        ("--orphan-age-ms", "ORPHAN_AGE_MS", "19"),
        ("--orphan-age-ms", "ORPHAN_AGE_MS", "3600001"),
        ("--orphan-age-ms", "ORPHAN_AGE_MS", "2999"),
        ("--orphan-age-ms", "ORPHAN_AGE_MS", "3000"),
        ("--internal-token", "INTERNAL_TOKEN", "too-short"),
    ] {
        let by_variable = fails(command(dir.path()).env(variable, value));
        let by_flag = fails(command(dir.path()).env_remove(variable).arg(format!("{flag}={value}")));
        for (code, message) in [by_variable, by_flag] {
            assert_eq!(code, 64, "{variable}={value}: {message}");
            assert!(message.contains(flag) && message.contains(variable), "{variable}={value}: {message}");
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "and no store was made");
}

#[test]
fn an_orphan_age_within_the_deadline_names_both_options() {
    let dir = TempDir::new().unwrap();
    let (code, message) =
        fails(command(dir.path()).args(["--purchase-deadline-ms=20000", "--orphan-age-ms=20000"]));
    assert_eq!(code, 64, "{message}");
    assert!(message.contains("ORPHAN_AGE_MS") && message.contains("PURCHASE_DEADLINE_MS"), "{message}");
    assert_eq!(message.trim().lines().count(), 1, "{message}");
}

#[test]
fn data_that_contradict_themselves_exit_65_with_file_and_line() {
    let t = |id: u64, intento: &str| {
        format!(
            r#"{{"id":{id},"usuarioId":1,"tokenId":{id},"fecha":"2025-09-10T17:00:00Z","precio":5,"intento":"{intento}"}}"#
        )
    };
    for (name, array, line, reason) in [
        ("transacciones", format!("[\n{},\n{}\n]", t(1, "a#1"), t(1, "b#1")), 3, "twice"),
        ("transacciones", format!("[\n{},\n{}\n]", t(1, "a#1"), t(2, "a#2")), 3, "a is there twice"),
        ("transacciones", format!("[\n{}\n]", t(1, "a")), 2, "clave#number"),
        ("transacciones", format!("[\n{}\n]", t(1, "a#1").replace(":5,", ":-5,")), 2, "-5"),
        ("transacciones", format!("[\n{}\n]", t(1, "a#1").replace("precio", "coste")), 2, "coste"),
        (
            "intentos",
            "[\n{\"clave\":\"a\",\"numero\":1,\"usuarioId\":1},\n{\"clave\":\"a\",\"numero\":2,\"usuarioId\":1}\n]"
                .to_owned(),
            3,
            "a is there twice",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join(format!("{name}.json"));
        std::fs::write(&file, &array).unwrap();
        if name == "intentos" {
            std::fs::write(dir.path().join("transacciones.json"), "[]").unwrap();
        }
        let (code, message) = fails(&mut command(dir.path()));
        assert_eq!(code, 65, "{message}");
        assert!(message.contains(&format!("{}:{line}: ", file.display())), "no line {line} in: {message}");
        assert!(message.contains(reason), "{message}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), array);
    }
}
