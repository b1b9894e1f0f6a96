//! The store's laws as a service sees them: one process, one directory.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, OpenError, Options, StoreError, Words, check};
use model::{Account, Bank, Change, Note, files, open, put};
use std::fs;

fn refused(options: Options) -> OpenError {
    match Journal::<Bank>::open(options) {
        Ok(_) => panic!("it opened"),
        Err(e) => e,
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    put(&journal, 2, 20).await;
    let seq = journal.read().unwrap().seq();
    drop(journal);
    let journal = open(dir.path());
    let now = journal.read().unwrap();
    assert_eq!((now.balance(1), now.balance(2), now.seq()), (Some(10), Some(20), seq));
}

#[tokio::test]
async fn an_err_and_a_panic_roll_back_their_own_write_only() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    let before = journal.stats();
    let refused: Result<(), &str> = journal
        .write(|tx| {
            tx.put(Change::Account(Account { id: 1, balance: 0 }));
            Err("no")
        })
        .await
        .unwrap();
    assert_eq!(refused, Err("no"));
    let panicked = journal
        .write(|tx| -> Result<(), ()> {
            tx.put(Change::Account(Account { id: 1, balance: 0 }));
            panic!("on purpose")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Rejected { .. })), "{panicked:?}");
    let unserializable = journal
        .write(|tx| -> Result<(), ()> {
            tx.put(Change::Impossible(model::Unserializable));
            Ok(())
        })
        .await;
    assert!(matches!(unserializable, Err(StoreError::Rejected { .. })), "{unserializable:?}");
    assert_eq!(journal.read().unwrap().balance(1), Some(10));
    assert_eq!(journal.stats().syncs, before.syncs, "a refusal costs no sync");
    assert_eq!(journal.stats().journal_bytes, before.journal_bytes, "a refusal costs no write");
    put(&journal, 2, 20).await;
    journal.health().unwrap();
}

/// What a write of [`a_batch_keeps_what_its_refused_neighbours_do_not_disturb`] comes to.
#[derive(Clone, Copy, Debug)]
enum End {
    Kept,
    Refused,
    Panicked,
    Unserializable,
}

#[tokio::test]
async fn a_batch_keeps_what_its_refused_neighbours_do_not_disturb() {
    use End::{Kept, Panicked, Refused, Unserializable};
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 0).await;
    let batches = journal.stats().batches;
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let (reached, at_gate) = tokio::sync::oneshot::channel();
    let held = tokio::spawn({
        let journal = journal.clone();
        async move {
            journal
                .write(move |_| {
                    reached.send(()).unwrap();
                    gate.recv().map_err(drop)
                })
                .await
        }
    });
    at_gate.await.unwrap();
    // all of these wait, and are one batch
    let ends = [Kept, Refused, Kept, Kept, Panicked, Refused, Kept, Unserializable, Kept, Refused];
    let mut writes: Vec<_> = ends
        .into_iter()
        .map(|end| {
            Box::pin(journal.write(move |tx| -> Result<u64, u64> {
                let seen = tx.balance(1).unwrap();
                tx.put(Change::Account(Account { id: 1, balance: seen + 1 }));
                tx.put(Change::Note(Note { id: seen, text: format!("{end:?}") }));
                match end {
                    Kept => Ok(seen),
                    Refused => Err(seen),
                    Panicked => panic!("on purpose"),
                    Unserializable => {
                        tx.put(Change::Impossible(model::Unserializable));
                        Ok(seen)
                    }
                }
            }))
        })
        .collect();
    assert!(writes.iter_mut().all(|write| poll_once(write).is_none()));
    open_gate.send(()).unwrap();
    held.await.unwrap().unwrap().unwrap();
    let mut kept = 0;
    for (end, write) in ends.into_iter().zip(writes) {
        let answer = write.await;
        match end {
            Kept => assert_eq!(answer.unwrap(), Ok(kept)),
            Refused => assert_eq!(answer.unwrap(), Err(kept), "it saw what was kept before it"),
            Panicked | Unserializable => assert!(matches!(answer, Err(StoreError::Rejected { .. }))),
        }
        kept += u64::from(matches!(end, Kept));
    }
    assert_eq!(journal.stats().batches, batches + 2);
    let shown = |bank: &Bank| (bank.balance(1), bank.notes().join(" "));
    let expected = (Some(5), "Kept ".repeat(5).trim_end().to_owned());
    assert_eq!(shown(&journal.read().unwrap()), expected);
    drop(journal);
    assert_eq!(shown(&open(dir.path()).read().unwrap()), expected, "on disk as in memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let writers: Vec<_> = (0..64)
        .map(|id| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for balance in 0..20 {
                    put(&journal, id, balance).await;
                    assert_eq!(journal.read().unwrap().balance(id), Some(balance), "it reads its own write");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let stats = journal.stats();
    assert_eq!(stats.lines, 64 * 20);
    assert!(stats.syncs * 4 < stats.lines, "{} syncs for {} lines", stats.syncs, stats.lines);
}

#[tokio::test]
async fn a_clean_close_leaves_complete_arrays_and_an_empty_journal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 2, 20).await;
    put(&journal, 1, 10).await;
    journal.close().unwrap();
    assert!(matches!(journal.write(|_| Ok::<(), ()>(())).await, Err(StoreError::Closed)));
    assert_eq!(journal.read().unwrap().balance(1), Some(10), "reads go on");
    let array = fs::read_to_string(dir.path().join("accounts.json")).unwrap();
    assert_eq!(array, "[\n{\"id\":1,\"balance\":10},\n{\"id\":2,\"balance\":20}\n]\n");
    assert_eq!(fs::read_to_string(dir.path().join("bank.journal")).unwrap().lines().count(), 1);
    assert!(!files(dir.path()).iter().any(|(name, _)| name.ends_with(".tmp")));

    let generation = journal.stats().generation;
    let again = open(dir.path());
    assert_eq!(again.read().unwrap().seq(), 2, "numbers go on across compactions");
    again.close().unwrap();
    assert_eq!(again.stats().generation, generation, "nothing new, nothing rewritten");
}

