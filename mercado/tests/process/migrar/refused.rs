//! What is refused, and that nothing is changed by it.

use super::{arrays, database, datos, files, leave_tries, lived_in, migrar, on, stop, tables};
use crate::helpers::{Process, run};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::Server;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (name, bytes) in files(from) {
        std::fs::write(to.join(name), bytes).unwrap();
    }
}

/// Moves what cannot be moved: neither side is changed.
#[track_caller]
fn refused(de: &Path, a: &Path, code: i32, words: &[&str]) {
    let before = (files(de), files(a));
    let said = migrar(&format!("json:{}", de.display()), &format!("json:{}", a.display()), code);
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
    assert!((files(de), files(a)) == before, "{said}: a file was changed");
}

#[tokio::test]
async fn a_source_that_is_missing_damaged_edited_or_not_whole() {
    let here = lived_in().await;
    let dir = TempDir::new().unwrap();
    let (de, a) = (dir.path().join("de"), dir.path().join("a"));
    refused(&de, &a, 66, &["--de", "no journal"]);
    std::fs::create_dir(&de).unwrap();
    refused(&de, &a, 66, &["--de", "no journal"]);
    let fresh = |spoil: &dyn Fn(&Path)| {
        let _ = std::fs::remove_dir_all(&de);
        copy(&here.path().join("datos"), &de);
        spoil(&de);
    };
    fresh(&|de| std::fs::remove_file(de.join("tokens.journal")).unwrap());
    refused(&de, &a, 65, &["--de", "no tokens.journal"]);
    fresh(&|de| std::fs::remove_file(de.join("contadores.json")).unwrap());
    refused(&de, &a, 65, &["contadores.json", "missing"]);
    fresh(&|de| {
        let file = de.join("usuarios.json");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("Ana", "Eva")).unwrap();
    });
    refused(&de, &a, 65, &["usuarios.json", "edited"]);
    fresh(&|de| {
        let file = de.join("usuarios.journal");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replacen("\"base\":", "\"base\":1", 1)).unwrap();
    });
    refused(&de, &a, 65, &["usuarios.journal:1", "checksum"]);
    // a balance that its ledger does not explain, and nobody edited in
    fresh(&|de| {
        let file = de.join("transacciones.json");
        std::fs::write(file, "[]").unwrap();
        for name in ["transacciones.journal", "transacciones.lock"] {
            std::fs::remove_file(de.join(name)).unwrap();
        }
    });
    let market = on(&format!("json:{}", de.display()), &[]).await;
    stop(market).await;
    refused(&de, &a, 65, &["audit", "for no purchase"]);
}

