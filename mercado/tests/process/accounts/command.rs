//! Accounts from a command line, the mode that has to be said, and what nobody is shown.

use super::{as_demo, buy, log_in, market, text};
use crate::helpers::{Process, array, mercado, run};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{Api, PATIENCE, PgBouncer, eventually};

/// `mercado cuenta …`, with a password in the environment; what it says, where it succeeds.
fn cuenta(dir: &Path, store: &str, password: &str, arguments: &[&str]) -> Result<String, (i32, String)> {
    let mut command = mercado(dir, &["--store", store, "cuenta"]);
    command.args(arguments);
    if !password.is_empty() {
        command.env("CONTRASENA", password);
    }
    let done = command.output().unwrap();
    let said = |bytes| String::from_utf8(bytes).unwrap();
    if done.status.success() {
        Ok(said(done.stdout))
    } else {
        Err((done.status.code().unwrap(), said(done.stderr)))
    }
}

async fn session(api: &Api, name: &str, password: &str) -> Api {
    let session = log_in(api, name, password).await.expect(201).json();
    api.clone().with_token(text(&session["token"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_made_beside_a_market_that_runs_and_no_demo_account_is_there() {
    let dir = Arc::new(TempDir::new().unwrap());
    let made = |password: &str, arguments: &[&str]| cuenta(dir.path(), "json:datos", password, arguments);
    let said = made("", &["crear", "tere", "--rol", "tesorero", "--rol", "publicador"]).unwrap();
    let password = said.trim().rsplit_once("its password: ").expect("a password").1.to_owned();
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si"]).await;
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    let tere = session(&market.api, "tere", &password).await;
    tere.post("/usuarios/1/abonos").json(json!({"monto": 5})).await.expect(201);
    tere.post("/tokens").json(json!({"nombre": "Roca", "precio": 1})).await.expect(201);

    assert_eq!(
        made("gato-cosmico", &["crear", "Ana", "--rol", "comprador", "--usuario", "1"]).unwrap(),
        "ana: comprador\n"
    );
    let ana = session(&market.api, "ana", "gato-cosmico").await;
    buy(&ana, 101).await.expect(201);
    for (password, arguments, code) in [
        ("gato-cosmico", &["crear", "ana", "--rol", "comprador", "--usuario", "2"][..], 65),
        ("gato-cosmico", &["crear", "ana2", "--rol", "comprador", "--usuario", "1"], 65),
        ("gato-cosmico", &["crear", "luis", "--rol", "comprador"], 65),
        ("gato-cosmico", &["crear", "luis", "--rol", "comprador", "--usuario", "99"], 65),
        ("gato-cosmico", &["crear", "luis", "--rol", "rey"], 64),
        ("gato-cosmico", &["crear", "luis", "--rol", "visitante"], 64),
        ("demo-luis", &["crear", "luis", "--rol", "auditor"], 64),
        ("gato-cosmico", &["crear", "l uis", "--rol", "auditor"], 64),
        ("corta", &["crear", "luis", "--rol", "auditor"], 64),
        ("", &["revocar", "nadie"], 65),
    ] {
        let (was, said) = made(password, arguments).expect_err("refused");
        assert_eq!(was, code, "{arguments:?}: {said}");
        assert!(!said.contains("gato") && !said.contains("corta"), "{said}");
    }
    made("luna-llena-9", &["contrasena", "ana"]).unwrap();
    buy(&ana, 102).await.assert_problem(403, "sesion-terminada");
    let ana = session(&market.api, "ana", "luna-llena-9").await;
    made("", &["revocar", "ana"]).unwrap();
    buy(&ana, 102).await.assert_problem(403, "sesion-terminada");
    let (code, said) = made("gato-cosmico", &["contrasena", "ana"]).unwrap_err();
    assert!(code == 65 && said.contains("ana is revoked"), "{said}");
    let listed = made("", &["listar"]).unwrap();
    assert_eq!(
        listed,
        "tere: tesorero, publicador, API keys: 0\nana: comprador, usuario 1, API keys: 0, revoked\n"
    );

    // two keys are valid at once, and a third one ends what the first has signed
    made("", &["rotar-firma"]).unwrap();
    let keys = async || {
        market.api.get("/.well-known/jwks.json").await.expect(200).json()["keys"].as_array().unwrap().len()
    };
    eventually(PATIENCE, async || (keys().await == 2).then_some(())).await;
    tere.get("/cuentas").await.expect(200);
    made("", &["rotar-firma"]).unwrap();
    eventually(PATIENCE, async || (tere.get("/cuentas").await.status == 401).then_some(())).await;
    session(&market.api, "tere", &password).await.get("/cuentas").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_and_no_demo_password_counts_on_a_network() {
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si"]).await;
    let ana = as_demo(&market.api, "ana").await;
    let made = ana.post("/cuenta/claves-api").json(json!({"nombre": "k6"})).await.expect(201).json();
    let key = text(&made["claveApi"]).to_owned();
    let (code, dump, _) = run(dir.path(), &["journal", "dump", "datos"]);
    assert_eq!(code, 0);
    assert!(dump.contains(r#""contrasena":"***""#) && dump.contains(r#""semilla":"***""#), "{dump}");
    assert!(dump.contains(r#""hash":"***""#) && !dump.contains("argon2id"), "{dump}");
    let pages = [
        market.api.get("/metrics").await.text().to_owned(),
        market.api.get("/openapi.json").await.text().to_owned(),
        dump,
    ];
    // mdt_ACCOUNT_NUMBER_SECRET; the secret may have a _ itself
    for secret in [key.as_str(), key.splitn(4, '_').nth(3).unwrap()] {
        assert!(pages.iter().all(|page| !page.contains(secret)));
        let on_disk = std::fs::read_to_string(dir.path().join("datos/usuarios.journal")).unwrap();
        assert!(!on_disk.contains(secret), "its hash is kept, and not the key");
    }
    market.signal("INT");
    assert!(market.end().await.success());

    // the same directory, where others can reach it
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si", "--host=0.0.0.0"]).await;
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    let by_key = async || {
        market
            .api
            .post("/sesiones")
            .json(json!({"claveApi": key}))
            .await
            .assert_problem(401, "no-autenticado");
    };
    by_key().await;
    // with another password the account counts; the key is of the time when everybody knew the old one
    let given = |password| cuenta(dir.path(), "json:datos", password, &["contrasena", "ana"]);
    assert_eq!(given("demo-ana").unwrap_err().0, 64);
    given("luna-llena-9").unwrap();
    session(&market.api, "ana", "luna-llena-9").await;
    by_key().await;
    market.signal("INT");
    assert!(market.end().await.success());
    let market = Process::on(Arc::new(TempDir::new().unwrap()), &["--cuentas=si", "--host=0.0.0.0"]).await;
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    assert_eq!(run(market.dir.path(), &["cuenta", "listar"]).1, "");
}

/// A process may die between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_of_the_sample_market_are_made_to_the_last_one_though_an_earlier_start_died() {
    let market = market().await;
    let dir = Arc::clone(&market.dir);
    as_demo(&market.api, "luis").await;
    market.signal("INT");
    assert!(market.end().await.success());
    let path = dir.path().join("datos/cuentas.json");
    let accounts = array(dir.path(), "cuentas");
    assert_eq!(accounts.len(), 5);
    std::fs::write(&path, json!([accounts[0]]).to_string()).unwrap();

    let market = Process::on(Arc::clone(&dir), &["--cuentas=si"]).await;
    for name in ["ana", "luis", "publicador", "tesorero", "auditor"] {
        as_demo(&market.api, name).await;
    }
}

#[test]
fn on_a_network_the_mode_has_to_be_said() {
    let dir = TempDir::new().unwrap();
    for host in ["0.0.0.0", "::"] {
        let (code, _, said) = run(dir.path(), &["--host", host, "--port=0"]);
        assert_eq!(code, 64, "{said}");
        assert!(
            said.contains("--cuentas=si") && said.contains("--cuentas=no") && said.contains("CUENTAS"),
            "{said}"
        );
        assert!(!dir.path().join("datos").exists(), "before anything is opened");
    }
    let (code, _, said) = run(dir.path(), &["--cuentas=quizas"]);
    assert_eq!(code, 64);
    assert!(said.contains("CUENTAS"), "{said}");
    for (option, secret) in [("--first-account", "tere:corta"), ("--signing-seed", "no-es-una-semilla")] {
        let (code, _, said) = run(dir.path(), &[option, secret]);
        assert_eq!(code, 64);
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_account_and_the_signing_key_may_come_from_a_secret() {
    let seed = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let options = ["--cuentas=si", "--first-account", "tere:gato-cosmico", "--signing-seed", seed];
    let one = Process::on(Arc::new(TempDir::new().unwrap()), &options).await;
    let two = Process::on(Arc::new(TempDir::new().unwrap()), &options).await;
    let tere = session(&one.api, "tere", "gato-cosmico").await;
    tere.get("/cuentas").await.expect(200);
    log_in(&one.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    let keys = one.api.get("/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(keys, two.api.get("/.well-known/jwks.json").await.expect(200).json());
    assert!(!keys.to_string().contains(seed));
}

/// On another address those accounts are as good as none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_only_accounts_of_the_sample_market_gets_the_first_one_of_its_own() {
    let market = market().await;
    let dir = Arc::clone(&market.dir);
    as_demo(&market.api, "luis").await;
    market.signal("INT");
    assert!(market.end().await.success());
    let on_a_network = async |first| {
        let options = ["--cuentas=si", "--host=0.0.0.0", "--first-account", first];
        Process::on(Arc::clone(&dir), &options).await
    };
    // under the name of one of them it makes none
    let market = on_a_network("luis:gato-cosmico").await;
    log_in(&market.api, "luis", "gato-cosmico").await.assert_problem(401, "no-autenticado");
    market.signal("INT");
    assert!(market.end().await.success());
    for first in ["tere:gato-cosmico", "eva:luna-llena-9"] {
        let market = on_a_network(first).await;
        session(&market.api, "tere", "gato-cosmico").await.get("/cuentas").await.expect(200);
        log_in(&market.api, "luis", "demo-luis").await.assert_problem(401, "no-autenticado");
        log_in(&market.api, "eva", "luna-llena-9").await.assert_problem(401, "no-autenticado");
        market.signal("INT");
        assert!(market.end().await.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_move_with_their_market_and_work_on_tables() {
    let database = Server::shared().database().await;
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si"]).await;
    let ana = as_demo(&market.api, "ana").await;
    let made = ana.post("/cuenta/claves-api").json(json!({"nombre": "k6"})).await.expect(201).json();
    let key = json!({"claveApi": made["claveApi"]});
    market.signal("INT");
    assert!(market.end().await.success());
    let (code, _, said) = run(dir.path(), &["migrar", "--de", "json:datos", "--a", &database]);
    assert_eq!(code, 0, "{said}");

    let market = Process::on(Arc::clone(&dir), &["--cuentas=si", "--store", &database]).await;
    // the same keys sign: her session goes on
    let ana = ana.at(&market.api);
    buy(&ana, 101).await.expect(201);
    let program = market.api.post("/sesiones").json(&key).await.expect(201).json();
    let program = market.api.clone().with_token(text(&program["token"]));
    ana.delete("/sesiones").await.expect(204);
    buy(&ana, 102).await.assert_problem(403, "sesion-terminada");
    ana.post("/sesiones/renovacion").await.assert_problem(403, "sesion-terminada");
    // a session that has just begun at another process counts at one that has known the account for less than a second
    let second = Process::on(Arc::clone(&dir), &["--cuentas=si", "--store", &database]).await;
    let rename = |luis: &Api| luis.patch("/usuarios/2").json(json!({"nombre": "Luis"}));
    let luis = as_demo(&market.api, "luis").await;
    rename(&luis).await.expect(200);
    let change = json!({"actual": "demo-luis", "nueva": "gato-cosmico"});
    let changed = luis.at(&second.api).put("/cuenta/contrasena").json(change).await.expect(201).json();
    rename(&market.api.clone().with_token(text(&changed["token"]))).await.expect(200);
    second.signal("INT");
    assert!(second.end().await.success());

    let tesorero = as_demo(&market.api, "tesorero").await;
    tesorero.delete("/cuentas/ana").await.expect(204);
    buy(&program, 102).await.assert_problem(403, "sesion-terminada");
    let new = json!({"nombre": "ana2", "contrasena": "gato-cosmico", "usuarioId": 1});
    tesorero.post("/cuentas").json(&new).await.expect(201);
    tesorero.post("/cuentas").json(&new).await.assert_problem(409, "cuenta-existente");
    // another process revokes it: within a second the first one knows
    let ana2 = session(&market.api, "ana2", "gato-cosmico").await;
    assert_eq!(cuenta(dir.path(), &database, "", &["revocar", "ana2"]).unwrap(), "ana2: revoked\n");
    eventually(PATIENCE, async || {
        (buy(&ana2, 999).await.code() != "token-no-encontrado"
            || buy(&ana2, 102).await.code() == "sesion-terminada")
            .then_some(())
    })
    .await;
    assert!(cuenta(dir.path(), &database, "", &["rotar-firma"]).unwrap().contains(", "));
    market.signal("INT");
    assert!(market.end().await.success());
    let (code, _, said) = run(dir.path(), &["migrar", "--de", &database, "--a", "json:otra"]);
    assert_eq!(code, 0, "{said}");
    let listed = cuenta(dir.path(), "json:otra", "", &["listar"]).unwrap();
    assert!(listed.contains("ana2: comprador, usuario 1, API keys: 0, revoked"), "{listed}");
}

/// As written, but for the build, the port and the directory; and once more, with the same answers.
#[test]
fn the_readmes_commands_buy_for_ana_and_not_for_luis_however_often() {
    let (_, section) = include_str!("../../../../README.md").split_once("\n## Accounts\n").unwrap();
    let commands = section.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let dir = TempDir::new().unwrap();
    let mut script = commands.to_owned();
    for (written, here) in [
        ("cargo build --release && ", String::new()),
        ("target/release/mercado", env!("CARGO_BIN_EXE_mercado").to_owned()),
        ("/tmp/mercado-cuentas", dir.path().join("m").display().to_string()),
        ("8083", testkit::free_port().to_string()),
    ] {
        assert!(script.contains(written), "{written}");
        script = script.replace(written, &here);
    }
    // where one of them fails, what was started must not stay
    let script = format!("trap 'kill -9 $(jobs -p) || true' EXIT\n{script}{script}");
    let mut bash = Command::new("bash");
    let output = bash.args(["-ec", &script]).env("PURCHASE_DEADLINE_MS", "9000").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{log}");
    // an answer's body ends without a newline
    let statuses: Vec<_> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["201", "403", "201", "403"], "{said}{log}");
    assert!(said.contains(r#""codigo":"prohibido""#), "{said}");
}

#[test]
fn the_first_account_of_ones_own_is_made_as_the_readmes_say() {
    for readme in [include_str!("../../../../README.md"), include_str!("../../../../README.es.md")] {
        let makes_one =
            |code: &&str| code.starts_with("target/release/mercado") && code.contains("cuenta crear");
        let command = readme.split('`').find(makes_one).expect("a command");
        let script = command.replace("target/release/mercado", env!("CARGO_BIN_EXE_mercado"));
        let dir = TempDir::new().unwrap();
        let output = Command::new("bash").args(["-ec", &script]).current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("its password: "), "{command}: {output:?}");
    }
}

/// Of `docs/ACCOUNTS.md`, from its top to its end, but for the first one, which builds and starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_commands_work_one_after_another() {
    let page = include_str!("../../../../docs/ACCOUNTS.md");
    let mut blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let start = blocks.next().unwrap();
    assert!(start.starts_with("cargo run --release -- --cuentas=si"), "{start}");
    let market = Process::sample_with(&["--cuentas=si"]).await;
    let script = blocks.collect::<String>().replace("localhost:8080", &market.address.to_string());
    let script = script.replace("cargo run --release --", env!("CARGO_BIN_EXE_mercado"));
    let output = Command::new("bash").args(["-ec", &script]).current_dir(market.dir.path()).output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{log}");
    assert!(said.contains(r#""nombre":"ana""#) && said.contains("eva: revoked"), "{said}");
}

/// To a full disk, and to a reader that has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_nobody_can_see_does_not_take_effect() {
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si"]).await;
    let unseen = |arguments: &[&str], gone: bool| {
        let mut command = mercado(dir.path(), &["cuenta"]);
        command.args(arguments).stderr(Stdio::piped());
        if gone {
            // before it begins: it may be quicker than this thread
            let (reader, pipe) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(pipe);
        } else {
            command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for gone in [false, true] {
        let (code, said) = unseen(&["crear", "tere", "--rol", "tesorero"], gone);
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("the account was not made"), "{said}");
        let (code, said) = unseen(&["contrasena", "ana"], gone);
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("the password was not changed"), "{said}");
        as_demo(&market.api, "ana").await;
    }
    let made = |password: &str, arguments: &[&str]| cuenta(dir.path(), "json:datos", password, arguments);
    assert!(made("", &["crear", "tere", "--rol", "tesorero"]).unwrap().contains("its password: "));
    // one that is refused after it was printed is said to be nobody's, and one that is somebody's is not printed
    let (code, said) = made("", &["crear", "eva", "--rol", "comprador", "--usuario", "99"]).unwrap_err();
    assert!(code == 65 && said.contains("the password that was printed is nobody's"), "{said}");
    let (code, said) = made("", &["crear", "tere", "--rol", "tesorero"]).unwrap_err();
    assert!(code == 65 && !said.contains("printed"), "{said}");
    // one that was chosen needs no reader
    let (code, said) = unseen(&["revocar", "ana"], false);
    assert!(code == 74 && said.contains("it was done"), "{said}");
    assert_eq!(unseen(&["revocar", "luis"], true).0, 0);
    assert_eq!(unseen(&["listar"], false).0, 74);
}

#[test]
fn only_crear_begins_a_store() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("vacio")).unwrap();
    for store in ["json:datso", "json:vacio"] {
        for arguments in [&["listar"][..], &["contrasena", "ana"], &["revocar", "ana"], &["rotar-firma"]] {
            let (code, said) = cuenta(dir.path(), store, "", arguments).unwrap_err();
            assert_eq!(code, 66, "{arguments:?}: {said}");
            assert!(said.contains("STORE") && said.contains(&store[5..]), "{said}");
        }
    }
    assert!(!dir.path().join("datso").exists());
    assert_eq!(std::fs::read_dir(dir.path().join("vacio")).unwrap().count(), 0);
    cuenta(dir.path(), "json:vacio", "gato-cosmico", &["crear", "tere", "--rol", "tesorero"]).unwrap();
    assert!(cuenta(dir.path(), "json:vacio", "", &["listar"]).unwrap().contains("tere"));
}

#[test]
fn an_option_without_a_variable_names_none() {
    let dir = TempDir::new().unwrap();
    let (code, said) = cuenta(dir.path(), "json:datos", "", &["crear", "pepe", "--rol", "jefe"]).unwrap_err();
    assert!(code == 64 && said.contains("jefe") && !said.contains("environment variable"), "{said}");
    let (code, said) = cuenta(dir.path(), "datos", "", &["listar"]).unwrap_err();
    assert!(code == 64 && said.contains("Its environment variable is STORE."), "{said}");
}

#[tokio::test]
async fn behind_a_proxy_that_mixes_up_prepared_statements_the_command_says_what_to_do() {
    let (server, dir) = (Server::shared(), TempDir::new().unwrap());
    let url = server.database().await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let one = "extra_float_digits,options\ndefault_pool_size = 1";
    let bouncer = PgBouncer::before(server, "transaction", one).await;
    // One that succeeds leaves its session to the next one, with what it has prepared. Where it ends while it asks for something,
    // the proxy ends its session too: then it is tried once more, as on a machine that stood still.
    let listed = async || {
        let told = cuenta(dir.path(), &bouncer.url(database), "", &["listar"]).err();
        told.filter(|(_, said)| !said.contains("in time"))
    };
    let (code, said) = eventually(PATIENCE, listed).await;
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("pool_mode = session") && said.contains("max_prepared_statements"), "{said}");
}
