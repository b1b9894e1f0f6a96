//! The health check of a container: another run of the binary, which asks the one that serves.

use crate::ayuda::{Process, usuarios};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use testkit::{PATIENCE, eventually};

/// `usuarios salud` with nothing in its environment but this: exit code, standard output, standard error.
fn salud(environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usuarios"));
    command.env_clear().envs(environment.iter().copied()).arg("salud").args(arguments);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn it_is_0_when_ready_and_1_while_leaving() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "300");
    })
    .await;
    let port = process.api.base.rsplit_once(':').unwrap().1.to_owned();
    let (code, said, errors) = salud(&[("PORT", &port)], &[]);
    assert_eq!((code, said.lines().count(), errors.as_str()), (0, 1, ""), "{said}");
    let (code, _, errors) = salud(&[("PORT", "9")], &["--port", &port]);
    assert_eq!(code, 0, "a flag counts more than its variable: {errors}");
    // it must judge the process, not the options of serving
    let broken =
        [("PORT", port.as_str()), ("INTERNAL_TOKEN", "short"), ("STORE", "mysql:"), ("WORKERS", "0")];
    assert_eq!(salud(&broken, &[]).0, 0);
    process.signal("TERM");
    let (said, errors) = eventually(PATIENCE, async || {
        let (code, said, errors) = salud(&[("PORT", &port)], &[]);
        (code == 1).then_some((said, errors))
    })
    .await;
    assert_eq!((said.as_str(), errors.lines().count()), ("", 1), "{errors}");
    assert!(errors.contains("503 no-listo: The process is leaving."), "{errors}");
}

#[test]
fn it_is_1_where_nothing_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (code, _, errors) = salud(&[], &["--port", address.rsplit_once(':').unwrap().1]);
    assert_eq!((code, errors.lines().count()), (1, 1), "{errors}");
    assert!(errors.contains(&address), "{errors}");
}

#[test]
fn a_bad_option_of_its_own_exits_64() {
    for (variable, value) in [("PORT", "ocho"), ("HOST", "no.such.host.invalid")] {
        let (code, _, errors) = salud(&[(variable, value)], &[]);
        assert_eq!(code, 64, "{errors}");
        assert!(errors.contains(variable) && errors.contains(&variable.to_lowercase()), "{errors}");
    }
    let (code, _, errors) = salud(&[], &["--workers=1"]);
    assert_eq!(code, 64, "{errors}");
    assert!(errors.contains("--workers"), "{errors}");
}

#[test]
fn behind_other_options_it_does_not_begin_to_serve() {
    let output = usuarios(Path::new("/nonexistent")).args(["--port=0", "salud"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(errors.contains("salud stands first"), "{errors}");
}
