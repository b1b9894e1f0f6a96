//! One request, one answer.

use crate::history::Op;
use serde_json::{Value, json};
use std::time::Duration;

/// Where the three services are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Base URL of the users' API.
    pub usuarios: String,
    /// Base URL of the catalogue's API.
    pub tokens: String,
    /// Base URL of the purchases' API.
    pub transacciones: String,
}

/// A client of its own; one without keep-alive meets another replica with every request.
///
/// # Errors
/// Where it cannot be made.
pub fn client(keep_alive: bool) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(if keep_alive { 4 } else { 0 })
        .build()
        .map_err(|e| format!("HTTP client: {e}"))
}

/// Sends it; the status and the body, where a whole answer came in time.
pub async fn send(
    client: &reqwest::Client,
    to: &Addresses,
    op: &Op,
    clave: Option<&str>,
    patience: Duration,
) -> Option<(u16, Value)> {
    let request = match op {
        Op::Buy { usuario, token, precio } => {
            let mut body = json!({"usuarioId": usuario, "tokenId": token});
            if let (Some(precio), Some(fields)) = (precio, body.as_object_mut()) {
                fields.insert("precio".to_owned(), json!(precio));
            }
            client.post(format!("{}/transacciones", to.transacciones)).json(&body)
        }
        Op::Credit { usuario, monto } => {
            client.post(format!("{}/usuarios/{usuario}/abonos", to.usuarios)).json(&json!({"monto": monto}))
        }
        Op::Rename { usuario, nombre } => {
            client.patch(format!("{}/usuarios/{usuario}", to.usuarios)).json(&json!({"nombre": nombre}))
        }
        Op::ChangePrecio { token, precio } => {
            client.patch(format!("{}/tokens/{token}", to.tokens)).json(&json!({"precio": precio}))
        }
        Op::CreateToken { nombre, precio } => {
            client.post(format!("{}/tokens", to.tokens)).json(&json!({"nombre": nombre, "precio": precio}))
        }
        Op::ShowToken { token } => client.get(format!("{}/tokens/{token}", to.tokens)),
        Op::ShowUsuario { usuario } => client.get(format!("{}/usuarios/{usuario}", to.usuarios)),
    };
    let request = match clave {
        Some(clave) => request.header("Idempotency-Key", clave),
        None => request,
    };
    let answer = request.timeout(patience).send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.ok()?;
    // a broken body of a whole answer is an answer, and the checker's to judge
    Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
