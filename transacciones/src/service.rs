//! What `transacciones` does, without HTTP.

use crate::audit::{self, Auditoria};
use crate::domain::{Compra, Transaccion};
use crate::error::Error;
use crate::purchase::Outcome;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use http_kit::context::Context;
use tokio::runtime::Handle;

/// The coordinator for its clients: purchases and the audit. Clones share everything.
#[derive(Clone)]
pub struct Service {
    coordinator: Coordinator,
    // the process's own runtime: a worker's ends before its purchases may
    runtime: Handle,
}

/// A purchase as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comprado {
    /// What was recorded.
    pub transaccion: Transaccion,
    /// Whether an earlier request with this key did it.
    pub repetida: bool,
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

    /// Buys. It goes on to its end if nobody waits for it any more.
    pub async fn comprar(&self, compra: Compra) -> Result<Comprado, Error> {
        let coordinator = self.coordinator.clone();
        let context = Context::current().unwrap_or_default();
        let task = async move { coordinator.run(&compra).await.map(|outcome| (outcome, compra)) };
        let running = self.coordinator.behind.spawn_on(context.scope(task), &self.runtime);
        let (outcome, compra) = match running.await {
            Ok(Ok(done)) => done,
            Ok(Err(unexpected)) => return Err(Error::Bug(unexpected.to_string())),
            Err(panicked) => return Err(Error::Bug(panicked.to_string())),
        };
        match outcome {
            Outcome::Comprado { transaccion, repetida } => Ok(Comprado { transaccion, repetida }),
            Outcome::Rechazado(motivo) => Err(Error::Rechazado { compra: Box::new(compra), motivo }),
            Outcome::ClaveReutilizada => Err(Error::ClaveReutilizada(compra.clave.to_string())),
            Outcome::SinRespuesta => Err(Error::SinRespuesta),
            Outcome::Superado => Err(Error::Superado),
            Outcome::SinAlmacen => Err(Error::SinAlmacen),
        }
    }

    /// Holds the three services against each other.
    pub async fn auditar(&self) -> Result<Auditoria, Error> {
        Ok(audit::audit(&self.coordinator).await?)
    }
}
