//! Accounts: who may do what (`rules`), sessions and keys (`sessions`), what is refused (`refused`), accounts from a command
//! line (`command`), and services apart (`apart`).

mod apart;
mod command;
mod refused;
mod rules;
mod sessions;

use crate::helpers::Process;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use testkit::{Api, Call, HttpAnswer};

/// The market of two users and two tokens, where people log in.
async fn market() -> Process {
    Process::on(Arc::new(TempDir::new().unwrap()), &["--cuentas=si"]).await
}

/// `POST /sesiones`.
fn log_in(api: &Api, nombre: &str, contrasena: &str) -> Call {
    api.post("/sesiones").json(json!({"nombre": nombre, "contrasena": contrasena}))
}

/// The API with the token of an account of the sample market.
async fn as_demo(api: &Api, nombre: &str) -> Api {
    let session = log_in(api, nombre, &format!("demo-{nombre}")).await.expect(201).json();
    api.clone().with_token(text(&session["token"]))
}

/// A purchase that leaves out who buys.
fn buy(api: &Api, token: u64) -> Call {
    api.post("/transacciones").json(json!({"tokenId": token}))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[track_caller]
fn is_allowed(answer: &HttpAnswer) -> bool {
    !matches!(answer.status, 401 | 403)
}
