//! Starts that must not succeed, and what they say.

use crate::helpers::{Failure, Process, fails, read, usuarios};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

#[test]
fn help_names_every_variable() {
    let dir = TempDir::new().unwrap();
    let output = usuarios(dir.path()).arg("--help").stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for variable in ["HOST", "PORT", "INTERNAL_PORT", "INTERNAL_TOKEN", "STORE", "SEED_DIR"] {
        assert!(help.contains(&format!("[env: {variable}")), "{variable} is not in\n{help}");
    }
    assert!(!help.contains(crate::helpers::TOKEN), "the secret is in the help");
}

#[test]
fn a_bad_option_exits_64_and_names_flag_and_variable() {
    let dir = TempDir::new().unwrap();
    for (flag, variable, value) in [
        ("--port", "PORT", "99999"),
        ("--port", "PORT", "ocho"),
        ("--internal-port", "INTERNAL_PORT", "-1"),
        ("--internal-token", "INTERNAL_TOKEN", "too-short"),
        ("--internal-token", "INTERNAL_TOKEN", "sixteen and blanks"),
        ("--store", "STORE", "json:"),
        ("--store", "STORE", "mysql://localhost"),
        ("--host", "HOST", "no.such.host.invalid"),
    ] {
        let by_variable = fails(usuarios(dir.path()).env(variable, value));
        let by_flag = fails(usuarios(dir.path()).env_remove(variable).arg(format!("{flag}={value}")));
        for Failure { code, message } in [by_variable, by_flag] {
            assert_eq!(code, 64, "{variable}={value}: {message}");
            assert!(message.contains(flag), "{flag} is not in: {message}");
            assert!(message.contains(variable), "{variable} is not in: {message}");
            assert!(variable != "INTERNAL_TOKEN" || !message.contains(value), "a secret is in: {message}");
        }
    }
}

#[test]
fn without_the_secret_it_exits_64() {
    let dir = TempDir::new().unwrap();
    let Failure { code, message } = fails(usuarios(dir.path()).env_remove("INTERNAL_TOKEN"));
    assert_eq!(code, 64);
    assert!(message.contains("--internal-token") && message.contains("INTERNAL_TOKEN"), "{message}");
}

#[test]
fn a_command_on_the_store_needs_no_secret() {
    let dir = TempDir::new().unwrap();
    let run = |args: &[&str]| {
        let mut command = usuarios(dir.path());
        command.env_remove("INTERNAL_TOKEN").env("CONTRASENA", "gato-cosmico").arg("cuenta").args(args);
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(output.stderr));
        text(output.stdout)
    };
    run(&["crear", "eva", "--rol", "tesorero"]);
    assert!(run(&["listar"]).contains("eva"));
}

#[test]
fn a_port_in_use_exits_69_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for variable in ["PORT", "INTERNAL_PORT"] {
        let dir = TempDir::new().unwrap();
        let Failure { code, message } = fails(usuarios(dir.path()).env(variable, &port));
        assert_eq!(code, 69, "{message}");
        assert!(message.contains(&port) && message.contains(&format!("({variable})")), "{message}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_exits_73_and_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for below in [file.join("datos"), file] {
        let Failure { code, message } = fails(&mut usuarios(&below));
        assert_eq!(code, 73, "{message}");
        assert!(message.contains(below.to_str().unwrap()), "{message}");
    }
}

/// Fills `usuarios.json`, and checks that the start fails over that line and leaves the file alone.
#[track_caller]
fn refused(array: &str, line: u64, reason: &str) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("usuarios.json");
    std::fs::write(&file, array).unwrap();
    let Failure { code, message } = fails(&mut usuarios(dir.path()));
    assert_eq!(code, 65, "{message}");
    assert!(message.contains(&format!("{}:{line}: ", file.display())), "no {line} in: {message}");
    assert!(message.contains(reason), "{message}");
    assert_eq!(message.trim().lines().count(), 1, "{message}");
    assert_eq!(read(&file), array);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| Path::new(name).extension().is_some_and(|e| e == "journal")), "{left:?}");
}

#[test]
fn data_that_cannot_be_right_exit_65_with_file_and_line() {
    refused("{\"id\":1}", 1, "array");
    refused(
        "[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":1},\n{\"id\":1,\"nombre\":\"Eva\",\"saldo\":2}\n]",
        3,
        "twice",
    );
    refused("[\n\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":-1}\n]", 3, "-1");
    refused("[\n{\"id\":0,\"nombre\":\"Ana\",\"saldo\":1}\n]", 2, "id 0");
    refused("[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":9007199254740992}\n]", 2, "9007199254740992");
    refused("[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":1},\n{\"id\":2,\"nombre\":\"Eva\"}\n]", 3, "saldo");
    refused("[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":1,\"edad\":3}\n]", 2, "edad");
    refused("[\n{\"id\":1,\"nombre\":\"Ana\",\"saldo\":1}", 2, "");
}

#[test]
fn a_seed_that_cannot_be_right_exits_65_and_leaves_no_store() {
    let (dir, seed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    std::fs::write(seed.path().join("usuarios.json"), "[{\"id\":1}]").unwrap();
    let Failure { code, message } = fails(usuarios(dir.path()).env("SEED_DIR", seed.path()));
    assert_eq!(code, 65, "{message}");
    assert!(message.contains(seed.path().join("usuarios.json").to_str().unwrap()), "{message}");
    assert!(!dir.path().join("usuarios.json").exists());
}

/// Also where the store has its data already: whoever deploys a typing error should see it.
#[tokio::test]
async fn a_seed_directory_that_cannot_be_read_exits_64_and_is_named() {
    let used = Process::start(|_| {}).await;
    let file = used.dir.path().join("usuarios.json");
    for seed in [used.dir.path().join("nothing"), file] {
        for dir in [TempDir::new().unwrap().path(), used.dir.path()] {
            let Failure { code, message } = fails(usuarios(dir).env("SEED_DIR", &seed));
            assert_eq!(code, 64, "{message}");
            for part in ["--seed-dir (SEED_DIR)", seed.to_str().unwrap(), "leave the option out"] {
                assert!(message.contains(part), "{part} is not in: {message}");
            }
            assert_eq!(message.trim().lines().count(), 1, "{message}");
        }
    }
}
