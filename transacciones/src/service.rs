//! What `transacciones` does, without HTTP.

use crate::audit::auditor::Auditor;
use crate::audit::report::AuditReport;
use crate::domain::{Bought, Compra, Transaccion};
use crate::error::Error;
use crate::feed::Feed;
use crate::purchase::runner::Coordinator;
use crate::store::Store;
use http_kit::context::Context;
use http_kit::paging::Page;
use market::domain::{TokenId, TransaccionId, UsuarioId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// The coordinator as its clients see it: purchases and the audit. Clones share everything.
#[derive(Clone)]
pub struct Service {
    coordinator: Coordinator,
    auditor: Auditor,
    feed: Feed,
    slots: Arc<Semaphore>,
    turned_away: Arc<AtomicU64>,
    // the process's own runtime: the runtime of a worker ends before the purchases that came by it
    runtime: Handle,
}

impl Service {
    /// Purchases run on `runtime`, which must live until they are done; at most `at_once` of them are under way.
    pub fn new(
        coordinator: Coordinator,
        auditor: Auditor,
        feed: Feed,
        at_once: u32,
        runtime: Handle,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(usize::try_from(at_once).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { coordinator, auditor, feed, slots, turned_away: Arc::default(), runtime }
    }

    /// How many more purchases may be under way now.
    pub fn slots_left(&self) -> u64 {
        self.slots.available_permits() as u64
    }

    /// How many purchases were turned away since too many were under way, since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// Purchases as they commit.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The store, to look at what was bought.
    pub fn store(&self) -> &Store {
        &self.coordinator.store
    }

    /// One purchase.
    pub async fn transaccion(&self, id: TransaccionId) -> Result<Transaccion, Error> {
        self.store().transaccion(id).await?.ok_or(Error::TransaccionNotFound(id))
    }

    /// A user's purchases, a token's, or all, in the order of their commits, behind one.
    pub async fn list(
        &self,
        usuario: Option<UsuarioId>,
        token: Option<TokenId>,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<Page<Transaccion>, Error> {
        Ok(self.store().list(usuario, token, after, limit).await?)
    }

    /// Buys. The purchase goes on to its end also where nobody waits for it any more.
    pub async fn buy(&self, compra: Compra) -> Result<Bought, Error> {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(Error::TooManyPurchases);
        };
        let (coordinator, slot) = (self.coordinator.clone(), Arc::new(slot));
        let context = Context::current().unwrap_or_default();
        let task = async move { coordinator.run(&compra, &slot).await };
        let running = self.coordinator.background.spawn_on(context.scope(task), &self.runtime);
        running.await.unwrap_or_else(|panicked| Err(Error::bug(panicked.to_string())))
    }

    /// Holds the three services against each other.
    pub async fn audit(&self) -> Result<Arc<AuditReport>, Error> {
        self.auditor.verdict(&self.coordinator).await
    }
}
