//! `tokens` and `usuarios` as a purchase sees them. Over HTTP here; `mercado` calls them in its own process.

use async_trait::async_trait;
use chrono::TimeDelta;
use http_kit::client::Client;
use market::contract::Answer;
use market::contract::{Digest, PedidoCargo, PedidoReserva, Reservado, Try};
use market::domain::Intento;
use reqwest::Method;
use tokio::time::Instant;

/// What both participants do. Each call can be repeated without harm and gives up at its deadline.
#[async_trait]
pub trait Participant: Send + Sync {
    /// Settles a try for good.
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Takes a try back; one that is not there is taken back already.
    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Tries that were neither settled nor taken back for this long by the participant's clock, oldest first: a page
    /// behind a try of the page before.
    async fn pending(&self, age: TimeDelta, after: Option<&Try>, deadline: Instant) -> Answer<Vec<Try>>;
    /// Settled tries in an order that stays: a page behind an attempt of the page before.
    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Try>>;
    /// Its side of the audit.
    async fn digest(&self, deadline: Instant) -> Answer<Digest>;
}

/// Who holds the goods.
#[async_trait]
pub trait Tokens: Participant {
    /// Holds a token for an attempt.
    async fn reserve(&self, intento: &Intento, pedido: PedidoReserva, deadline: Instant)
    -> Answer<Reservado>;
}

/// Who holds the money.
#[async_trait]
pub trait Usuarios: Participant {
    /// Holds money for an attempt.
    async fn charge(&self, intento: &Intento, pedido: PedidoCargo, deadline: Instant) -> Answer<()>;
}

/// A participant behind its internal port.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    tries: &'static str,
    confirmation: &'static str,
}

/// No body.
const NONE: Option<&()> = None;

impl Http {
    /// The `tokens` service.
    pub fn tokens(client: Client) -> Self {
        Self { client, tries: "reservas", confirmation: "venta" }
    }

    /// The `usuarios` service.
    pub fn usuarios(client: Client) -> Self {
        Self { client, tries: "cargos", confirmation: "confirmacion" }
    }

    async fn page(&self, query: &[(&str, String)], deadline: Instant) -> Answer<Vec<Try>> {
        self.client.call(Method::GET, &["interno", self.tries], query, NONE, deadline).await
    }
}

#[async_trait]
impl Participant for Http {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        let path = ["interno", self.tries, &intento.to_string(), self.confirmation];
        self.client.call(Method::PUT, &path, &[], NONE, deadline).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.client
            .call(Method::DELETE, &["interno", self.tries, &intento.to_string()], &[], NONE, deadline)
            .await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Try>, deadline: Instant) -> Answer<Vec<Try>> {
        let mut query =
            vec![("pendientes", "true".to_owned()), ("antes", age.num_milliseconds().to_string())];
        if let Some(after) = after {
            query.push(("despues", after.intento.to_string()));
            query.push(("desde", after.desde.timestamp_millis().to_string()));
        }
        self.page(&query, deadline).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Try>> {
        let mut query = vec![("pendientes", "false".to_owned())];
        query.extend(after.map(|i| ("despues", i.to_string())));
        self.page(&query, deadline).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        self.client.call(Method::GET, &["interno", "resumen"], &[], NONE, deadline).await
    }
}

#[async_trait]
impl Tokens for Http {
    async fn reserve(
        &self,
        intento: &Intento,
        pedido: PedidoReserva,
        deadline: Instant,
    ) -> Answer<Reservado> {
        let path = ["interno", self.tries, &intento.to_string()];
        self.client.call(Method::PUT, &path, &[], Some(&pedido), deadline).await
    }
}

#[async_trait]
impl Usuarios for Http {
    async fn charge(&self, intento: &Intento, pedido: PedidoCargo, deadline: Instant) -> Answer<()> {
        let path = ["interno", self.tries, &intento.to_string()];
        self.client.call(Method::PUT, &path, &[], Some(&pedido), deadline).await
    }
}
