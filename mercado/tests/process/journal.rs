//! `mercado journal check|dump`: looks, and changes nothing.

use crate::helpers::{Process, run};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// Every file of a directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap())
        .map(|f| (f.file_name().into_string().unwrap(), std::fs::read(f.path()).unwrap()))
        .collect()
}

/// A market with a purchase, killed: its journals are full.
async fn killed() -> std::sync::Arc<TempDir> {
    let market = Process::start().await;
    market.compra(1, 101).await.expect(201);
    market.api.post("/usuarios/1/abonos").json(serde_json::json!({"monto": 7})).await.expect(201);
    market.api.patch("/tokens/102").json(serde_json::json!({"precio": 71})).await.expect(200);
    let dir = market.dir.clone();
    market.kill();
    dir
}

#[tokio::test]
async fn a_market_at_work_a_killed_one_and_a_stopped_one_are_sound() {
    let market = Process::start().await;
    market.compra(1, 101).await.expect(201);
    let dir = market.dir.clone();
    let sound = |what: &str| {
        let (code, report, said) = run(dir.path(), &["journal", "check", "datos"]);
        assert_eq!((code, said.as_str()), (0, ""), "{what}: {report}");
        for store in ["tokens", "transacciones", "usuarios"] {
            assert!(report.contains(&format!("\n{store}: sound\n")), "{what}: {report}");
        }
        let (code, lines, said) = run(dir.path(), &["journal", "dump", "datos"]);
        assert_eq!((code, said.as_str()), (0, ""), "{what}: {lines}");
        lines
    };
    let lines = sound("at work");
    assert!(lines.contains(r#""usuarioId":1"#), "{lines}");
    market.compra(2, 102).await.expect(201);
    assert_eq!(market.api.get("/transacciones/auditoria").await.json()["correcto"], true);
    market.kill();
    let before = files(&dir.path().join("datos"));
    assert!(sound("killed").contains(r#""usuarioId":2"#));
    assert_eq!(files(&dir.path().join("datos")), before, "nothing was changed");
    let again = Process::on(dir.clone(), &[]).await;
    again.signal("INT");
    assert_eq!(again.end().await.code(), Some(0));
    sound("stopped");
}

#[tokio::test]
async fn damage_exits_65_with_file_and_line_and_is_left_alone() {
    for store in ["usuarios", "tokens", "transacciones"] {
        let dir = killed().await;
        let datos = dir.path().join("datos");
        let journal = datos.join(format!("{store}.journal"));
        let mut bytes = std::fs::read(&journal).unwrap();
        // a flipped bit in the second line, which is not the last one or was acknowledged
        let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        let end = second + bytes[second..].iter().position(|b| *b == b'\n').unwrap();
        bytes[end - 5] ^= 1;
        std::fs::write(&journal, &bytes).unwrap();
        let before = files(&datos);
        let place = format!("{store}.journal:2: ");
        let (code, report, said) = run(dir.path(), &["journal", "check", "datos"]);
        assert_eq!(code, 65, "{report}{said}");
        assert!(report.contains("DAMAGED datos/") && report.contains(&place), "{report}");
        let (code, _, said) = run(dir.path(), &["--port=0"]);
        assert_eq!(code, 65, "{said}");
        assert!(said.contains(&place), "{said}");
        let after = files(&datos);
        for (name, bytes) in &before {
            // another store may have been opened before this one was refused
            if name.starts_with(store) && !name.ends_with(".lock") && !name.ends_with(".turn") {
                assert!(after[name] == *bytes, "{name} was changed");
            }
        }
    }
}

#[test]
fn a_directory_without_a_journal_exits_66() {
    let dir = TempDir::new().unwrap();
    for command in ["check", "dump"] {
        let (code, _, said) = run(dir.path(), &["journal", command, "."]);
        assert_eq!(code, 66, "{said}");
        let (code, _, said) = run(dir.path(), &["journal", command, "nada"]);
        assert!(matches!(code, 66 | 74), "{code}: {said}");
        assert!(said.contains("nada"), "{said}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
