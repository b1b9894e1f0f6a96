//! `tokens` and `usuarios` as a purchase sees them. Over HTTP here; `mercado` calls them in its own process.

use async_trait::async_trait;
use chrono::TimeDelta;
use http_kit::client::Client;
use market::contract::Answer;
use market::contract::{CargoRequest, Digest, HeldToken, Hold, ReservaRequest};
use market::domain::Intento;
use reqwest::Method;
use tokio::time::Instant;

/// What both participants do. Each call can be repeated without harm, and gives up at its deadline.
#[async_trait]
pub trait Participant: Send + Sync {
    /// Settles a hold for good.
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Takes a hold back; a hold that is not there is taken back already.
    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()>;
    /// Holds that were neither settled nor taken back for this long by the participant's clock, oldest first: a page
    /// behind a hold of the page before.
    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>>;
    /// Settled holds in an order that stays: a page behind an attempt of the page before.
    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>>;
    /// Its side of the audit.
    async fn digest(&self, deadline: Instant) -> Answer<Digest>;
}

/// Who holds the goods.
#[async_trait]
pub trait Tokens: Participant {
    /// Holds a token for an attempt.
    async fn reserve(
        &self,
        intento: &Intento,
        request: ReservaRequest,
        deadline: Instant,
    ) -> Answer<HeldToken>;
}

/// Who holds the money.
#[async_trait]
pub trait Usuarios: Participant {
    /// Holds money for an attempt.
    async fn charge(&self, intento: &Intento, request: CargoRequest, deadline: Instant) -> Answer<()>;
}

/// A participant behind its internal port.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    holds: &'static str,
    confirmation: &'static str,
}

/// A request without a body.
const NONE: Option<&()> = None;

impl Http {
    /// The `tokens` service.
    pub fn tokens(client: Client) -> Self {
        Self { client, holds: "reservas", confirmation: "venta" }
    }

    /// The `usuarios` service.
    pub fn usuarios(client: Client) -> Self {
        Self { client, holds: "cargos", confirmation: "confirmacion" }
    }

    async fn page(&self, query: &[(&str, String)], deadline: Instant) -> Answer<Vec<Hold>> {
        self.client.call(Method::GET, &["interno", self.holds], query, NONE, deadline).await
    }
}

#[async_trait]
impl Participant for Http {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        let path = ["interno", self.holds, &intento.to_string(), self.confirmation];
        self.client.call(Method::PUT, &path, &[], NONE, deadline).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        self.client
            .call(Method::DELETE, &["interno", self.holds, &intento.to_string()], &[], NONE, deadline)
            .await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>, deadline: Instant) -> Answer<Vec<Hold>> {
        let mut query =
            vec![("pendientes", "true".to_owned()), ("antes", age.num_milliseconds().to_string())];
        if let Some(after) = after {
            query.push(("despues", after.intento.to_string()));
            query.push(("desde", after.desde.timestamp_millis().to_string()));
        }
        self.page(&query, deadline).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Hold>> {
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
        request: ReservaRequest,
        deadline: Instant,
    ) -> Answer<HeldToken> {
        let path = ["interno", self.holds, &intento.to_string()];
        self.client.call(Method::PUT, &path, &[], Some(&request), deadline).await
    }
}

#[async_trait]
impl Usuarios for Http {
    async fn charge(&self, intento: &Intento, request: CargoRequest, deadline: Instant) -> Answer<()> {
        let path = ["interno", self.holds, &intento.to_string()];
        self.client.call(Method::PUT, &path, &[], Some(&request), deadline).await
    }
}
