//! Accounts from a command line, the mode that has to be said, and what nobody is shown.

use super::{as_demo, buy, log_in, market, text};
use crate::helpers::{Process, array, mercado, run};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::Api;
use testkit::postgres::Server;

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
    testkit::eventually(testkit::PATIENCE, async || (keys().await == 2).then_some(())).await;
    tere.get("/cuentas").await.expect(200);
    made("", &["rotar-firma"]).unwrap();
    testkit::eventually(testkit::PATIENCE, async || (tere.get("/cuentas").await.status == 401).then_some(()))
        .await;
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
    for secret in [key.as_str(), key.rsplit('_').next().unwrap()] {
        assert!(pages.iter().all(|page| !page.contains(secret)));
        let on_disk = std::fs::read_to_string(dir.path().join("datos/usuarios.journal")).unwrap();
        assert!(!on_disk.contains(secret), "its hash is kept, and not the key");
    }
    market.signal("INT");
    assert!(market.end().await.success());

    // the same directory, where others can reach it
    let market = Process::on(Arc::clone(&dir), &["--cuentas=si", "--host=0.0.0.0"]).await;
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    market.api.post("/sesiones").json(json!({"claveApi": key})).await.assert_problem(401, "no-autenticado");
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
    let tesorero = as_demo(&market.api, "tesorero").await;
    tesorero.delete("/cuentas/ana").await.expect(204);
    buy(&program, 102).await.assert_problem(403, "sesion-terminada");
    let new = json!({"nombre": "ana2", "contrasena": "gato-cosmico", "usuarioId": 1});
    tesorero.post("/cuentas").json(&new).await.expect(201);
    tesorero.post("/cuentas").json(&new).await.assert_problem(409, "cuenta-existente");
    // another process revokes it: within a second the first one knows
    let ana2 = session(&market.api, "ana2", "gato-cosmico").await;
    assert_eq!(cuenta(dir.path(), &database, "", &["revocar", "ana2"]).unwrap(), "ana2: revoked\n");
    testkit::eventually(testkit::PATIENCE, async || {
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

/// But for the first one, which builds and starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readmes_commands_buy_for_ana_and_not_for_luis() {
    let market = market().await;
    let (_, section) = include_str!("../../../../README.md").split_once("\n## Accounts\n").unwrap();
    let commands = section.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let (start, rest) = commands.split_once('\n').unwrap();
    assert!(start.contains("mercado --cuentas=si"), "{start}");
    let script = rest.replace("http://localhost:8083", &market.api.base);
    assert_ne!(script, rest, "{rest}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // an answer's body ends without a newline
    let statuses: Vec<_> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["201", "403"], "{said}");
    assert!(said.contains(r#""codigo":"prohibido""#), "{said}");
}
