//! One process: a service over its store, with its writer, and for `transacciones` its recovery.

use crate::account::Seen;
use crate::network::Remote;
use crate::world::{Service, World};
use chrono::TimeDelta;
use futures_util::future::{Either, FutureExt, select};
use http_kit::metrics::Metrics;
use journal::simulation::Disk;
use journal::{Journal, Model, OpenError, StoreError};
use market::clock::Clock;
use market::domain::{Monto, TokenId, UsuarioId};
use market::participant::{HoldStore, Local};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokens::domain::Availability;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};
use transacciones::app::Engine;

/// A place where a process runs, and is started again.
pub struct Slot {
    pub index: usize,
    pub service: Service,
    pub life: Mutex<Option<Arc<Life>>>,
    pub starting: Mutex<bool>,
    pub skew: Mutex<Skew>,
    frozen_until: Mutex<Option<Instant>>,
}

/// How wrong a clock is.
#[derive(Default)]
pub struct Skew {
    /// In milliseconds.
    pub offset: i64,
    /// How much faster it goes.
    pub permille: i64,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service.name(), self.index)
    }
}

impl Slot {
    pub fn new(index: usize, service: Service) -> Self {
        Self {
            index,
            service,
            life: Mutex::default(),
            starting: Mutex::default(),
            skew: Mutex::default(),
            frozen_until: Mutex::default(),
        }
    }

    pub fn life(&self) -> Option<Arc<Life>> {
        self.life.lock().unwrap().clone()
    }

    pub fn vital(&self) -> Option<Arc<Vital>> {
        self.life().map(|life| Arc::clone(&life.vital))
    }

    /// SIGSTOP: what comes and goes waits until then. `None`: SIGCONT.
    pub fn freeze(&self, until: Option<Instant>) {
        *self.frozen_until.lock().unwrap() = until;
    }

    /// Waits until the process runs.
    pub async fn thaw(&self) {
        loop {
            let until = *self.frozen_until.lock().unwrap();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }
}

/// What tells one process of a slot from the next.
pub struct Vital {
    pub pid: u32,
    pub slot: usize,
    pub dead: AtomicBool,
    died: Notify,
    /// It takes no new requests.
    pub leaving: AtomicBool,
    /// The disk that it has open, also after a power failure has put another in its place.
    pub disk: Disk,
}

impl Vital {
    /// What the process does, unless it dies before: what its tasks wait for then never comes.
    pub async fn lives_through<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut died = pin!(self.died.notified());
        died.as_mut().enable();
        if self.dead.load(Ordering::Relaxed) {
            return None;
        }
        match select(pin!(work), died).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// True the first time.
    pub fn die(&self) -> bool {
        let first = !self.dead.swap(true, Ordering::Relaxed);
        self.disk.kill(self.pid);
        self.died.notify_waiters();
        first
    }
}

/// A running process.
pub struct Life {
    pub vital: Arc<Vital>,
    pub clock: Clock,
    pub does: Does,
    pub metrics: Metrics,
    pub writer: AbortHandle,
}

/// What it serves.
pub enum Does {
    Tokens(Local<tokens::store::Store>, Journal<tokens::store::state::State>),
    Usuarios(Local<usuarios::store::Store>, Journal<usuarios::store::state::State>),
    Transacciones(
        transacciones::service::Service,
        Mutex<Option<Box<Engine>>>,
        Journal<transacciones::store::state::State>,
    ),
}

impl Life {
    pub fn open(world: &Arc<World>, slot: usize, pid: u32) -> Result<Arc<Self>, OpenError> {
        let service = world.slots[slot].service;
        let (dead, died, leaving) = (AtomicBool::new(false), Notify::new(), AtomicBool::new(false));
        let vital = Arc::new(Vital { pid, slot, dead, died, leaving, disk: world.disk(service) });
        let clock = world.clock(slot);
        let metrics = Metrics::new();
        let (does, writer) = clock.clone().sync_scope(|| -> Result<_, OpenError> {
            Ok(match service {
                Service::Tokens => {
                    let (journal, writer) = store(world, &vital, &clock)?;
                    let local = Local(tokens::store::Store::json(journal.clone()));
                    (Does::Tokens(local, journal), writer)
                }
                Service::Usuarios => {
                    let (journal, writer) = store(world, &vital, &clock)?;
                    let local = Local(usuarios::store::Store::json(journal.clone()));
                    (Does::Usuarios(local, journal), writer)
                }
                Service::Transacciones => {
                    let (journal, writer) = store(world, &vital, &clock)?;
                    let remote =
                        |to| Arc::new(Remote { world: Arc::clone(world), from: Arc::clone(&vital), to });
                    let (tokens, usuarios) = (remote(Service::Tokens), remote(Service::Usuarios));
                    let options = world.settings.purchase;
                    let engine = Engine::start(
                        transacciones::store::Store::json(journal.clone()),
                        tokens,
                        usuarios,
                        options,
                        &metrics,
                    );
                    let engine = engine.expect("the times fit together");
                    let service = engine.service.clone();
                    (Does::Transacciones(service, Mutex::new(Some(Box::new(engine))), journal), writer)
                }
            })
        })?;
        Ok(Arc::new(Self { vital, clock, does, metrics, writer }))
    }

