//! The participants of a purchase in the same process: the calls of `market::contract` without the network between.

use async_trait::async_trait;
use chrono::TimeDelta;
use http_kit::client::Unavailable;
use market::contract::Answer;
use market::contract::{Digest, PedidoCargo, PedidoReserva, Refusal, Reservado, Try};
use market::domain::Intento;
use tokio::time::{Instant, timeout_at};
use transacciones::participants::{Participant, Tokens, Usuarios};

/// The `tokens` service.
pub struct LocalTokens(pub tokens::store::Store);

/// The `usuarios` service.
pub struct LocalUsuarios(pub usuarios::store::Store);

/// What a participant's service says, in the words of the contract, and at the latest at the deadline.
async fn answer<T, E>(
    service: &'static str,
    refusal: fn(&E) -> Option<Refusal>,
    deadline: Instant,
    call: impl Future<Output = Result<T, E>>,
) -> Answer<T>
where
    E: std::fmt::Display,
{
    let unavailable = |cause: String| Unavailable { service, cause };
    match timeout_at(deadline, call).await {
        Ok(Ok(value)) => Ok(Ok(value)),
        Ok(Err(e)) => refusal(&e).map(Err).ok_or_else(|| unavailable(e.to_string())),
        Err(_) => Err(unavailable("it did not answer in time".to_owned())),
    }
}

async fn tokens<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, tokens::error::Error>>,
) -> Answer<T> {
    answer("tokens", tokens::error::Error::refusal, deadline, call).await
}

async fn usuarios<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, usuarios::error::Error>>,
) -> Answer<T> {
    answer("usuarios", usuarios::error::Error::refusal, deadline, call).await
}

#[async_trait]
impl Participant for LocalTokens {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        tokens(deadline, self.0.confirmar(intento.clone())).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        tokens(deadline, self.0.cancelar(intento.clone())).await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Try>, deadline: Instant) -> Answer<Vec<Try>> {
        let after = after.map(|t| (t.desde, t.intento.clone()));
        tokens(deadline, self.0.pendientes(age, after)).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Try>> {
        tokens(deadline, self.0.confirmados(after.cloned())).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        tokens(deadline, self.0.resumen()).await
    }
}

#[async_trait]
impl Tokens for LocalTokens {
    async fn reserve(
        &self,
        intento: &Intento,
        pedido: PedidoReserva,
        deadline: Instant,
    ) -> Answer<Reservado> {
        tokens(deadline, async { Ok(self.0.reservar(intento.clone(), pedido).await?.valor) }).await
    }
}

#[async_trait]
impl Participant for LocalUsuarios {
    async fn confirm(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        usuarios(deadline, self.0.confirmar(intento.clone())).await
    }

    async fn cancel(&self, intento: &Intento, deadline: Instant) -> Answer<()> {
        usuarios(deadline, self.0.cancelar(intento.clone())).await
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Try>, deadline: Instant) -> Answer<Vec<Try>> {
        let after = after.map(|t| (t.desde, t.intento.clone()));
        usuarios(deadline, self.0.pendientes(age, after)).await
    }

    async fn settled(&self, after: Option<&Intento>, deadline: Instant) -> Answer<Vec<Try>> {
        usuarios(deadline, self.0.confirmados(after.cloned())).await
    }

    async fn digest(&self, deadline: Instant) -> Answer<Digest> {
        usuarios(deadline, self.0.resumen()).await
    }
}

#[async_trait]
impl Usuarios for LocalUsuarios {
    async fn charge(&self, intento: &Intento, pedido: PedidoCargo, deadline: Instant) -> Answer<()> {
        usuarios(deadline, async { self.0.cargar(intento.clone(), pedido).await.map(|_new| ()) }).await
    }
}
