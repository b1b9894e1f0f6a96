//! What a process is asked, and how its services answer: in place of the routes.

use crate::cuenta::Seen;
use crate::errores::Bug;
use crate::historia::Answer;
use crate::mundo::World;
use crate::proceso::{Does, Life};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::Either;
use market::contract::{PedidoCargo, PedidoReserva, Refusal, Try};
use market::domain::{Clave, Intento, Monto, TokenId, UsuarioId};
use mercado::local::{LocalTokens, LocalUsuarios};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokens::store::{Alta, Cambio};
use tokio::time::Instant;
use transacciones::domain::Compra;
use transacciones::participants::{Participant, Tokens, Usuarios};

/// A request's contents.
#[derive(Clone, Debug)]
pub enum Call {
    Reserve(Intento, PedidoReserva),
    Charge(Intento, PedidoCargo),
    Confirm(Intento),
    Cancel(Intento),
    Pending(TimeDelta, Option<(DateTime<Utc>, Intento)>),
    Settled(Option<Intento>),
    Digest,
    /// A client's purchase: its number in the history.
    Buy(usize),
    Deposit(UsuarioId, Monto, Clave),
    Reprice(TokenId, Monto),
    Create(Monto),
    Delete(TokenId),
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Reply {
    Yes(Value),
    No(Refusal),
    Purchase(Answer),
    /// A status that is no answer.
    Trouble(String),
}

impl World {
    /// What a process makes of a request.
    pub async fn serve(self: &Arc<Self>, life: &Arc<Life>, call: Call) -> Reply {
        match (&life.does, call) {
            (Does::Tokens(local, _), call) => self.serve_tokens(local, call).await,
            (Does::Usuarios(local, _), call) => self.serve_usuarios(local, call).await,
            (Does::Transacciones(service, ..), Call::Buy(sending)) => {
                let mut compra = {
                    let mut history = self.history.lock().unwrap();
                    history.begin(sending);
                    history.sendings[sending].compra.clone()
                };
                self.count(Seen::Asked);
                let Compra { clave, usuario_id, token_id, precio, .. } = &compra;
                self.note(format_args!(
                    "request {sending}, {clave}: user {usuario_id} buys token {token_id} for {precio:?}"
                ));
                if let Some(bug) = self.bug {
                    bug.compra(&mut compra);
                }
                let mut answer = Answer::of(service.comprar(compra.clone()).await);
                while self.bug == Some(Bug::GoesOnAfterOvertaken) && answer == Answer::Overtaken {
                    answer = Answer::of(service.comprar(compra.clone()).await);
                }
                if self.is_alive(&life.vital) {
                    self.answered(sending, &answer);
                }
                Reply::Purchase(answer)
            }
            (_, call) => Reply::Trouble(format!("{call:?} is not served here")),
        }
    }

    async fn serve_tokens(self: &Arc<Self>, local: &LocalTokens, call: Call) -> Reply {
        let call = match self.bug {
            Some(bug) => bug.tokens(local, call).await,
            None => call,
        };
        let far = Instant::now() + Duration::from_secs(3600);
        match call {
            Call::Reserve(intento, pedido) => contract(local.reserve(&intento, pedido, far).await),
            Call::Confirm(intento) => contract(local.confirm(&intento, far).await),
            Call::Cancel(intento) => contract(local.cancel(&intento, far).await),
            Call::Pending(age, after) => page(local.0.pendientes(age, after).await),
            Call::Settled(after) => contract(local.settled(after.as_ref(), far).await),
            Call::Digest => contract(local.digest(far).await),
            Call::Reprice(id, precio) => {
                done(local.0.cambiar(id, Cambio { precio: Some(precio), ..Cambio::default() }).await)
            }
            Call::Create(precio) => {
                done(local.0.crear(Alta { nombre: "Gato nuevo".to_owned(), precio, imagen: None }).await)
            }
            Call::Delete(id) => done(local.0.borrar(id).await),
            call => Reply::Trouble(format!("{call:?} is not served here")),
        }
    }

    async fn serve_usuarios(self: &Arc<Self>, local: &LocalUsuarios, call: Call) -> Reply {
        let call = match self.bug {
            Some(bug) => match bug.usuarios(self, local, call).await {
                Either::Left(call) => call,
                Either::Right(reply) => return reply,
            },
            None => call,
        };
        let far = Instant::now() + Duration::from_secs(3600);
        match call {
            Call::Charge(intento, pedido) => contract(local.charge(&intento, pedido, far).await),
            Call::Confirm(intento) => contract(local.confirm(&intento, far).await),
            Call::Cancel(intento) => contract(local.cancel(&intento, far).await),
            Call::Pending(age, after) => page(local.0.pendientes(age, after).await),
            Call::Settled(after) => contract(local.settled(after.as_ref(), far).await),
            Call::Digest => contract(local.digest(far).await),
            Call::Deposit(id, monto, clave) => done(local.0.abonar(id, monto, clave).await.map(|_| ())),
            call => Reply::Trouble(format!("{call:?} is not served here")),
        }
    }
}

fn contract<T: Serialize>(answer: market::contract::Answer<T>) -> Reply {
    match answer {
        Ok(Ok(value)) => Reply::Yes(serde_json::to_value(value).unwrap()),
        Ok(Err(refusal)) => Reply::No(refusal),
        Err(e) => Reply::Trouble(e.cause),
    }
}

fn page<E: std::fmt::Display>(rows: Result<Vec<Try>, E>) -> Reply {
    match rows {
        Ok(rows) => Reply::Yes(serde_json::to_value(rows).unwrap()),
        Err(e) => Reply::Trouble(e.to_string()),
    }
}

/// What a client hears: only whether it was done.
fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> Reply {
    match result {
        Ok(_) => Reply::Yes(Value::Null),
        Err(e) => Reply::Trouble(e.to_string()),
    }
}
