//! The first five minutes, with the commands as they are written in the README.

use crate::helpers::{Process, array, run};
use serde_json::json;
use std::net::TcpListener;
use std::process::Command;
use tempfile::TempDir;

/// A command line as a person types it, in the market's directory.
fn shell(market: &Process, line: &str) -> String {
    let line = line.replace("localhost:8080", &market.address.to_string());
    let output = Command::new("sh").arg("-c").arg(&line).current_dir(market.dir.path()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn records(array: &str) -> usize {
    serde_json::from_str::<Vec<serde_json::Value>>(array).unwrap().len()
}

#[tokio::test]
async fn the_sample_market_from_start_to_stop() {
    let market = Process::sample().await;
    let users = shell(&market, "curl -s localhost:8080/usuarios");
    assert!(
        users.starts_with(r#"[{"id":1,"nombre":"Ana","saldo":100},{"id":2,"nombre":"Luis","saldo":150},"#),
        "{users}"
    );
    let tokens = shell(&market, "curl -s localhost:8080/tokens");
    let first = r#"[{"id":101,"nombre":"Gato Cósmico","imagen":"gato.jpg","precio":50,"vendido":false},{"id":102,"nombre":"Paisaje Lunar","imagen":"luna.jpg","precio":70,"vendido":false},"#;
    assert!(tokens.starts_with(first), "{tokens}");
    assert_eq!((records(&users), records(&tokens)), (5, 16));
    assert_eq!(shell(&market, "curl -s localhost:8080/transacciones"), "[]");
    let buy = r#"curl -s -X POST localhost:8080/transacciones -H 'Content-Type: application/json' -d '{"usuarioId":1,"tokenId":101}'"#;
    let bought = shell(&market, buy);
    assert!(bought.starts_with(r#"{"id":1,"usuarioId":1,"tokenId":101,"fecha":""#), "{bought}");
    assert_eq!(shell(&market, "curl -s localhost:8080/usuarios/1"), r#"{"id":1,"nombre":"Ana","saldo":50}"#);
    assert!(shell(&market, "curl -s localhost:8080/tokens/101").contains(r#""vendido":true"#));
    assert_eq!(shell(&market, "curl -s localhost:8080/transacciones"), format!("[{bought}]"));
    assert!(shell(&market, "curl -s localhost:8080/transacciones/auditoria").contains(r#""correcto":true"#));
    assert!(shell(&market, buy).contains("token-no-disponible"));

    let dir = market.dir.clone();
    market.signal("INT");
    assert_eq!(market.end().await.code(), Some(0));
    assert_eq!(
        array(dir.path(), "usuarios")[..2],
        [json!({"id": 1, "nombre": "Ana", "saldo": 50}), json!({"id": 2, "nombre": "Luis", "saldo": 150})]
    );
    let tokens = array(dir.path(), "tokens");
    assert_eq!((&tokens[0]["vendido"], &tokens[1]["vendido"]), (&json!(true), &json!(false)));
    let purchases = array(dir.path(), "transacciones");
    let fields: serde_json::Value = serde_json::from_str(&bought).unwrap();
    assert_eq!(purchases.len(), 1);
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&purchases[0][name], value);
    }

    // and the next start goes on from there
    let again = Process::on(dir, &[]).await;
    assert_eq!(again.api.get("/usuarios/1").await.json()["saldo"], 50);
    again.compra(2, 102).await.expect(201);
    assert_eq!(again.api.get("/transacciones/auditoria").await.json()["correcto"], true);
}

#[test]
fn a_port_in_use_exits_69_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = TempDir::new().unwrap();
    let (code, _, said) = run(dir.path(), &["--port", &port.to_string()]);
    assert_eq!(code, 69, "{said}");
    assert!(said.contains(&port.to_string()) && said.contains("--port (PORT)"), "{said}");
}

#[test]
fn bad_options_exit_64_before_anything_is_made() {
    for (arguments, name) in [
        (&["--port=x"][..], "PORT"),
        (&["--store=datos"], "STORE"),
        (&["--imagenes=/no/such/directory"], "IMAGENES_DIR"),
        (&["--orphan-age-ms=3000"], "ORPHAN_AGE_MS"),
        (&["--rust-log=info,mercado=loud"], "RUST_LOG"),
        (&["--colour"], "--colour"),
        (&["journal"], "check"),
    ] {
        let dir = TempDir::new().unwrap();
        let (code, _, said) = run(dir.path(), arguments);
        assert_eq!(code, 64, "{arguments:?}: {said}");
        assert!(said.contains(name), "{arguments:?}: {said}");
        assert!(!dir.path().join("datos").exists(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_end_well() {
    let dir = TempDir::new().unwrap();
    let (code, help, _) = run(dir.path(), &["--help"]);
    assert_eq!(code, 0);
    for variable in ["PORT", "STORE", "SEED_DIR", "IMAGENES_DIR", "PURCHASE_DEADLINE_MS", "ORPHAN_AGE_MS"] {
        assert!(help.contains(&format!("[env: {variable}")), "{variable} is not in\n{help}");
    }
    assert!(!help.contains("INTERNAL_TOKEN"), "it makes its own");
    let (code, version, _) = run(dir.path(), &["--version"]);
    assert_eq!((code, version), (0, format!("mercado {}\n", env!("CARGO_PKG_VERSION"))));
}
