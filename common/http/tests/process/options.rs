//! The options of every server, and what a bad one says.

use crate::helpers::{SECRET, ends, notes};
use std::net::TcpListener;

#[test]
fn help_names_every_variable() {
    let help = ends(&mut notes(&["--help"]));
    assert_eq!(help.code, 0, "{}", help.errors);
    for variable in [
        "WORKERS",
        "DRAIN_SECONDS",
        "GRACE_SECONDS",
        "CONNECTION_AGE_SECONDS",
        "CLIENT_SECONDS",
        "MAX_CONNECTIONS",
        "HOSTNAME",
        "LOG_FORMAT",
        "RUST_LOG",
    ] {
        assert!(help.out.contains(&format!("[env: {variable}")), "{variable} is not in\n{}", help.out);
    }
    assert!(!help.out.contains(SECRET), "the secret is in the help");
}

#[test]
fn a_bad_option_exits_64_and_names_flag_and_variable() {
    for (flag, variable, value) in [
        ("--port", "PORT", "99999"),
        ("--port", "PORT", "ocho"),
        ("--secret", "SECRET", "too-short"),
        ("--secret", "SECRET", "sixteen and blanks"),
        ("--workers", "WORKERS", "0"),
        ("--drain-seconds", "DRAIN_SECONDS", "301"),
        ("--grace-seconds", "GRACE_SECONDS", "0"),
        ("--connection-age-seconds", "CONNECTION_AGE_SECONDS", "0"),
        ("--client-seconds", "CLIENT_SECONDS", "0"),
        ("--max-connections", "MAX_CONNECTIONS", "7"),
        ("--max-connections", "MAX_CONNECTIONS", "999999"),
        ("--log-format", "LOG_FORMAT", "xml"),
        ("--rust-log", "RUST_LOG", "info,notes=loud"),
        ("--hostname", "HOSTNAME", "two words"),
        ("--host", "HOST", "no.such.host.invalid"),
    ] {
        let by_variable = ends(notes(&[]).env(variable, value));
        let by_flag = ends(notes(&[&format!("{flag}={value}")]).env_remove(variable));
        for ended in [by_variable, by_flag] {
            let message = ended.errors;
            assert_eq!(ended.code, 64, "{variable}={value}: {message}");
            assert!(message.contains(flag), "{flag} is not in: {message}");
            assert!(message.contains(variable), "{variable} is not in: {message}");
            assert!(variable != "SECRET" || !message.contains(value), "a secret is in: {message}");
        }
    }
}

#[test]
fn a_flag_that_is_not_known_exits_64() {
    let ended = ends(&mut notes(&["--colour"]));
    assert_eq!(ended.code, 64);
    assert!(ended.errors.contains("--colour"), "{}", ended.errors);
}

#[test]
fn a_port_in_use_exits_69_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = ends(notes(&[]).env("PORT", &port));
    assert_eq!(ended.code, 69, "{}", ended.errors);
    assert!(ended.errors.contains(&port) && ended.errors.contains("(PORT)"), "{}", ended.errors);
}