#[tokio::test]
async fn the_seed_is_taken_once() {
    let (dir, seed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(seed.path().join("accounts.json"), r#"[{"id":1,"balance":100}, {"balance":50,"id":2}]"#)
        .unwrap();
    let options = Options { seed_dir: Some(seed.path().into()), ..Options::new(dir.path()) };
    let journal = Journal::<Bank>::open(options.clone()).unwrap();
    assert_eq!(journal.read().unwrap().balance(1), Some(100));
    assert_eq!(journal.read().unwrap().notes(), ["opening accounts"], "on_open saw the seed");
    put(&journal, 1, 7).await;
    drop(journal);
    let journal = Journal::<Bank>::open(options).unwrap();
    assert_eq!(journal.read().unwrap().balance(1), Some(7));
    assert_eq!(journal.read().unwrap().notes().len(), 1, "and only once");
}

#[tokio::test]
async fn an_edit_between_a_clean_stop_and_a_start_is_taken_and_told_to_on_open() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    journal.close().unwrap();
    fs::write(dir.path().join("accounts.json"), "[ {\n \"id\": 1,\n \"balance\": 11 } ]").unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.read().unwrap().balance(1), Some(11));
    assert_eq!(journal.read().unwrap().notes(), ["opening accounts"]);
    drop(journal);
    assert_eq!(open(dir.path()).read().unwrap().notes().len(), 1, "the next start takes it as known");
}

#[tokio::test]
async fn an_edit_after_an_unclean_stop_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    drop(journal);
    fs::write(dir.path().join("accounts.json"), "[]").unwrap();
    let before = files(dir.path());
    let error = refused(Options::new(dir.path()));
    assert!(matches!(&error, OpenError::Data { file, .. } if file.ends_with("accounts.json")), "{error}");
    assert!(error.to_string().contains("holds 1 changes"), "{error}");
    assert_eq!(error.exit_code(), 65);
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_has_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::<Bank>::open(Options { queue: 2, ..Options::new(dir.path()) }).unwrap();
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let (reached, at_gate) = tokio::sync::oneshot::channel();
    // The first write is under way until the gate opens, and the second waits.
    let held = tokio::spawn({
        let journal = journal.clone();
        async move {
            let written = journal.write(move |_| -> Result<(), ()> {
                reached.send(()).unwrap();
                gate.recv().map_err(drop)
            });
            written.await.unwrap().unwrap();
        }
    });
    at_gate.await.unwrap();
    let mut waiting = Box::pin(journal.write(|_| Ok::<(), ()>(())));
    assert!(poll_once(&mut waiting).is_none());
    assert_eq!(journal.stats().queued, 2);
    let refused = journal.write(|_| Ok::<(), ()>(())).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert_eq!(journal.stats().refused, 1);
    journal.health().unwrap();
    open_gate.send(()).unwrap();
    held.await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(journal.stats().queued, 0);
    put(&journal, 1, 1).await;
}

