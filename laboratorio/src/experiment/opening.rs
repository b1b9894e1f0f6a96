//! What a market has before the first customer comes.

use crate::chance::Chance;
use crate::history::Op;
use crate::http::{self, Addresses};
use crate::people::Subject;
use crate::shown::{Token, Usuario};
use crate::t;
use crate::words::failed;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Tokens that are left to the experiment.
pub const SPARE: usize = 60;
/// Customers with money. After them come one who has little, and two of the experiment's own: one with money and one without.
const RICH: u64 = 20;
/// Purchases that a run has tokens for. More would need more memory than a class's machine has.
pub const MOST_PURCHASES: f64 = 250_000.0;
/// Users that no customer buys for.
pub const OWN: usize = 2;
/// Of the one who has little: some purchases are refused.
const LITTLE: i64 = 120;
/// New tokens under way at once.
const AT_ONCE: usize = 16;
/// A market that takes longer for one new token or user is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// A market that says it is busy is asked again until all of this is over.
const BUSY: Duration = Duration::from_secs(20);

/// Whether the market is busy and may be asked again; a moment has passed then. What it has made all the same is nobody's.
async fn busy(answer: &http::Answer, deadline: Instant) -> bool {
    if answer.status != Some(503) || Instant::now() > deadline {
        return false;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    true
}

/// Users and tokens, before anybody buys.
#[derive(Clone)]
pub struct Opened {
    /// The last [`OWN`] are the experiment's own.
    pub usuarios: Vec<Usuario>,
    /// The last [`SPARE`] are the experiment's own.
    pub tokens: Vec<Token>,
}

/// A directory that is ours, and empty.
///
/// # Errors
/// Where it is not.
pub fn fresh(dir: &Path) -> Result<(), String> {
    let name = dir.display();
    let io = |e: std::io::Error| failed(dir, &e);
    std::fs::create_dir_all(dir).map_err(io)?;
    if std::fs::read_dir(dir).map_err(io)?.next().is_some() {
        return Err(t!(
            "{name}: no está vacío; lo que dejó una corrida anterior se le achacaría a ésta",
            "{name}: not empty; what an earlier run left would be held against this one"
        ));
    }
    Ok(())
}

/// Takes away the directory of a run that has not begun: one with no more than an empty history.
pub fn forget(dir: &Path) {
    let history = dir.join("historia.jsonl");
    if history.metadata().is_ok_and(|of| of.len() == 0) {
        let _ = std::fs::remove_file(history);
    }
    let _ = std::fs::remove_dir(dir);
}

/// Enough for so many purchases.
pub fn wanted(purchases: f64, seed: u64) -> Opened {
    let mut chance = Chance::new(seed, 0);
    // twice: a change that takes longer than was planned makes a run longer
    let n = (purchases.max(0.0) * 2.0).ceil() as u64 + 40 + SPARE as u64;
    // a token costs 30 on average, and one customer may be unlucky
    let saldo = i64::try_from((n * 60 / RICH).max(300)).unwrap_or(i64::MAX);
    let user = |id, saldo| Usuario { id, nombre: format!("Cliente {id}"), saldo };
    let mut usuarios: Vec<_> = (1..=RICH).map(|id| user(id, saldo)).collect();
    usuarios.extend([user(RICH + 1, LITTLE), user(RICH + 2, 60 * SPARE as i64), user(RICH + 3, 0)]);
    let tokens = (1..=n).map(|id| Token {
        id,
        nombre: format!("Ficha {id}"),
        precio: chance.between(1..=60),
        vendido: false,
    });
    Opened { tokens: tokens.collect(), usuarios }
}

/// Writes them as what a store starts with.
///
/// # Errors
/// With the directory's name.
pub fn seed(dir: &Path, opened: &Opened) -> Result<(), String> {
    let dir = dir.join("semilla");
    let tokens: Vec<_> = opened
        .tokens
        .iter()
        .map(|t| json!({"id": t.id, "nombre": t.nombre, "imagen": "ficha.svg", "precio": t.precio, "vendido": false}))
        .collect();
    let write = |name: &str, value: Value| {
        std::fs::write(dir.join(name), value.to_string()).map_err(|e| failed(&dir, &e))
    };
    std::fs::create_dir_all(&dir).map_err(|e| failed(&dir, &e))?;
    write("usuarios.json", json!(opened.usuarios))?;
    write("tokens.json", json!(tokens))?;
    write("transacciones.json", json!([]))
}

/// Makes them in a market that is there already, under the ids that it gives.
///
/// # Errors
/// One line: where nothing answers, or the market does not let anybody do it.
pub async fn create(client: &reqwest::Client, to: &Addresses, wanted: Opened) -> Result<Opened, String> {
    let refused = |what: &str, answer: &http::Answer| {
        let url = &to.tokens;
        let code = answer.body.get("codigo").and_then(Value::as_str).unwrap_or_default().to_owned();
        match answer.status {
            None => t!("en {url} no contesta ningún mercado", "no market answers at {url}"),
            Some(401) => t!(
                "{url} no permite crear {what} a quien no inició sesión ({code}): agregue --clave-api, o CLAVE_API, con la clave de una cuenta que sea tesorero, publicador y auditor",
                "{url} does not let us make {what} without a session ({code}): add --clave-api, or CLAVE_API, with the key of an account that is tesorero, publicador and auditor"
            ),
            Some(403) => t!(
                "{url} no permite crear {what} con esa clave ({code}): --clave-api debe ser de una cuenta que sea tesorero, publicador y auditor",
                "{url} does not let us make {what} with that key ({code}): --clave-api must be of an account that is tesorero, publicador and auditor"
            ),
            Some(status) => {
                t!(
                    "{url} no permite crear {what}: {status} {code}",
                    "{url} does not let us make {what}: {status} {code}"
                )
            }
        }
    };
    let deadline = Instant::now() + BUSY;
    let mut opened = Opened { usuarios: Vec::new(), tokens: Vec::new() };
    for mut usuario in wanted.usuarios {
        let body = json!({"nombre": usuario.nombre, "saldo": usuario.saldo});
        let answer = loop {
            let request = client.post(format!("{}/usuarios", to.usuarios)).json(&body);
            let answer = to.send(Subject::Office, request, PATIENCE).await;
            if !busy(&answer, deadline).await {
                break answer;
            }
        };
        match (answer.status, answer.body.get("id").and_then(Value::as_u64)) {
            (Some(201), Some(id)) => usuario.id = id,
            _ => return Err(refused(&t!("usuarios", "users"), &answer)),
        }
        opened.usuarios.push(usuario);
    }
    // together: a market that writes to disk answers many in the time of one
    let made = stream::iter(wanted.tokens).map(async |mut token: Token| {
        let op = Op::CreateToken { nombre: token.nombre.clone(), precio: token.precio };
        let answer = loop {
            let answer = http::ask(client, to, &op, None, PATIENCE).await;
            if !busy(&answer, deadline).await {
                break answer;
            }
        };
        match (answer.status, answer.body.get("id").and_then(Value::as_u64)) {
            (Some(201), Some(id)) => {
                token.id = id;
                Ok(token)
            }
            _ => Err(refused("tokens", &answer)),
        }
    });
    opened.tokens = made.buffered(AT_ONCE).try_collect().await?;
    Ok(opened)
}
