//! `mercado journal check|dump`: looks, and changes nothing.

use crate::helpers::{Process, mercado, run};
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

/// `mercado journal dump | head -1`, with a reader that has gone before the first line.
#[tokio::test]
async fn a_reader_that_has_gone_is_no_error() {
    let dir = killed().await;
    let (nobody, pipe) = std::io::pipe().unwrap();
    drop(nobody);
    for arguments in
        [&["journal", "dump", "datos"][..], &["journal", "check", "datos"], &["--help"], &["--version"]]
    {
        let output = mercado(dir.path(), arguments).stdout(pipe.try_clone().unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let refused = mercado(dir.path(), &["--colour"]).stderr(pipe).output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
}

#[tokio::test]
async fn an_edit_of_a_market_at_work_is_kept_beside_and_named() {
    let market = Process::start().await;
    let dir = market.dir.clone();
    let datos = dir.path().join("datos");
    market.compra(1, 101).await.expect(201);
    let edit = r#"[{"id":1,"nombre":"Ana","saldo":1000000}]"#;
    std::fs::write(datos.join("usuarios.json"), edit).unwrap();
    market.api.post("/usuarios/2/abonos").json(serde_json::json!({"monto": 7})).await.expect(201);
    market.signal("INT");
    assert_eq!(market.end().await.code(), Some(0));
    let kept: Vec<_> =
        files(&datos).into_iter().filter(|(name, _)| name.starts_with("usuarios.json.editado-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].1, edit.as_bytes());
    // what the market knew is what it goes on with
    let again = Process::on(dir.clone(), &[]).await;
    assert_eq!(again.api.get("/usuarios/1").await.expect(200).json()["saldo"], 50);
    assert_eq!(again.api.get("/usuarios/2").await.expect(200).json()["saldo"], 157);
    assert_eq!(again.api.get("/transacciones/auditoria").await.json()["correcto"], true);
}

/// Nobody else on the machine reads a balance.
#[tokio::test]
async fn files_of_a_market_are_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let dir = killed().await;
    let datos = dir.path().join("datos");
    assert_eq!(mode(&datos), 0o700);
    let all_are = |expected: u32| {
        for name in files(&datos).into_keys() {
            assert_eq!(mode(&datos.join(&name)), expected, "{name}");
        }
    };
    all_are(0o600);
    // as an earlier version left them
    for name in files(&datos).into_keys() {
        std::fs::set_permissions(datos.join(&name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let again = Process::on(dir.clone(), &[]).await;
    all_are(0o600);
    again.signal("TERM");
    assert_eq!(again.end().await.code(), Some(0));
    all_are(0o600);
}
