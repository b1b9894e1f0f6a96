//! A store whose memory is used up: what it refuses, what it goes on with, and that it always starts.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Budget, Journal, Need, Options, StoreError};
use model::{Account, Bank, Change};

/// Each record of the bank counts as 100 bytes.
const MOST: u64 = 300;
const RESERVE: u64 = 100;

async fn put(journal: &Journal<Bank>, need: Need, id: u64) -> Result<(), StoreError> {
    let written = journal.write_for(need, move |tx| {
        tx.put(Change::Account(Account { id, balance: 1 }));
        Ok::<(), ()>(())
    });
    written.await.map(|done| done.unwrap())
}

async fn close(journal: &Journal<Bank>, id: u64) -> Result<(), StoreError> {
    let written = journal.write(move |tx| {
        tx.put(Change::Closed(id));
        Ok::<(), ()>(())
    });
    written.await.map(|done| done.unwrap())
}

fn is_full(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Full))
}

/// The writer's thread may be the last to let a store go.
async fn used_up_to(budget: &Budget, bytes: u64) {
    while budget.used() > bytes {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_store_refuses_what_adds_ends_what_was_begun_and_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let budget = Budget::new(MOST, RESERVE);
    let options = Options { budget: Some(budget.clone()), ..Options::new(dir.path()) };
    let journal = Journal::<Bank>::open(options.clone()).unwrap();
    for id in 1..=3 {
        put(&journal, Need::Add, id).await.unwrap();
    }
    assert!(is_full(&put(&journal, Need::Add, 4).await));
    put(&journal, Need::Begin, 5).await.unwrap();
    assert!(is_full(&put(&journal, Need::Begin, 6).await));
    put(&journal, Need::End, 7).await.unwrap();
    assert!(is_full(&put(&journal, Need::End, 8).await));
    put(&journal, Need::Add, 1).await.unwrap(); // it puts what is there, and so adds nothing
    journal.health().unwrap();
    assert_eq!(journal.read().unwrap().list(), [(1, 1), (2, 1), (3, 1), (5, 1), (7, 1)], "reads go on");
    let stats = journal.stats();
    assert_eq!((stats.memory, budget.used(), stats.full), (500, 500, 3));

    // Whatever is used: a start, also one that writes because of an edit, and a stop.
    drop(journal);
    used_up_to(&budget, 0).await;
    let journal = Journal::<Bank>::open(options.clone()).unwrap();
    assert_eq!(journal.read().unwrap().list().len(), 5);
    journal.close().unwrap();
    drop(journal);
    used_up_to(&budget, 0).await;
    let array = dir.path().join("accounts.json");
    let edited = std::fs::read_to_string(&array).unwrap().replace(r#""balance":1"#, r#""balance":2"#);
    std::fs::write(&array, edited).unwrap();
    let journal = Journal::<Bank>::open(options).unwrap();
    assert_eq!(journal.read().unwrap().notes(), ["opening accounts"]);

    // What is removed gives its room back.
    for id in [1, 2, 3, 5] {
        close(&journal, id).await.unwrap();
        assert_eq!(is_full(&put(&journal, Need::Add, 9).await), id != 5, "{id}");
    }
    assert_eq!(journal.stats().memory, MOST);
}

#[tokio::test]
async fn the_stores_of_a_process_share_a_budget_and_give_their_part_back() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let budget = Budget::new(MOST, RESERVE);
    let open = |dir: &std::path::Path| {
        Journal::<Bank>::open(Options { budget: Some(budget.clone()), ..Options::new(dir) }).unwrap()
    };
    let (first, second) = (open(one.path()), open(two.path()));
    put(&first, Need::Add, 1).await.unwrap();
    put(&first, Need::Add, 2).await.unwrap();
    put(&second, Need::Add, 1).await.unwrap();
    assert!(is_full(&put(&second, Need::Add, 2).await));
    assert!(is_full(&put(&first, Need::Add, 3).await));
    first.close().unwrap();
    drop(first);
    used_up_to(&budget, 100).await;
    put(&second, Need::Add, 2).await.unwrap();
}
