//! The example, as several processes run it: one is killed, and what each was told is there.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "../examples/counter.rs"]
mod counter;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

const DIR: &str = "JOURNAL_COUNTER_DIR";

async fn told(dir: &Path, command: &[&str]) -> String {
    let mut out = Vec::new();
    let arguments = [&[dir.to_str().unwrap()], command].concat();
    counter::run(&arguments, &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn counters_go_on_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(told(dir.path(), &["add", "pears", "2"]).await, "pears 2\n");
    assert_eq!(told(dir.path(), &["count", "apples", "3"]).await, "apples 1\napples 2\napples 3\n");
    assert_eq!(told(dir.path(), &["add", "apples", "10"]).await, "apples 13\n");
    assert_eq!(told(dir.path(), &["show"]).await, "apples 13\npears 2\n");
    let array = std::fs::read_to_string(dir.path().join("counters.json")).unwrap();
    assert_eq!(array, "[\n{\"name\":\"apples\",\"value\":13},\n{\"name\":\"pears\",\"value\":2}\n]\n");
    let wrong = counter::run(&[dir.path().to_str().unwrap(), "add", "apples"], &mut Vec::new()).await;
    assert!(matches!(wrong, Err(counter::Trouble::Usage)), "{wrong:?}");
}

/// Not a test by itself: what a killed process runs.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    counter::run(&[&dir, "count", "apples", "1000000000"], &mut std::io::stdout()).await.unwrap();
}

fn start(dir: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The value of a line that the example printed; the first may follow a word of the test harness.
fn value(line: &str) -> Option<u64> {
    line.rsplit_once("apples ").and_then(|(_, value)| value.parse().ok())
}

#[tokio::test]
async fn what_two_processes_counted_is_there_although_both_were_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut firsts) = start(dir.path());
    let (mut second, mut seconds) = start(dir.path());
    let mut values = Vec::new();
    while values.len() < 150 {
        values.extend(value(&firsts.next().unwrap().unwrap()));
        values.extend(value(&seconds.next().unwrap().unwrap()));
    }
    // SIGKILL
    first.kill().unwrap();
    first.wait().unwrap();
    values.extend(firsts.map_while(Result::ok).filter_map(|line| value(&line)));
    let before = values.len();
    while values.len() < before + 100 {
        values.extend(value(&seconds.next().unwrap().unwrap()));
    }
    second.kill().unwrap();
    second.wait().unwrap();
    values.extend(seconds.map_while(Result::ok).filter_map(|line| value(&line)));

    let acknowledged = values.len() as u64;
    let shown = value(told(dir.path(), &["show"]).await.trim_end()).unwrap();
    // Each process may have been killed between a write and its line.
    assert!((acknowledged..=acknowledged + 2).contains(&shown), "{shown}, acknowledged {acknowledged}");
    let distinct: BTreeSet<u64> = values.iter().copied().collect();
    assert_eq!(distinct.len(), values.len(), "no two were told the same value");
}
