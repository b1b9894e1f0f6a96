//! Files that a person edits while a store has them in use, and who may read them.

#![allow(clippy::unwrap_used)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, Options, Words};
use model::{Bank, files, open, put};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// The files that edits of the accounts were kept in, with what is in each.
fn kept(dir: &Path, word: &str) -> Vec<String> {
    let begins = format!("accounts.json.{word}-");
    let kept = files(dir).into_iter().filter(|(name, _)| name.starts_with(&begins));
    kept.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

#[tokio::test]
async fn an_edit_beside_a_running_store_is_kept_when_a_stop_writes_its_array() {
    let dir = tempfile::tempdir().unwrap();
    let words = Words { edited: "changed", ..Words::default() };
    let options = Options { words, ..Options::new(dir.path()) };
    let array = dir.path().join("accounts.json");
    let edits = [r#"[{"id":1,"balance":1000}]"#, "not even JSON"];
    for (round, edit) in (1..).zip(edits) {
        let journal = Journal::<Bank>::open(options.clone()).unwrap();
        put(&journal, 1, round).await;
        fs::write(&array, edit).unwrap();
        put(&journal, 2, round).await;
        journal.close().unwrap();
        let written = format!("[\n{{\"id\":1,\"balance\":{round}}},\n{{\"id\":2,\"balance\":{round}}}\n]\n");
        assert_eq!(fs::read_to_string(&array).unwrap(), written, "what was acknowledged is there");
    }
    assert_eq!(kept(dir.path(), "changed"), edits, "each edit under a name of its own");
    let journal = open(dir.path());
    assert_eq!(journal.read().unwrap().list(), [(1, 2), (2, 2)], "and a start goes on as if there was none");
}

#[tokio::test]
async fn an_edit_after_a_stop_is_taken_and_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 1).await;
    journal.close().unwrap();
    fs::write(dir.path().join("accounts.json"), r#"[{"id":1,"balance":7}]"#).unwrap();
    let journal = open(dir.path());
    put(&journal, 2, 2).await;
    journal.close().unwrap();
    assert_eq!(open(dir.path()).read().unwrap().list(), [(1, 7), (2, 2)]);
    assert!(kept(dir.path(), "edited").is_empty());
}

fn modes(dir: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    files(dir).into_iter().map(|(name, _)| (name.clone(), mode(&dir.join(name)))).collect()
}

fn all_are(dir: &Path, mode: u32) {
    let modes = modes(dir);
    assert!(modes.len() >= 6, "{modes:?}");
    for (name, found) in modes {
        assert_eq!(found, mode, "{name} is {found:o}");
    }
}

#[tokio::test]
async fn files_are_their_owners_whatever_they_were() {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("data");
    let journal = open(&dir);
    put(&journal, 1, 1).await;
    all_are(&dir, 0o600);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
    drop(journal);
    for (name, _) in files(&dir) {
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    let journal = open(&dir);
    all_are(&dir, 0o600);
    journal.close().unwrap();
    all_are(&dir, 0o600);
}

#[tokio::test]
async fn an_edit_that_is_set_aside_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let open_to_all = |name: &str| {
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o644)).unwrap();
    };
    let journal = open(dir.path());
    put(&journal, 1, 1).await;
    fs::write(dir.path().join("accounts.json"), "[]").unwrap();
    open_to_all("accounts.json");
    put(&journal, 2, 2).await;
    journal.close().unwrap();
    assert_eq!(kept(dir.path(), "edited"), ["[]"]);
    all_are(dir.path(), 0o600);
    // as an earlier version left it
    let (edit, _) = files(dir.path()).into_iter().find(|(name, _)| name.contains(".edited-")).unwrap();
    open_to_all(&edit);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    drop(open(dir.path()));
    all_are(dir.path(), 0o600);
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn files_are_a_groups_in_a_directory_that_the_group_shares() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o2770)).unwrap();
    let journal = open(dir.path());
    put(&journal, 1, 1).await;
    journal.close().unwrap();
    all_are(dir.path(), 0o660);
}
