//! The world of one run: three machines with a disk each, the processes on them, time, chance and the history.

use crate::ajustes::Settings;
use crate::azar::Rng;
use crate::cuenta::{Account, Seen};
use crate::errores::Bug;
use crate::historia::History;
use crate::proceso::{Life, Slot, Vital};
use crate::servir::Call;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use journal::simulation::{Disk, Survives};
use market::clock::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Whose machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    Tokens,
    Usuarios,
    Transacciones,
}

pub const SERVICES: [Service; 3] = [Service::Tokens, Service::Usuarios, Service::Transacciones];

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Usuarios => "usuarios",
            Self::Transacciones => "transacciones",
        }
    }
}

/// Who sends a message: a client, or a replica of `transacciones`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    Client,
    Replica(usize),
}

pub struct World {
    pub settings: Settings,
    pub bug: Option<Bug>,
    rng: Mutex<Rng>,
    start: Instant,
    account: Mutex<Account>,
    pub history: Mutex<History>,
    disks: Mutex<[Disk; 3]>,
    pub slots: Vec<Slot>,
    pub cuts: Mutex<BTreeSet<(Endpoint, Service)>>,
    /// Messages under way.
    pub flying: Mutex<BTreeMap<u64, (Endpoint, Service, Call)>>,
    /// No more faults.
    pub calm: AtomicBool,
    pids: AtomicU32,
    /// Answers that nobody will send, so that whoever waits for them waits.
    pub limbo: Mutex<Vec<Box<dyn Send>>>,
}

/// The clock of every machine at the start of a run.
fn epoch() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn json(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, print: bool) -> Arc<Self> {
        let mut rng = Rng::new(seed);
        let settings = Settings::new(&mut rng);
        let mut history = History::default();
        let users = (1..=settings.users).map(|id| {
            let saldo = rng.between(0, 300);
            history.opening.insert(id, saldo);
            format!(r#"{{"id":{id},"nombre":"Ana {id}","saldo":{saldo}}}"#)
        });
        let users: Vec<_> = users.collect();
        let tokens = (1..=settings.tokens).map(|id| {
            let precio = rng.between(5, 60);
            history.prices.insert(precio);
            format!(
                r#"{{"id":{id},"nombre":"Gato {id}","imagen":"g.jpg","precio":{precio},"vendido":false}}"#
            )
        });
        let tokens: Vec<_> = tokens.collect();
        let disks =
            [Disk::new([("tokens", json(&tokens))]), Disk::new([("usuarios", json(&users))]), Disk::new([])];
        if let Some(bug) = bug {
            bug.disks(&disks);
        }
        let mut slots = Vec::new();
        for service in SERVICES {
            for _ in 0..settings.replicas[service as usize] {
                slots.push(Slot::new(slots.len(), service));
            }
        }
        Arc::new(Self {
            settings,
            bug,
            rng: Mutex::new(rng),
            start: Instant::now(),
            account: Mutex::new(Account::new(print)),
            history: Mutex::new(history),
            disks: Mutex::new(disks),
            slots,
            cuts: Mutex::default(),
            flying: Mutex::default(),
            calm: AtomicBool::new(false),
            pids: AtomicU32::new(0),
            limbo: Mutex::default(),
        })
    }

    pub fn rng<T>(&self, f: impl FnOnce(&mut Rng) -> T) -> T {
        f(&mut self.rng.lock().unwrap())
    }

    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        self.account().note(self.elapsed().as_millis(), what);
    }

    pub fn count(&self, seen: Seen) {
        self.account().count(seen);
    }

    pub fn violation(&self, what: String) {
        self.account().violation(what);
    }

    pub fn calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// A task of the simulation itself. A panic in it is a finding.
    pub fn spawn(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let world = Arc::clone(self);
        tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                world.violation("a panic".to_owned());
            }
        })
    }

    pub fn disk(&self, service: Service) -> Disk {
        self.disks.lock().unwrap()[service as usize].clone()
    }

    pub fn slots_of(&self, service: Service) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| slot.service == service)
    }

    /// The clock of one process: the world's, which the faults let jump and drift.
    pub fn clock(self: &Arc<Self>, slot: usize) -> Clock {
        let world = Arc::downgrade(self);
        Clock::new(move || {
            let Some(world) = world.upgrade() else { return epoch() };
            let skew = world.slots[slot].skew.lock().unwrap();
            let elapsed = world.elapsed();
            let drift = elapsed.as_millis() as i64 * skew.permille / 1000;
            epoch() + elapsed + TimeDelta::milliseconds(skew.offset + drift)
        })
    }

    /// Starts a process, again and again until its store opens.
    pub fn start(self: &Arc<Self>, slot: usize, after: Duration) {
        let world = Arc::clone(self);
        if std::mem::replace(&mut *self.slots[slot].starting.lock().unwrap(), true) {
            return;
        }
        self.spawn(async move {
            sleep(after).await;
            loop {
                let pid = world.pids.fetch_add(1, Ordering::Relaxed) + 1;
                let opened = Life::open(&world, slot, pid);
                let slot = &world.slots[slot];
                match opened {
                    Ok(life) => {
                        world.note(format_args!("{slot} starts as {pid}"));
                        *slot.life.lock().unwrap() = Some(life);
                        *slot.starting.lock().unwrap() = false;
                        return;
                    }
                    Err(e) => {
                        world.note(format_args!("{slot} does not start: {e}"));
                        world.count(Seen::NotOpened);
                        if world.calm() && !world.disk(slot.service).is_dead(pid) {
                            world.violation(format!("{slot} does not start on a disk that works: {e}"));
                        }
                    }
                }
                sleep(Duration::from_millis(300)).await;
            }
        });
    }

    /// `kill -9`, or what is left to do after a process has died by itself. It comes back.
    pub fn bury(self: &Arc<Self>, vital: &Arc<Vital>) {
        let slot = &self.slots[vital.slot];
        let mut life = slot.life.lock().unwrap();
        if !vital.die() {
            return;
        }
        if life.as_ref().is_some_and(|life| life.vital.pid == vital.pid)
            && let Some(life) = life.take()
        {
            life.writer.abort();
            life.count_recovery(self);
            drop(life);
        }
        let down = self.rng(|rng| if rng.happens(700) { rng.millis(1, 500) } else { rng.millis(500, 3000) });
        self.start(vital.slot, down);
    }

    /// The machine loses its power, and with it all that was not synced.
    pub fn power_failure(self: &Arc<Self>, service: Service) {
        for slot in self.slots_of(service) {
            if let Some(vital) = slot.vital() {
                self.bury(&vital);
            }
        }
        let survives = Survives::Chance(self.rng(Rng::next));
        self.cut_power(service, survives);
    }

    /// The same for a machine where nobody is left.
    pub fn cut_power(&self, service: Service, survives: Survives) {
        let mut disks = self.disks.lock().unwrap();
        let disk = disks[service as usize].after_power_failure(survives);
        disks[service as usize] = disk;
        if let Some(bug) = self.bug {
            bug.disks(&disks);
        }
    }

    /// Whether the process is still there. The first to notice that it died in the middle of a call buries it.
    pub fn is_alive(self: &Arc<Self>, vital: &Arc<Vital>) -> bool {
        if vital.dead.load(Ordering::Relaxed) {
            return false;
        }
        if vital.disk.is_dead(vital.pid) {
            self.note(format_args!("{} is found dead", self.slots[vital.slot]));
            self.count(Seen::KilledInside);
            self.bury(vital);
            return false;
        }
        true
    }
}
