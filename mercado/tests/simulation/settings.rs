//! What a seed makes of a run. Each seed turns some kinds of faults on and others off: a run with every fault at once hides
//! the bugs that need a calm moment ("swarm testing", Groce et al., ISSTA 2012).

use crate::chance::Rng;
use std::time::Duration;
use transacciones::config::PurchaseOptions;

/// Chances are in permille of the messages, pauses in milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    pub purchase: PurchaseOptions,
    pub replicas: [usize; 3],
    pub users: u64,
    pub tokens: u64,
    pub clients: u64,
    /// How long clients and faults go on.
    pub activity: u64,
    pub compact_bytes: u64,
    /// Of each service's machine.
    pub disk_latency: [u64; 3],
    /// The most that a message takes which is not slow or late.
    pub latency: u64,
    pub lost: u64,
    pub repeated: u64,
    pub slow: u64,
    pub late: u64,
    pub reset: u64,
    pub unreadable: u64,
    pub hang_up: u64,
    /// Between two faults of each kind; none where it is 0.
    pub cut: u64,
    pub kill: u64,
    pub doom: u64,
    pub power: u64,
    pub freeze: u64,
    pub stop: u64,
    pub disk: u64,
    pub clock: u64,
    pub edit: u64,
    pub abono: u64,
}

impl Settings {
    pub fn new(rng: &mut Rng) -> Self {
        let mut chance = |most: u64| if rng.happens(500) { rng.between(1, most) } else { 0 };
        let (lost, repeated, slow, late) = (chance(150), chance(150), chance(200), chance(60));
        let (reset, unreadable, hang_up) = (chance(100), chance(60), chance(300));
        let mut every = |least: u64| if rng.happens(450) { rng.between(least, 4 * least) } else { 0 };
        let (cut, kill, doom, power) = (every(1500), every(1500), every(1200), every(2500));
        let (freeze, stop, disk, clock) = (every(1500), every(3000), every(1500), every(1000));
        let purchase_deadline_ms = rng.pick(&[100, 300, 1000, 3000]);
        Self {
            purchase: PurchaseOptions {
                purchase_deadline_ms,
                orphan_age_ms: purchase_deadline_ms + rng.pick(&[1, 50, 500, 2000]),
                audit_pause_ms: 0,
                // a clave is forgotten and used anew within a run
                refused_keys: Duration::from_millis(rng.pick(&[1600, 6400, 86_400_000])),
                ..PurchaseOptions::default()
            },
            replicas: [1 + usize::from(rng.happens(400)), 1 + usize::from(rng.happens(400)), 2],
            users: rng.between(1, 3),
            tokens: rng.pick(&[1, 2, 4, 8, 14]),
            clients: rng.between(2, 5),
            activity: rng.between(3000, 9000),
            compact_bytes: rng.pick(&[500, 3000, 1 << 20]),
            disk_latency: [
                rng.pick(&[0, 2, 10, 60]),
                rng.pick(&[0, 2, 10, 60]),
                rng.pick(&[0, 2, 10, 60, 400]),
            ],
            latency: rng.pick(&[1, 6, 6, 40, 150]),
            lost,
            repeated,
            slow,
            late,
            reset,
            unreadable,
            hang_up,
            cut,
            kill,
            doom,
            power,
            freeze,
            stop,
            disk,
            clock,
            edit: rng.between(300, 3000),
            abono: rng.between(200, 2000),
        }
    }
}