    /// Counts what its recovery has done.
    pub fn count_recovery(&self, world: &World) {
        let Does::Transacciones(..) = &self.does else { return };
        let text = self.metrics.text().unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map_or(0, |value| value.trim().parse().unwrap())
        };
        let mut account = world.account();
        account.add(Seen::ConfirmedByRecovery, value("recovery_confirmed_total"));
        account.add(Seen::CancelledByRecovery, value("recovery_cancelled_total"));
        account.add(Seen::Forgotten, value("refused_keys_forgotten_total"));
    }
}

impl Life {
    /// Whether its store refuses writes, and how often it was compacted.
    pub fn store_state(&self) -> (bool, u64) {
        fn of<M: Model>(journal: &Journal<M>) -> (bool, u64) {
            (matches!(journal.health(), Err(StoreError::Latched { .. })), journal.stats().compactions)
        }
        match &self.does {
            Does::Tokens(_, journal) => of(journal),
            Does::Usuarios(_, journal) => of(journal),
            Does::Transacciones(_, _, journal) => of(journal),
        }
    }

    /// A token's price.
    pub fn price(&self, id: TokenId) -> Option<Monto> {
        match &self.does {
            Does::Tokens(local, _) => at_once(local.0.token(id)).ok().map(|token| token.precio),
            _ => None,
        }
    }

    /// The tokens that nobody holds or has bought, as far as the store can be read.
    pub fn free(&self) -> Vec<(TokenId, Monto)> {
        let Does::Tokens(local, _) = &self.does else { return Vec::new() };
        (1..30)
            .filter_map(|id| at_once(local.0.token(TokenId::new(id)?)).ok())
            .filter(|token| token.estado == Availability::Free)
            .map(|token| (token.id, token.precio))
            .collect()
    }

    /// A user's balance.
    pub fn saldo(&self, id: UsuarioId) -> Option<Monto> {
        match &self.does {
            Does::Usuarios(local, _) => at_once(local.0.usuario(id)).ok().map(|usuario| usuario.saldo),
            _ => None,
        }
    }

    /// How many holds wait for their end here; `None` where that cannot be read.
    pub fn pending(&self) -> Option<usize> {
        match &self.does {
            Does::Tokens(local, _) => at_once(local.0.pending(TimeDelta::zero(), None)).ok().map(|p| p.len()),
            Does::Usuarios(local, _) => {
                at_once(local.0.pending(TimeDelta::zero(), None)).ok().map(|p| p.len())
            }
            Does::Transacciones(..) => Some(0),
        }
    }
}

/// What a read of a store in files gives: it waits for nothing.
pub fn at_once<T>(read: impl Future<Output = T>) -> T {
    read.now_or_never().expect("a read that waits for nothing")
}

/// Opens the store as this process, with its writer as a task that takes its time.
fn store<M: Model>(
    world: &Arc<World>,
    vital: &Arc<Vital>,
    clock: &Clock,
) -> Result<(Journal<M>, AbortHandle), OpenError> {
    let gather = {
        let (world, slot) = (Arc::downgrade(world), vital.slot);
        move || {
            let world = world.upgrade();
            async move {
                let Some(world) = world else { return };
                world.slots[slot].thaw().await;
                let latency = if world.calm() {
                    0
                } else {
                    world.settings.disk_latency[world.slots[slot].service as usize]
                };
                let pause = world.rng(|rng| rng.millis(0, latency));
                if pause > Duration::ZERO {
                    sleep(pause).await;
                }
            }
        }
    };
    let (journal, writer) = vital.disk.open(vital.pid, world.settings.compact_bytes, gather)?;
    let task = world.spawn(clock.clone().scope(writer));
    Ok((journal, task.abort_handle()))
}
