//! Moves that are cut off: killed, out of disk, without their database, or with a source that changes under them. What is left
//! is no market for anybody, and the next move begins anew.

use super::{arrays, database, datos, files, leave_tries, lived_in, migrar, on, stop, tables};
use crate::helpers::{Process, filled, mercado, run};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};

/// A move under way.
struct Move(Child);

impl Move {
    fn begin(de: &str, a: &str) -> Self {
        let mut command = mercado(Path::new("/"), &["migrar", "--de", de, "--a", a]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it ended before it was killed");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Its end, which must come by itself.
    fn end(self) -> (i32, String) {
        let output = self.0.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

/// A transaction that has a lock, until it ends.
async fn lock(server: &Server, database: &str, table: &str, mode: &str) -> PgConnection {
    let mut connection = server.connect(database).await;
    let sql = format!("begin; lock table {table} in {mode} mode");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection
}

/// Waits until so many transactions or more wait for a lock in a database.
async fn waiting(server: &Server, database: &str, how_many: i64) {
    let mut looker = server.connect(database).await;
    eventually(PATIENCE, async || {
        let sql = "select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                   where not l.granted and a.datname = current_database()";
        let n: i64 = sqlx::query_scalar(sql).fetch_one(&mut looker).await.unwrap();
        (n >= how_many).then_some(())
    })
    .await;
}

async fn count(server: &Server, database: &str, from: &str) -> i64 {
    let mut looker = server.connect(database).await;
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {from}")))
        .fetch_one(&mut looker)
        .await
        .unwrap()
}

/// In a database: killed at one table after another, and once more with the server killed instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_half_filled_is_empty() {
    let (server, here, there) = (Server::start(""), lived_in().await, TempDir::new().unwrap());
    leave_tries(here.path()).await;
    let (url, name) = database(&server).await;
    tables(&url).await;
    let at = async |table| {
        // it may read, and waits where it writes
        let held = lock(&server, &name, table, "share row exclusive").await;
        let cut = Move::begin(&datos(here.path()), &url);
        waiting(&server, &name, 1).await;
        (held, cut)
    };
    for table in
        ["usuarios.usuarios", "usuarios.cierre", "tokens.tokens", "tokens.cuentas", "transacciones.cierre"]
    {
        let (held, cut) = at(table).await;
        cut.kill();
        held.close().await.unwrap();
    }
    let halfway = async || at("transacciones.claves").await;
    let (held, cut) = halfway().await;
    // a start of the source waits for nobody: it says what goes on
    let (code, _, said) = run(here.path(), &["--port=0"]);
    assert!(code == 74 && said.contains("mercado migrar"), "{code}: {said}");
    cut.kill();
    for table in ["usuarios.usuarios", "usuarios.siembra", "tokens.tokens", "tokens.siembra"] {
        assert_eq!(count(&server, &name, table).await, 0, "{table}");
    }
    let said = migrar(&url, &datos(there.path()), 66);
    assert!(said.contains("no market"), "{said}");
    held.close().await.unwrap();

    let (held, cut) = halfway().await;
    tokio::task::block_in_place(|| server.kill());
    let (code, said) = cut.end();
    assert!(code == 74 && said.contains("run it again"), "{code}: {said}");
    drop(held);
    tokio::task::block_in_place(|| server.up());
    assert_eq!(count(&server, &name, "usuarios.siembra").await, 0);

    // a service that starts on the target meanwhile waits, and then has what was moved and not its sample
    let (held, cut) = halfway().await;
    let mut early = mercado(there.path(), &["--port=0", "--store", &url]);
    let mut early = early.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    waiting(&server, &name, 2).await;
    held.close().await.unwrap();
    assert_eq!(cut.end(), (0, String::new()));
    early.kill().unwrap();
    early.wait().unwrap();
    let market = on(&url, &[]).await;
    assert_eq!(market.api.get("/usuarios/3").await.json()["nombre"], "Zoë");
    stop(market).await;
}

/// A role's or a database's own timeout is for requests.
#[tokio::test]
async fn no_statement_is_too_slow_for_a_move() {
    let (server, here) = (Server::shared(), lived_in().await);
    let (url, name) = database(server).await;
    tables(&url).await;
    // of a session before that
    let held = lock(server, &name, "transacciones.claves", "share row exclusive").await;
    server.execute(&name, &format!("alter database {name} set statement_timeout = '1500ms'")).await;
    let moving = Move::begin(&datos(here.path()), &url);
    let late = format!(
        "select count(*) from pg_stat_activity where datname = '{name}'
         and wait_event_type = 'Lock' and clock_timestamp() - query_start > interval '2 s'"
    );
    eventually(PATIENCE, async || (server.count("postgres", &late).await > 0).then_some(())).await;
    held.close().await.unwrap();
    assert_eq!(moving.end(), (0, String::new()));
}

/// A service that was started on what was left of a move made a market of its own there: the next move says so.
#[tokio::test]
async fn who_starts_on_an_empty_database_between_two_moves_is_not_overwritten() {
    let (server, here) = (Server::shared(), lived_in().await);
    let (url, name) = database(server).await;
    tables(&url).await;
    let held = lock(server, &name, "transacciones.claves", "share row exclusive").await;
    let cut = Move::begin(&datos(here.path()), &url);
    waiting(server, &name, 1).await;
    cut.kill();
    held.close().await.unwrap();
    let market = on(&url, &[]).await;
    market.compra(1, 101).await.expect(201);
    stop(market).await;
    let said = migrar(&datos(here.path()), &url, 65);
    assert!(said.contains("schema usuarios, filled"), "{said}");
    assert_eq!(count(server, &name, "transacciones.claves").await, 1);
}

/// Waits where it reads the source a second time: all is written, and is no market yet. `lock` is what it waits for.
async fn written(server: &Server, name: &str, de: &str, a: &str) -> (PgConnection, Move) {
    let first = lock(server, name, "transacciones.claves", "access exclusive").await;
    let moving = Move::begin(de, a);
    waiting(server, name, 1).await;
    // behind the first reading, and before the second
    let mut next = server.connect(name).await;
    sqlx::raw_sql("begin").execute(&mut next).await.unwrap();
    let queued = tokio::spawn(async move {
        let sql = "lock table transacciones.claves in access exclusive mode";
        sqlx::raw_sql(sql).execute(&mut next).await.unwrap();
        next
    });
    waiting(server, name, 2).await;
    first.close().await.unwrap();
    let held = queued.await.unwrap();
    waiting(server, name, 1).await;
    (held, moving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_filled_and_not_finished_is_no_market() {
    let (server, here) = (Server::shared(), lived_in().await);
    let (url, name) = database(server).await;
    migrar(&datos(here.path()), &url, 0);
    let there = TempDir::new().unwrap();
    let dir = there.path().join("datos");

    let (held, moving) = written(server, &name, &url, &datos(there.path())).await;
    // two at once: the second leaves the first alone
    let said = migrar(&datos(here.path()), &datos(there.path()), 69);
    assert!(said.contains("another `mercado migrar`"), "{said}");
    moving.kill();
    held.close().await.unwrap();
    assert_eq!(arrays(there.path()), arrays(here.path()), "all of it is there");
    let left = files(&dir);
    for (arguments, what) in [
        (&["--port=0"][..], "a start"),
        (&["journal", "check", "datos"], "a check"),
        (&["migrar", "--de", "json:datos", "--a", "json:otro"], "a source"),
    ] {
        let (code, out, said) = run(there.path(), arguments);
        assert!(
            code == 65 && format!("{out}{said}").contains("migrar.pendiente"),
            "{what}: {code} {out}{said}"
        );
    }
    assert!(files(&dir) == left, "nothing was changed");
    migrar(&url, &datos(there.path()), 0);
    assert_eq!(arrays(there.path()), arrays(here.path()));

    // a source that changes once its state is seen
    let third = TempDir::new().unwrap();
    let held = lock(server, &name, "transacciones.claves", "access exclusive").await;
    let moving = Move::begin(&url, &datos(third.path()));
    waiting(server, &name, 1).await;
    server.execute(&name, "update usuarios.usuarios set nombre = 'otra' where id = 1").await;
    held.close().await.unwrap();
    let (code, said) = moving.end();
    assert!(
        code == 69 && said.contains("changed while it was read") && said.contains("otra"),
        "{code}: {said}"
    );
    // and one that has changed nothing yet, but is there
    let held = lock(server, &name, "transacciones.claves", "access exclusive").await;
    let moving = Move::begin(&url, &datos(third.path()));
    waiting(server, &name, 1).await;
    let mut service = server.connect(&name).await;
    sqlx::raw_sql("set application_name = 'tokens@otra'").execute(&mut service).await.unwrap();
    held.close().await.unwrap();
    let (code, said) = moving.end();
    assert!(code == 69 && said.contains("tokens@otra") && said.contains("stop every one"), "{code}: {said}");
    service.close().await.unwrap();
    let left = files(&third.path().join("datos"));
    assert!(
        left.keys().all(|file| !file.ends_with(".json") && !file.ends_with(".journal")),
        "{:?}",
        left.keys()
    );
    assert!(!left.contains_key("migrar.pendiente"), "it is empty again");
    stop(Process::on(Arc::new(third), &[]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_meanwhile_are_noticed() {
    let (server, here) = (Server::shared(), lived_in().await);
    let (url, name) = database(server).await;
    tables(&url).await;
    let held = lock(server, &name, "transacciones.claves", "share row exclusive").await;
    let moving = Move::begin(&datos(here.path()), &url);
    waiting(server, &name, 1).await;
    let file = here.path().join("datos/usuarios.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replace("Ana", "Eva")).unwrap();
    held.close().await.unwrap();
    let (code, said) = moving.end();
    assert!(code == 65 && said.contains("usuarios.json") && said.contains("edited"), "{code}: {said}");
    assert_eq!(count(server, &name, "usuarios.siembra").await, 0);
}

/// Killed as soon as this or that is there; the floor is that one of these kills at least met a move under way.
#[tokio::test]
async fn killed_anywhere_it_is_done_again() {
    let here = filled(300, 3000);
    let here = stop(Process::on(here, &[]).await).await;
    let there = TempDir::new().unwrap();
    let dir = there.path().join("datos");
    let mut cut = 0;
    for file in
        ["migrar.pendiente", "usuarios.json.tmp", "usuarios.journal", "tokens.json.tmp", "tokens.journal"]
    {
        let mut moving = Move::begin(&datos(here.path()), &datos(there.path()));
        while !dir.join(file).exists() && moving.0.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        let _ = moving.0.kill();
        moving.0.wait().unwrap();
        if dir.join("migrar.pendiente").exists() {
            cut += 1;
            let (code, _, said) = run(there.path(), &["--port=0"]);
            assert!(code == 65 && said.contains("migrar.pendiente"), "{file}: {said}");
        } else {
            assert_eq!(arrays(there.path()), arrays(here.path()), "{file}: it had ended");
            // the next one is a chance of its own
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
    assert!(cut > 0, "no kill met a move under way");
    migrar(&datos(here.path()), &datos(there.path()), 0);
    assert_eq!(arrays(there.path()), arrays(here.path()));
    let (code, report, _) = run(there.path(), &["journal", "check", "datos"]);
    assert!(code == 0, "{report}");
}

/// The largest file that this process may write stands for a disk that is full.
#[tokio::test]
async fn a_disk_that_is_full_leaves_the_directory_empty() {
    let here = filled(300, 3000);
    let here = stop(Process::on(here, &[]).await).await;
    let there = TempDir::new().unwrap();
    let line = format!(
        "trap '' XFSZ; ulimit -f 100; exec {} migrar --de {} --a {}",
        env!("CARGO_BIN_EXE_mercado"),
        datos(here.path()),
        datos(there.path())
    );
    let full = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8(full.stderr).unwrap();
    assert!(matches!(full.status.code(), Some(73 | 74)) && said.contains("tokens.json.tmp"), "{said}");
    let left = files(&there.path().join("datos"));
    let empty = |name: &String| [".lock", ".turn", ".compact"].iter().any(|end| name.ends_with(end));
    assert!(left.keys().all(empty), "{:?}", left.keys());
    migrar(&datos(here.path()), &datos(there.path()), 0);
    assert_eq!(arrays(there.path()), arrays(here.path()));
}
