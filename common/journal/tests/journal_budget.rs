//! A store whose memory is used up: what it refuses, what it goes on with, and that it always starts.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Budget, Journal, Options, StoreError};
use model::{Account, Bank, Change};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const MOST: u64 = 1000;
const RESERVE: u64 = 100;

fn put(tx: &mut journal::Tx<'_, Bank>, id: u64) {
    tx.put(Change::Account(Account { id, balance: 1 }));
}

async fn add(journal: &Journal<Bank>, id: u64) -> Result<(), StoreError> {
    let written = journal.write(move |tx| {
        put(tx, id);
        Ok::<(), ()>(())
    });
    written.await.map(|done| done.unwrap())
}

async fn end(journal: &Journal<Bank>, id: u64) -> Result<(), StoreError> {
    let written = journal.write_ending(move |tx| {
        put(tx, id);
        Ok::<(), ()>(())
    });
    written.await.map(|done| done.unwrap())
}

#[tokio::test]
async fn a_full_store_refuses_what_adds_ends_what_was_begun_and_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let used = Arc::new(AtomicU64::new(MOST));
    let measure = {
        let used = used.clone();
        move || used.load(Ordering::Relaxed)
    };
    let budget = Some(Budget::measured(MOST, RESERVE, measure));
    let options = Options { budget, ..Options::new(dir.path()) };
    let journal = Journal::<Bank>::open(options.clone()).unwrap();
    add(&journal, 1).await.unwrap();
    end(&journal, 2).await.unwrap();

    used.store(MOST + 1, Ordering::Relaxed);
    assert!(matches!(add(&journal, 3).await, Err(StoreError::Full)));
    end(&journal, 4).await.unwrap();
    journal.health().unwrap();
    used.store(MOST + RESERVE + 1, Ordering::Relaxed);
    assert!(matches!(add(&journal, 5).await, Err(StoreError::Full)));
    assert!(matches!(end(&journal, 6).await, Err(StoreError::Full)));
    let there = [(1, 1), (2, 1), (4, 1)];
    assert_eq!(journal.read().unwrap().list(), there, "reads go on");
    let stats = journal.stats();
    assert_eq!((stats.memory, stats.full), (Some(MOST + RESERVE + 1), 3));

    // Whatever is used: a start, also one that writes because of an edit, and a stop.
    drop(journal);
    let journal = Journal::<Bank>::open(options.clone()).unwrap();
    assert_eq!(journal.read().unwrap().list(), there);
    journal.close().unwrap();
    std::fs::write(dir.path().join("accounts.json"), r#"[{"id":1,"balance":1},{"id":2,"balance":1}]"#)
        .unwrap();
    let journal = Journal::<Bank>::open(options).unwrap();
    assert_eq!(journal.read().unwrap().notes(), ["opening accounts"]);

    used.store(MOST, Ordering::Relaxed);
    add(&journal, 7).await.unwrap();
}
