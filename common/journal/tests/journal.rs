//! The store's laws as a service sees them: one process, one directory.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, OpenError, Options, StoreError, check};
use model::{Banco, Change, Cuenta, Nota, files, open, put};
use std::fs;

fn refused(options: Options) -> OpenError {
    match Journal::<Banco>::open(options) {
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
    assert_eq!((now.saldo(1), now.saldo(2), now.seq()), (Some(10), Some(20), seq));
}

#[tokio::test]
async fn an_err_and_a_panic_roll_back_their_own_write_only() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    let before = journal.stats();
    let refused: Result<(), &str> = journal
        .write(|tx| {
            tx.put(Change::Cuenta(Cuenta { id: 1, saldo: 0 }));
            Err("no")
        })
        .await
        .unwrap();
    assert_eq!(refused, Err("no"));
    let panicked = journal
        .write(|tx| -> Result<(), ()> {
            tx.put(Change::Cuenta(Cuenta { id: 1, saldo: 0 }));
            panic!("on purpose")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Rejected { .. })), "{panicked:?}");
    let unserializable = journal
        .write(|tx| -> Result<(), ()> {
            tx.put(Change::Imposible(model::Unserializable));
            Ok(())
        })
        .await;
    assert!(matches!(unserializable, Err(StoreError::Rejected { .. })), "{unserializable:?}");
    assert_eq!(journal.read().unwrap().saldo(1), Some(10));
    assert_eq!(journal.stats().syncs, before.syncs, "a refusal costs no sync");
    assert_eq!(journal.stats().journal_bytes, before.journal_bytes, "a refusal costs no write");
    put(&journal, 2, 20).await;
    journal.health().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let writers: Vec<_> = (0..64)
        .map(|id| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for saldo in 0..20 {
                    put(&journal, id, saldo).await;
                    assert_eq!(journal.read().unwrap().saldo(id), Some(saldo), "it reads its own write");
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
    assert_eq!(journal.read().unwrap().saldo(1), Some(10), "reads go on");
    let array = fs::read_to_string(dir.path().join("cuentas.json")).unwrap();
    assert_eq!(array, "[\n{\"id\":1,\"saldo\":10},\n{\"id\":2,\"saldo\":20}\n]\n");
    assert_eq!(fs::read_to_string(dir.path().join("banco.journal")).unwrap().lines().count(), 1);
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
    fs::write(seed.path().join("cuentas.json"), r#"[{"id":1,"saldo":100}, {"saldo":50,"id":2}]"#).unwrap();
    let options = Options { seed_dir: Some(seed.path().into()), ..Options::new(dir.path()) };
    let journal = Journal::<Banco>::open(options.clone()).unwrap();
    assert_eq!(journal.read().unwrap().saldo(1), Some(100));
    assert_eq!(journal.read().unwrap().notas(), ["apertura cuentas"], "on_open saw the seed");
    put(&journal, 1, 7).await;
    drop(journal);
    let journal = Journal::<Banco>::open(options).unwrap();
    assert_eq!(journal.read().unwrap().saldo(1), Some(7));
    assert_eq!(journal.read().unwrap().notas().len(), 1, "and only once");
}

#[tokio::test]
async fn an_edit_between_a_clean_stop_and_a_start_is_taken_and_told_to_on_open() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    journal.close().unwrap();
    fs::write(dir.path().join("cuentas.json"), "[ {\n \"id\": 1,\n \"saldo\": 11 } ]").unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.read().unwrap().saldo(1), Some(11));
    assert_eq!(journal.read().unwrap().notas(), ["apertura cuentas"]);
    drop(journal);
    assert_eq!(open(dir.path()).read().unwrap().notas().len(), 1, "the next start takes it as known");
}