/// Polls a future once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_megabyte_that_looks_like_lines_after_the_end_is_cut_like_any_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    let end = usize::try_from(journal.stats().journal_bytes).unwrap();
    // in a copy: the writer's thread may end only now
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in files(dir.path()) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    drop(journal);
    let path = copy.path().join("bank.journal");
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(end);
    bytes.extend_from_slice(" {".repeat(1 << 19).as_bytes());
    fs::write(&path, &bytes).unwrap();
    let report = check::check(copy.path(), "bank", Words::default()).unwrap();
    assert!(report.sound() && report.journal.torn == 1 << 20, "{report}");
    assert_eq!(open(copy.path()).read().unwrap().list(), [(1, 10)]);
    assert_eq!(fs::metadata(&path).unwrap().len(), end as u64);
}

#[test]
fn arrays_that_a_person_put_there_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("accounts.json"), r#"[{"id":9,"balance":1}]"#).unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.read().unwrap().balance(9), Some(1));
    assert_eq!(journal.read().unwrap().notes(), ["opening accounts"]);
}

#[test]
fn a_bad_array_is_named_with_its_line_and_left_alone() {
    for (text, line, word) in [
        ("", 1, "EOF"),
        ("{}", 1, "array"),
        ("[\n{\"id\":1,\"balance\":1},\n{\"id\":1,\"balance\":2}\n]", 3, "there already"),
        ("[\n{\"id\":1,\"balance\":1},\n\n{\"id\":2,\n\"balance\":-2}\n]", 4, "balance"),
        ("[{\"id\":1,\"balance\":1}\n{\"id\":2,\"balance\":1}]", 2, "expected"),
        ("[]\n\n[]", 3, "trailing"),
        ("\u{feff}[]", 1, "byte order mark"),
        ("[\n\"a\"\n]", 2, "invalid type"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("accounts.json");
        fs::write(&file, text).unwrap();
        let error = refused(Options::new(dir.path()));
        let named = format!("{}:{line}: ", file.display());
        assert!(error.to_string().starts_with(&named), "{text:?}: {error}");
        assert!(error.to_string().contains(word), "{text:?}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(!dir.path().join("bank.journal").exists());
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("accounts.json"), b"[\n\xff]").unwrap();
    assert!(refused(Options::new(dir.path())).to_string().contains("accounts.json:2: "));
}

#[tokio::test]
async fn a_missing_array_and_a_cut_journal_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    put(&journal, 2, 10).await;
    let durable = journal.stats().journal_bytes;
    drop(journal);
    let path = dir.path().join("bank.journal");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..usize::try_from(durable).unwrap() - 1]).unwrap();
    let error = refused(Options::new(dir.path()));
    assert!(error.to_string().contains("bank.journal"), "{error}");
    fs::write(&path, whole).unwrap();
    fs::remove_file(dir.path().join("accounts.json")).unwrap();
    let error = refused(Options::new(dir.path()));
    assert!(error.to_string().contains("accounts.json: it is missing"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_exits_73() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = refused(Options::new(dir.path().join("file/store")));
    assert_eq!(error.exit_code(), 73, "{error}");
}

#[tokio::test]
async fn check_and_dump_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    let two = journal.write(|tx| -> Result<(), ()> {
        tx.put(Change::Account(Account { id: 2, balance: 5 }));
        tx.put(Change::Note(Note { id: 1, text: "hello".into() }));
        Ok(())
    });
    two.await.unwrap().unwrap();
    drop(journal);
    let path = dir.path().join("bank.journal");
    fs::remove_file(dir.path().join("bank.lock")).unwrap();
    let before = files(dir.path());
    assert_eq!(check::stores(dir.path()).unwrap(), ["bank"]);
    let report = check::check(dir.path(), "bank", Words::default()).unwrap();
    assert!(report.sound(), "{report}");
    assert_eq!((report.journal.seqs, report.journal.changes), (Some((1, 2)), 3));
    let mut out = Vec::new();
    check::dump(dir.path(), "bank", &[], &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("line 2\n  {\"Account\":{\"id\":2,\"balance\":5}}\n  {\"Note\""), "{out}");
    assert_eq!(files(dir.path()), before);

    let mut bytes = fs::read(&path).unwrap();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    bytes[second + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = check::check(dir.path(), "bank", Words::default()).unwrap();
    assert_eq!(report.damage[0].line, Some(2), "{report}");
    assert!(check::dump(dir.path(), "bank", &[], &mut Vec::new()).is_err());
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
