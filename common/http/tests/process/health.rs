//! `salud`, the health check of a container: another run of the binary, which asks the one that serves.

use crate::helpers::{Ended, Process, ends, notes};
use testkit::{PATIENCE, eventually, free_port};

/// `notes salud` with nothing in its environment but this.
fn salud(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let args: Vec<_> = ["salud"].iter().chain(arguments).copied().collect();
    ends(notes(&args).env_remove("WORKERS").envs(environment.iter().copied()))
}

/// The same, answered in time: a machine may stand still for the two seconds that it waits.
fn answered(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut asked = (0..5).map(|_| salud(environment, arguments));
    asked.find(|ended| !ended.errors.contains("did not answer within")).expect("an answer in time")
}

#[tokio::test]
async fn it_is_0_when_ready_and_1_while_leaving() {
    let process = Process::start(|c| {
        c.env("DRAIN_SECONDS", "300");
    })
    .await;
    let port = process.api.base.rsplit_once(':').unwrap().1.to_owned();
    let ready = answered(&[("PORT", &port)], &[]);
    assert_eq!((ready.code, ready.errors.as_str()), (0, ""));
    assert_eq!(ready.out.matches("ready: http://").count(), 1, "{}", ready.out);
    let by_flag = answered(&[("PORT", "9")], &["--port", &port]);
    assert_eq!(by_flag.code, 0, "a flag counts more than its variable: {}", by_flag.errors);
    // it must judge the process, not the options of serving
    let broken = [("PORT", port.as_str()), ("SECRET", "short"), ("WORKERS", "0")];
    assert_eq!(answered(&broken, &[]).code, 0);
    process.signal("TERM");
    let errors = eventually(PATIENCE, async || {
        let ended = answered(&[("PORT", &port)], &[]);
        (ended.code == 1).then_some(ended.errors)
    })
    .await;
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("503 no-listo: The process is leaving."), "{errors}");
}

#[test]
fn it_is_1_where_nothing_serves() {
    let port = free_port().to_string();
    let address = format!("127.0.0.1:{port}");
    let ended = salud(&[], &["--port", &port]);
    assert_eq!((ended.code, ended.errors.lines().count()), (1, 1), "{}", ended.errors);
    assert!(ended.errors.contains(&address), "{}", ended.errors);
}

#[test]
fn a_bad_option_of_its_own_exits_64() {
    for (variable, value) in [("PORT", "ocho"), ("HOST", "no.such.host.invalid")] {
        let Ended { code, errors, .. } = salud(&[(variable, value)], &[]);
        assert_eq!(code, 64, "{errors}");
        assert!(errors.contains(variable) && errors.contains(&variable.to_lowercase()), "{errors}");
    }
    let Ended { code, errors, .. } = salud(&[], &["--workers=1"]);
    assert_eq!(code, 64, "{errors}");
    assert!(errors.contains("--workers"), "{errors}");
}

#[test]
fn behind_other_options_it_does_not_begin_to_serve() {
    let Ended { code, errors, .. } = ends(&mut notes(&["--port=0", "salud"]));
    assert_eq!(code, 64, "{errors}");
    assert!(errors.contains("salud stands first"), "{errors}");
}