#[tokio::test]
async fn an_edit_after_an_unclean_stop_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    drop(journal);
    fs::write(dir.path().join("cuentas.json"), "[]").unwrap();
    let before = files(dir.path());
    let error = refused(Options::new(dir.path()));
    assert!(matches!(&error, OpenError::Data { file, .. } if file.ends_with("cuentas.json")), "{error}");
    assert!(error.to_string().contains("holds 1 changes"), "{error}");
    assert_eq!(error.exit_code(), 65);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn arrays_that_a_person_put_there_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cuentas.json"), r#"[{"id":9,"saldo":1}]"#).unwrap();
    let journal = open(dir.path());
    assert_eq!(journal.read().unwrap().saldo(9), Some(1));
    assert_eq!(journal.read().unwrap().notas(), ["apertura cuentas"]);
}

#[test]
fn a_bad_array_is_named_with_its_line_and_left_alone() {
    for (text, line, word) in [
        ("", 1, "EOF"),
        ("{}", 1, "array"),
        ("[\n{\"id\":1,\"saldo\":1},\n{\"id\":1,\"saldo\":2}\n]", 3, "there already"),
        ("[\n{\"id\":1,\"saldo\":1},\n\n{\"id\":2,\n\"saldo\":-2}\n]", 4, "saldo"),
        ("[{\"id\":1,\"saldo\":1}\n{\"id\":2,\"saldo\":1}]", 2, "expected"),
        ("[]\n\n[]", 3, "trailing"),
        ("\u{feff}[]", 1, "byte order mark"),
        ("[\n\"a\"\n]", 2, "invalid type"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cuentas.json");
        fs::write(&file, text).unwrap();
        let error = refused(Options::new(dir.path()));
        let named = format!("{}:{line}: ", file.display());
        assert!(error.to_string().starts_with(&named), "{text:?}: {error}");
        assert!(error.to_string().contains(word), "{text:?}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert!(!dir.path().join("banco.journal").exists());
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cuentas.json"), b"[\n\xff]").unwrap();
    assert!(refused(Options::new(dir.path())).to_string().contains("cuentas.json:2: "));
}

#[tokio::test]
async fn a_missing_array_and_a_cut_journal_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 10).await;
    put(&journal, 2, 10).await;
    let durable = journal.stats().journal_bytes;
    drop(journal);
    let path = dir.path().join("banco.journal");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..usize::try_from(durable).unwrap() - 1]).unwrap();
    let error = refused(Options::new(dir.path()));
    assert!(error.to_string().contains("banco.journal"), "{error}");
    fs::write(&path, whole).unwrap();
    fs::remove_file(dir.path().join("cuentas.json")).unwrap();
    let error = refused(Options::new(dir.path()));
    assert!(error.to_string().contains("cuentas.json: it is missing"), "{error}");
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
        tx.put(Change::Cuenta(Cuenta { id: 2, saldo: 5 }));
        tx.put(Change::Nota(Nota { id: 1, texto: "hola".into() }));
        Ok(())
    });
    two.await.unwrap().unwrap();
    drop(journal);
    let path = dir.path().join("banco.journal");
    fs::remove_file(dir.path().join("banco.lock")).unwrap();
    let before = files(dir.path());
    assert_eq!(check::stores(dir.path()).unwrap(), ["banco"]);
    let report = check::check(dir.path(), "banco").unwrap();
    assert!(report.sound(), "{report}");
    assert_eq!((report.journal.seqs, report.journal.changes), (Some((1, 2)), 3));
    let mut out = Vec::new();
    check::dump(dir.path(), "banco", &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("line 2\n  {\"Cuenta\":{\"id\":2,\"saldo\":5}}\n  {\"Nota\""), "{out}");
    assert_eq!(files(dir.path()), before);

    let mut bytes = fs::read(&path).unwrap();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    bytes[second + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = check::check(dir.path(), "banco").unwrap();
    assert_eq!(report.damage[0].line, Some(2), "{report}");
    assert!(check::dump(dir.path(), "banco", &mut Vec::new()).is_err());
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
