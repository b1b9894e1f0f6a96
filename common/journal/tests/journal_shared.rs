//! Several handles on one directory. A `flock` belongs to an open file, so two opens in one process exclude each other as
//! two processes do; the last test uses a real second process, and kills it.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, Options};
use model::{Account, Bank, Change, open, put};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

#[tokio::test]
async fn a_read_sees_what_another_handle_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    for balance in 0..50 {
        put(&a, 1, balance).await;
        assert_eq!(b.read().unwrap().balance(1), Some(balance));
        put(&b, 2, balance).await;
        assert_eq!(a.read().unwrap().balance(2), Some(balance));
    }
    assert_eq!(a.read().unwrap().seq(), 100);
    assert_eq!(b.stats().lines, 50);
}

#[tokio::test]
async fn a_listener_hears_of_another_handles_write_without_reading() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    let mut changed = b.changed();
    put(&a, 1, 1).await;
    changed.wait_for(|seq| *seq == 1).await.unwrap();
}

#[tokio::test]
async fn a_handle_follows_one_compaction_and_many() {
    let dir = tempfile::tempdir().unwrap();
    let b = open(dir.path());
    for round in 1..=3 {
        let a = open(dir.path());
        put(&a, 1, round).await;
        put(&a, round + 10, round).await;
        a.close().unwrap();
    }
    // Three generations went by: `b` must load the arrays again.
    let now = b.read().unwrap();
    assert_eq!(now.list(), [(1, 3), (11, 1), (12, 2), (13, 3)]);
    assert_eq!(now.seq(), 6);
    drop(now);
    put(&b, 1, 4).await;
    let a = open(dir.path());
    a.close().unwrap();
    put(&b, 1, 5).await;
    assert_eq!(a.read().unwrap().balance(1), Some(5));
}

#[tokio::test]
async fn a_handle_that_stayed_open_takes_an_edit_that_another_open_found() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(dir.path()), open(dir.path()));
    put(&a, 1, 1).await;
    assert_eq!(b.read().unwrap().balance(1), Some(1));
    a.close().unwrap();
    std::fs::write(dir.path().join("accounts.json"), r#"[{"id":1,"balance":77}]"#).unwrap();
    let c = open(dir.path());
    assert_eq!(b.read().unwrap().balance(1), Some(77));
    put(&b, 2, 2).await;
    assert_eq!(c.read().unwrap().list(), [(1, 77), (2, 2)]);
}

/// Transfers keep the sum, whoever makes them and whatever is compacted meanwhile; each read sees the sum whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_transfers_from_three_handles_lose_nothing() {
    const ACCOUNTS: u64 = 8;
    const EACH: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { compact_bytes: 2000, ..Options::new(dir.path()) };
    let first = Journal::<Bank>::open(options.clone()).unwrap();
    for id in 0..ACCOUNTS {
        put(&first, id, 100).await;
    }
    let mut tasks = Vec::new();
    let mut handles = Vec::new();
    for h in 0..3 {
        let journal = Journal::<Bank>::open(options.clone()).unwrap();
        handles.push(journal.clone());
        for t in 0..3 {
            let journal = journal.clone();
            tasks.push(tokio::spawn(async move {
                let mut done = 0;
                for n in 0..EACH {
                    let (from, to) = ((n + h) % ACCOUNTS, (n * 3 + t + 1) % ACCOUNTS);
                    let moved = journal.write(move |tx| {
                        let (a, b) = (tx.balance(from).unwrap(), tx.balance(to).unwrap());
                        if a == 0 || from == to {
                            return Err(());
                        }
                        tx.put(Change::Account(Account { id: from, balance: a - 1 }));
                        tx.put(Change::Account(Account { id: to, balance: b + 1 }));
                        Ok(())
                    });
                    done += u64::from(moved.await.unwrap().is_ok());
                    let sum: u64 = journal.read().unwrap().list().iter().map(|(_, balance)| balance).sum();
                    assert_eq!(sum, ACCOUNTS * 100);
                }
                done
            }));
        }
    }
    let mut done = ACCOUNTS;
    for task in tasks {
        done += task.await.unwrap();
    }
    let state = first.read().unwrap().list();
    assert_eq!(first.read().unwrap().seq(), done, "one line for each acknowledged write");
    assert!(handles.iter().map(|j| j.stats().compactions).sum::<u64>() > 0, "compactions ran meanwhile");
    for journal in &handles {
        assert_eq!(journal.read().unwrap().list(), state);
    }
    drop((handles, first));
    assert_eq!(open(dir.path()).read().unwrap().list(), state);
}

const CHILD: &str = "JOURNAL_TEST_CHILD";

/// Not a test by itself: what the killed process runs.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let options = Options { compact_bytes: 5000, ..Options::new(dir) };
    let journal = Journal::<Bank>::open(options).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|id| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let last = journal.read().unwrap().balance(id).unwrap_or_default();
                for balance in last + 1.. {
                    put(&journal, id, balance).await;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {id} {balance}").unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let ours = open(dir.path());
    let mut acknowledged = [0; 8];
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: String| {
            let mut words = line.split(' ').skip_while(|word| !word.ends_with("ack")).skip(1);
            if let (Some(Ok(id)), Some(Ok(balance))) =
                (words.next().map(str::parse::<usize>), words.next().map(str::parse))
            {
                acknowledged[id] = balance;
                return true;
            }
            false
        };
        let mut heard = 0;
        while heard < 100 + round * 37 {
            heard += usize::from(note(lines.next().unwrap().unwrap()));
            if heard % 10 == 5 {
                put(&ours, 100, heard as u64).await;
                assert_eq!(ours.read().unwrap().balance(100), Some(heard as u64));
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            note(line);
        });

        // Of a write under way at the kill there is all or nothing, so each balance is the last heard, or one more.
        let fresh = open(dir.path());
        for state in [ours.read().unwrap().list(), fresh.read().unwrap().list()] {
            for (id, last) in acknowledged.iter().enumerate() {
                let balance = state
                    .iter()
                    .find(|(account, _)| *account == id as u64)
                    .map_or(0, |(_, balance)| *balance);
                assert!(
                    balance == *last || balance == last + 1,
                    "account {id}: {balance}, acknowledged {last}"
                );
            }
        }
        assert_eq!(ours.read().unwrap().list(), fresh.read().unwrap().list());
        // the next process counts on from here
        for (account, balance) in fresh.read().unwrap().list() {
            if let Some(last) = usize::try_from(account).ok().and_then(|id| acknowledged.get_mut(id)) {
                *last = balance;
            }
        }
    }
}
