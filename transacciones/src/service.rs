//! What `transacciones` does, without HTTP.

use crate::audit::audit;
use crate::audit::report::Auditoria;
use crate::domain::{Compra, Comprado, Transaccion};
use crate::error::Error;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use http_kit::context::Context;
use http_kit::paging::Page;
use market::domain::{TokenId, TransaccionId, UsuarioId};
use tokio::runtime::Handle;

/// The coordinator as its clients see it: purchases and the audit. Clones share everything.
#[derive(Clone)]
pub struct Service {
    coordinator: Coordinator,
    // the process's own runtime: a worker's ends before its purchases may
    runtime: Handle,
}

impl Service {
    /// Purchases run on `runtime`, which must live until they are done.
    pub fn new(coordinator: Coordinator, runtime: Handle) -> Self {
        Self { coordinator, runtime }
    }

    /// The store, to look at what was bought.
    pub fn store(&self) -> &Store {
        &self.coordinator.store
    }

    /// One purchase.
    pub async fn transaccion(&self, id: TransaccionId) -> Result<Transaccion, Error> {
        self.store().transaccion(id).await?.ok_or(Error::TransaccionNoEncontrada(id))
    }

    /// A user's purchases, a token's, or all, in the order of their commits, behind one.
    pub async fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<Page<Transaccion>, Error> {
        Ok(self.store().lista(de, token, despues, limite).await?)
    }

    /// Buys. The purchase goes on to its end also where nobody waits for it any more.
    pub async fn comprar(&self, compra: Compra) -> Result<Comprado, Error> {
        let coordinator = self.coordinator.clone();
        let context = Context::current().unwrap_or_default();
        let task = async move { coordinator.run(&compra).await };
        let running = self.coordinator.behind.spawn_on(context.scope(task), &self.runtime);
        running.await.unwrap_or_else(|panicked| Err(Error::bug(panicked)))
    }

    /// Holds the three services against each other.
    pub async fn auditar(&self) -> Result<Auditoria, Error> {
        audit(&self.coordinator).await
    }
}
