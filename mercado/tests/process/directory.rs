//! Directories that version 0.1.0 has written (commit 8ca95a6, 2026-11-26), with its answers: this build must read them for ever.
//! They are in `fixtures/0.1.0`. `compacted` was stopped; `killed` was killed with its journals full.

use crate::helpers::Process;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/fixtures/0.1.0").join(name)
}

/// The directory as it was, to the byte.
fn unpacked(name: &str) -> Arc<TempDir> {
    let dir = Arc::new(TempDir::new().unwrap());
    let datos = dir.path().join("datos");
    std::fs::create_dir(&datos).unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "gz") {
            let mut bytes = Vec::new();
            GzDecoder::new(std::fs::File::open(&file).unwrap()).read_to_end(&mut bytes).unwrap();
            std::fs::write(datos.join(file.file_stem().unwrap()), bytes).unwrap();
        }
    }
    dir
}

async fn shows(market: &Process, lists: &Value) {
    for (path, expected) in lists.as_object().unwrap() {
        assert_eq!(market.api.get(path).await.expect(200).json(), *expected, "{path}");
    }
}

/// What was acknowledged under a key is answered again, and nothing happens a second time.
async fn repeats(market: &Process, answers: &Value) {
    let kept = answers.as_array().unwrap().iter().filter(|answer| answer["status"] == 201);
    for answer in kept {
        let (path, key) = (answer["path"].as_str().unwrap(), answer["key"].as_str().unwrap());
        let call = market.api.post(path).header("Idempotency-Key", key).json(answer["request"].clone());
        let again = call.await;
        assert!(again.status == 200 || again.status == 201, "{key}: {}", again.status);
        assert_eq!(again.json(), answer["body"], "{key}");
    }
}

async fn goes_on(name: &str) {
    let recorded = std::fs::read(fixture(name).join("answers.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&recorded).unwrap();
    let dir = unpacked(name);
    // as it is; and after a clean stop, which writes the files anew
    for start in ["first", "second"] {
        let market = Process::on(dir.clone(), &[]).await;
        shows(&market, &recorded["lists"]).await;
        repeats(&market, &recorded["answers"]).await;
        shows(&market, &recorded["lists"]).await;
        market.signal("TERM");
        assert_eq!(market.end().await.code(), Some(0), "{name}, {start} start");
    }
}

#[tokio::test]
async fn a_directory_of_an_earlier_version_that_was_stopped_is_the_same_market() {
    goes_on("compacted").await;
}

#[tokio::test]
async fn a_directory_of_an_earlier_version_that_was_killed_is_the_same_market() {
    goes_on("killed").await;
}
