//! `mercado migrar`: between files and PostgreSQL, with the real binary and a real server.

mod cut_off;
mod refused;
mod round_trip;

use crate::helpers::{Process, array, run};
use journal::{Journal, Model, Options};
use market::domain::{Intento, Monto, TokenId, UsuarioId};
use market::participant::HoldStore;
use pg::{Part, PostgresUrl, WholeDatabase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{PATIENCE, eventually};

const ARRAYS: [&str; 7] =
    ["usuarios", "movimientos", "tokens", "contadores", "transacciones", "intentos", "epocas"];
/// Recovery that does not let a test wait for long.
const SOON: [&str; 2] = ["--purchase-deadline-ms=5000", "--orphan-age-ms=5001"];

fn datos(dir: &Path) -> String {
    format!("json:{}", dir.join("datos").display())
}

/// Moves, with this outcome; standard output, or where it failed standard error.
#[track_caller]
fn migrar(de: &str, a: &str, code: i32) -> String {
    let dir = TempDir::new().unwrap();
    let (done, out, err) = run(dir.path(), &["migrar", "--de", de, "--a", a]);
    assert_eq!(done, code, "{de} -> {a}: {out}{err}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made elsewhere");
    if code == 0 { out } else { err }
}

async fn stop(market: Process) -> Arc<TempDir> {
    let dir = market.dir.clone();
    market.signal("INT");
    assert_eq!(market.end().await.code(), Some(0));
    dir
}

async fn on(store: &str, more: &[&str]) -> Process {
    let options: Vec<_> = ["--store", store].into_iter().chain(more.iter().copied()).collect();
    Process::on(Arc::new(TempDir::new().unwrap()), &options).await
}

fn arrays(dir: &Path) -> BTreeMap<&'static str, Vec<Value>> {
    ARRAYS.into_iter().map(|name| (name, array(dir, name))).collect()
}

/// Every file, with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = std::fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    all.map(|f| (f.file_name().into_string().unwrap(), std::fs::read(f.path()).unwrap())).collect()
}

fn open<M: Model>(dir: &Path) -> Journal<M> {
    Journal::open(Options::new(dir.join("datos"))).unwrap()
}

fn intento(s: &str) -> Intento {
    s.parse().unwrap()
}

/// A market that was stopped, in which everything is that can be: purchases with and without keys, a key that was bought at
/// its second attempt, refused ones, abonos, renamed and new people, changed, new and deleted tokens.
async fn lived_in() -> Arc<TempDir> {
    let market = Process::start().await;
    let buy = |user: u64, token: u64, key: &str| market.compra(user, token).header("Idempotency-Key", key);
    let made = market.api.post("/usuarios").json(json!({"nombre": "Zoë", "saldo": 10})).await.expect(201);
    assert_eq!(made.json()["id"], 3);
    market.api.patch("/usuarios/2").json(json!({"nombre": "Luis 2º"})).await.expect(200);
    for precio in [1, 2, 3, 500, 4] {
        let token = json!({"nombre": format!("Ñandú {precio}"), "precio": precio});
        market.api.post("/tokens").json(token).await.expect(201);
    }
    buy(1, 101, "ana-101").await.expect(201);
    buy(3, 106, "zoe-106").await.assert_problem(409, "saldo-insuficiente");
    buy(2, 106, "luis-106").await.assert_problem(409, "saldo-insuficiente");
    let abono = market.api.post("/usuarios/3/abonos").json(json!({"monto": 1000}));
    abono.header("Idempotency-Key", "abono-1").await.expect(201);
    buy(3, 106, "zoe-106").await.expect(201);
    market.compra(2, 103).await.expect(201);
    market.api.patch("/tokens/104").json(json!({"precio": 6})).await.expect(200);
    market.api.delete("/tokens/107").await.expect(204);
    assert_eq!(market.api.get("/transacciones/auditoria").await.json()["correcto"], true);
    stop(market).await
}

/// Adds what a kill leaves: a hold that was not committed, and one that was and is not confirmed.
async fn leave_tries(dir: &Path) {
    let usuarios = usuarios::store::Store::json(open(dir));
    let tokens = tokens::store::Store::json(open(dir));
    let compras = transacciones::store::Store::json(open(dir));
    for (key, token) in [("muerta#1", 102), ("viva#1", 104)] {
        let (usuario_id, token_id) = (UsuarioId::new(2).unwrap(), TokenId::new(token).unwrap());
        let reserva = market::contract::ReservaRequest { token_id, usuario_id };
        let monto = tokens.hold(intento(key), reserva).await.unwrap().value.precio;
        let cargo = market::contract::CargoRequest { usuario_id, monto, session: None };
        assert!(usuarios.hold(intento(key), cargo).await.unwrap().is_new);
    }
    let compra = transacciones::domain::Compra {
        clave: "viva".parse().unwrap(),
        clave_from_client: true,
        usuario_id: UsuarioId::new(2).unwrap(),
        token_id: TokenId::new(104).unwrap(),
        precio: None,
        session: None,
    };
    compras.commit(intento("viva#1"), &compra, Monto::new(6).unwrap()).await.unwrap().unwrap();
    drop((usuarios, tokens, compras));
    // their writers end a moment later: only then has nobody the stores open
    for store in ["usuarios", "tokens", "transacciones"] {
        let journal = std::fs::File::open(dir.join("datos").join(store).with_extension("journal")).unwrap();
        eventually(PATIENCE, async || journal.try_lock().ok()).await;
        journal.unlock().unwrap();
    }
}

/// A fresh database, and its name.
async fn database(server: &Server) -> (String, String) {
    let url = server.database().await;
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    (url, name)
}

/// Makes the tables, as a move does before it fills them.
async fn tables(url: &str) {
    let mut whole =
        WholeDatabase::connect(&url.parse::<PostgresUrl>().unwrap(), "mercado migrar").await.unwrap();
    for part in [
        Part::of::<usuarios::store::state::State>(),
        Part::of::<tokens::store::state::State>(),
        Part::of::<transacciones::store::state::State>(),
    ] {
        whole.migrate(part).await.unwrap();
    }
    whole.close().await;
}