#[tokio::test]
async fn a_torn_end_is_no_damage_and_lines_after_the_mark_count() {
    let here = lived_in().await;
    leave_tries(here.path()).await;
    let dir = TempDir::new().unwrap();
    let de = dir.path().join("datos");
    copy(&here.path().join("datos"), &de);
    let journal = de.join("usuarios.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').unwrap() + 1);
    bytes.extend_from_slice(b"0123456789abcdef {\"seq\":99,\"camb");
    std::fs::write(&journal, &bytes).unwrap();
    let torn = files(&de);
    let there = TempDir::new().unwrap();
    assert!(migrar(&datos(dir.path()), &datos(there.path()), 0).contains("2 pending"));
    assert!(files(&de) == torn, "it is only read");
    // as after a power failure: no mark
    for name in ["usuarios.lock", "tokens.lock", "transacciones.lock"] {
        std::fs::remove_file(de.join(name)).unwrap();
    }
    let (url, _) = database(Server::shared()).await;
    assert!(migrar(&datos(dir.path()), &url, 0).contains("2 pending"));
}

#[tokio::test]
async fn one_store_twice_and_a_target_that_has_another_market() {
    let (here, other) = (lived_in().await, stop(Process::start().await).await);
    let (de, a) = (here.path().join("datos"), other.path().join("datos"));
    refused(&de, &de, 64, &["--a", "already"]);
    let link = other.path().join("enlace");
    std::os::unix::fs::symlink(&de, &link).unwrap();
    refused(&de, &link, 64, &["--a", "already"]);
    refused(&de, &a, 65, &["--a", "not empty", "usuarios.json", "here"]);
    std::fs::remove_file(a.join("tokens.journal")).unwrap();
    refused(&de, &a, 65, &["not empty", "no tokens.journal"]);
    // arrays that wait for their first start are somebody's, too
    let arrays_only = TempDir::new().unwrap();
    std::fs::write(arrays_only.path().join("tokens.json"), "[]").unwrap();
    refused(&de, arrays_only.path(), 65, &["not empty", "tokens.json"]);
    // other files are nobody's concern
    let with_others = TempDir::new().unwrap();
    std::fs::create_dir(with_others.path().join("lost+found")).unwrap();
    migrar(&datos(here.path()), &format!("json:{}", with_others.path().display()), 0);

    let server = Server::shared();
    let (url, name) = database(server).await;
    migrar(&datos(here.path()), &url, 0);
    let alias = url.replace("127.0.0.1", "localhost");
    let said = migrar(&url, &alias, 64);
    assert!(said.contains("--a") && said.contains("already"), "{said}");
    let (sample, sample_name) = database(server).await;
    stop(on(&sample, &[]).await).await;
    let said = migrar(&datos(here.path()), &sample, 65);
    assert!(said.contains("not empty") && said.contains("schema tokens, filled"), "{said}");
    // again what was moved: it says so, whatever it is read from
    assert!(migrar(&datos(here.path()), &url, 0).contains("it was moved before"));
    let (_, two) = (migrar(&url, &sample, 65), sample_name);
    server.execute(&two, "drop schema tokens cascade").await;
    let said = migrar(&url, &sample, 65);
    assert!(said.contains("schema usuarios, filled") && !said.contains("schema tokens, filled"), "{said}");
    let said = migrar(&sample, &datos(TempDir::new().unwrap().path()), 65);
    assert!(said.contains("--de") && said.contains("schema tokens"), "{said}");
    server.execute(&two, "drop schema usuarios cascade; drop schema transacciones cascade").await;
    migrar(&sample, &datos(TempDir::new().unwrap().path()), 66);

    // rows that nobody owns up to: the tables were never filled
    let (strange, strange_name) = database(server).await;
    tables(&strange).await;
    let row = "insert into usuarios.usuarios (id, nombre, saldo, asentado) values (77, 'nadie', 0, 0)";
    server.execute(&strange_name, row).await;
    let said = migrar(&datos(here.path()), &strange, 65);
    assert!(said.contains("nadie") && said.contains("Nothing was moved"), "{said}");
    server.execute(&strange_name, "delete from usuarios.usuarios").await;
    migrar(&datos(here.path()), &strange, 0);

    // of another version
    let nowhere = datos(TempDir::new().unwrap().path());
    server.execute(&name, "create table keep as select * from usuarios.migraciones").await;
    server.execute(&name, "delete from usuarios.migraciones where version = 2").await;
    let said = migrar(&url, &nowhere, 65);
    assert!(said.contains("schema usuarios is an older version's"), "{said}");
    server.execute(&name, "insert into usuarios.migraciones select * from keep where version = 2").await;
    server.execute(&name, "update keep set version = 99").await;
    server.execute(&name, "insert into usuarios.migraciones select * from keep limit 1").await;
    let said = migrar(&url, &nowhere, 65);
    assert!(said.contains("schema usuarios is a newer version's"), "{said}");
    let said = migrar(&datos(here.path()), &url, 65);
    assert!(said.contains("--a") && said.contains("newer version's"), "{said}");
    server.execute(&name, "delete from usuarios.migraciones where version = 99").await;
    // and with a digest that is not that of its rows
    server.execute(&name, "update usuarios.cierre set suma = suma + 1").await;
    let said = migrar(&url, &nowhere, 65);
    assert!(said.contains("usuarios.cierre"), "{said}");
}

#[tokio::test]
async fn services_that_are_still_there() {
    let (url, _) = database(Server::shared()).await;
    let dir = TempDir::new().unwrap();
    let market = Process::start().await;
    let said = migrar(&datos(market.dir.path()), &datos(dir.path()), 69);
    assert!(said.contains("usuarios.journal") && said.contains("stop every service"), "{said}");
    // and the target of somebody who is at work
    let here = lived_in().await;
    let said = migrar(&datos(here.path()), &datos(market.dir.path()), 65);
    assert!(said.contains("not empty"), "{said}");
    market.compra(1, 101).await.expect(201);
    let stopped = stop(market).await;
    migrar(&datos(stopped.path()), &url, 0);

    let market = on(&url, &[]).await;
    let said = migrar(&url, &datos(dir.path()), 69);
    assert!(said.contains("mercado@") && said.contains("stop every one"), "{said}");
    market.kill();
    migrar(&url, &datos(dir.path()), 0);
    assert_eq!(arrays(dir.path()), arrays(stopped.path()));
}

#[test]
fn options_that_are_wrong_name_themselves_and_no_password() {
    let dir = TempDir::new().unwrap();
    let good = "json:datos";
    for (arguments, code, name) in [
        (&["migrar"][..], 64, "--de"),
        (&["migrar", "--de", good], 64, "--a"),
        (&["migrar", "--de=postgress://ana:secreto@h/m", "--a", good], 64, "MIGRAR_DE"),
        (&["migrar", "--de", good, "--a=postgres://ana:secreto@h"], 64, "MIGRAR_A"),
        (&["migrar", "--de", good, "--a=postgres://ana:secreto@h/m?sslmod=x"], 64, "sslmod"),
        (
            &["migrar", "--de=postgres://ana:secreto@127.0.0.1:1/m", "--a", good],
            74,
            "postgres://ana@127.0.0.1:1/m",
        ),
    ] {
        let (done, _, said) = run(dir.path(), arguments);
        assert_eq!(done, code, "{arguments:?}: {said}");
        assert!(said.contains(name) && !said.contains("secreto"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let (code, help, _) = run(dir.path(), &["migrar", "--help"]);
    assert!(code == 0 && help.contains("[env: MIGRAR_DE]") && help.contains("[env: MIGRAR_A]"), "{help}");
}

/// A name that a file can have and a table cannot.
#[tokio::test]
async fn what_the_other_kind_of_store_cannot_hold_is_named_and_leaves_it_empty() {
    let (here, there) = (lived_in().await, TempDir::new().unwrap());
    let (url, _) = database(Server::shared()).await;
    let file = here.path().join("datos/usuarios.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace("Ana", "A\\u0000a")).unwrap();
    let here = stop(Process::on(Arc::clone(&here), &[]).await).await;
    let said = migrar(&datos(here.path()), &url, 65);
    assert!(said.contains("--a postgres://") && said.contains("schema usuarios"), "{said}");
    migrar(&url, &datos(there.path()), 66);
    migrar(&datos(here.path()), &datos(there.path()), 0);
}
