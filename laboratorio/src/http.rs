//! What a client asks of a market, and in whose name.

use crate::history::Op;
use crate::people::{People, Subject};
use crate::wire::whole;
pub use crate::wire::{Answer, client, pooled};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Where the three services are, and who may ask there.
#[derive(Clone)]
pub struct Addresses {
    /// Base URL of the users' API.
    pub usuarios: String,
    /// Base URL of the catalogue's API.
    pub tokens: String,
    /// Base URL of the purchases' API.
    pub transacciones: String,
    /// Those who log in, where people do.
    pub people: Option<Arc<People>>,
}

impl Addresses {
    /// All three behind one address.
    pub fn one(url: &str) -> Self {
        Self { usuarios: url.to_owned(), tokens: url.to_owned(), transacciones: url.to_owned(), people: None }
    }

    /// Who asked under which key, as a history has it. Where nobody logs in nobody has signed, and a key is everybody's.
    pub fn signed(&self, subject: Subject, clave: Option<&str>) -> (Option<u64>, Option<String>) {
        match (&self.people, subject) {
            (None, _) => (None, clave.map(str::to_owned)),
            (Some(_), Subject::Buyer(usuario)) => (Some(usuario), clave.map(|c| subject.key(c))),
            (Some(_), _) => (None, clave.map(|c| subject.key(c))),
        }
    }

    /// Sends it in this name, where people log in.
    pub async fn send(
        &self,
        subject: Subject,
        request: reqwest::RequestBuilder,
        patience: Duration,
    ) -> Answer {
        match &self.people {
            Some(people) => people.send(subject, request, patience).await,
            None => whole(request, patience).await,
        }
    }
}

/// Reads an address, and nothing of what it says.
pub async fn look(client: &reqwest::Client, url: &str, patience: Duration) -> Answer {
    whole(client.get(url), patience).await
}

/// Sends it once, in the name of whoever may do it.
pub async fn ask(
    client: &reqwest::Client,
    to: &Addresses,
    op: &Op,
    clave: Option<&str>,
    patience: Duration,
) -> Answer {
    ask_as(Subject::of(op), client, to, op, clave, patience).await
}

/// Sends it once, in this name.
pub async fn ask_as(
    subject: Subject,
    client: &reqwest::Client,
    to: &Addresses,
    op: &Op,
    clave: Option<&str>,
    patience: Duration,
) -> Answer {
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
        Op::ListTokens => client.get(format!("{}/tokens?limite=20", to.tokens)),
        Op::ShowUsuario { usuario } => client.get(format!("{}/usuarios/{usuario}", to.usuarios)),
    };
    let request = match clave {
        Some(clave) => request.header("Idempotency-Key", clave),
        None => request,
    };
    to.send(subject, request, patience).await
}
