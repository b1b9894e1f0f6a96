//! What goes wrong besides messages: each kind in a task of its own, at times that the seed gives.

use crate::azar::Rng;
use crate::cuenta::Seen;
use crate::mundo::{Endpoint, SERVICES, Service, World};
use crate::proceso::{Does, Vital};
use journal::simulation::{Moment, Trouble, finish, leave};
use journal::{Journal, Model};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub fn begin(world: &Arc<World>) {
    let s = &world.settings;
    every(world, s.cut, |world| {
        let ends: Vec<Endpoint> =
            world.slots_of(Service::Transacciones).map(|slot| Endpoint::Replica(slot.index)).collect();
        let (from, to, long) = world.rng(|rng| {
            let from = if rng.happens(700) { rng.pick(&ends) } else { Endpoint::Client };
            (from, rng.pick(&SERVICES), rng.millis(50, 2500))
        });
        world.note(format_args!("cut {from:?} - {}", to.name()));
        world.count(Seen::Cut);
        world.cuts.lock().unwrap().insert((from, to));
        after(world, long, move |world| {
            world.cuts.lock().unwrap().remove(&(from, to));
        });
    });
    every(world, s.kill, |world| {
        let Some(vital) = somebody(world) else { return };
        world.note(format_args!("kill -9 {}", world.slots[vital.slot]));
        world.count(Seen::Killed);
        world.bury(&vital);
    });
    every(world, s.doom, |world| {
        let Some(vital) = somebody(world) else { return };
        let moments = [Moment::Read, Moment::Write, Moment::Sync, Moment::Rename, Moment::Unlock];
        let moment = world.rng(|rng| rng.pick(&moments));
        world.note(format_args!("{} will die in its next {moment:?}", world.slots[vital.slot]));
        vital.disk.doom(vital.pid, moment);
    });
    every(world, s.power, |world| {
        let service = world.rng(|rng| rng.pick(&SERVICES));
        world.note(format_args!("the power of {} fails", service.name()));
        world.count(Seen::PowerFailed);
        world.power_failure(service);
    });
    every(world, s.freeze, |world| {
        let Some(vital) = somebody(world) else { return };
        let long = world.rng(|rng| rng.millis(50, 4000));
        let slot = &world.slots[vital.slot];
        world.note(format_args!("{slot} is frozen for {long:?}"));
        world.count(Seen::Frozen);
        slot.freeze(Some(Instant::now() + long));
    });
    every(world, s.stop, |world| {
        let Some(vital) = somebody(world) else { return };
        world.note(format_args!("{} is asked to leave", world.slots[vital.slot]));
        let task = stop(Arc::clone(world), vital);
        world.spawn(task);
    });
    every(world, s.disk, |world| {
        let (service, trouble, long) = world.rng(|rng| {
            let trouble = Trouble {
                after: rng.below(12),
                full: rng.happens(500),
                lasting: rng.happens(600),
                fate: rng.pick(&[0, 1, 2]),
            };
            (rng.pick(&SERVICES), trouble, rng.millis(20, 2500))
        });
        world.note(format_args!("the disk of {} fails: {trouble:?}", service.name()));
        let disk = world.disk(service);
        disk.fail(trouble);
        after(world, long, move |world| {
            if disk.has_failed() {
                world.count(Seen::DiskFailed);
            }
            world.note(format_args!("the disk of {} works", service.name()));
            disk.heal();
        });
    });
    every(world, s.clock, |world| {
        let slot =
            &world.slots[usize::try_from(world.rng(|rng| rng.below(world.slots.len() as u64))).unwrap()];
        let mut skew = slot.skew.lock().unwrap();
        world.rng(|rng| {
            let most = rng.pick(&[50, 2000, 60_000, 3_600_000, 86_400_000]);
            skew.offset = i64::try_from(rng.below(2 * most)).unwrap() - i64::try_from(most).unwrap();
            skew.permille = rng.pick(&[0, 0, 5, -5, 300, -300]);
        });
        world.note(format_args!("{slot} has its clock at {:+} ms", skew.offset));
        world.count(Seen::ClockJumped);
    });
    let task = watch(Arc::clone(world));
    world.spawn(task);
}

/// From now on nothing fails; what has failed is repaired.
pub fn end(world: &Arc<World>) {
    world.note(format_args!("calm"));
    world.calm.store(true, Ordering::Relaxed);
    world.cuts.lock().unwrap().clear();
    for service in SERVICES {
        world.disk(service).heal();
        world.disk(service).spare();
    }
    for slot in &world.slots {
        slot.freeze(None);
        *slot.skew.lock().unwrap() = Default::default();
    }
}

fn every(world: &Arc<World>, base: u64, fault: impl Fn(&Arc<World>) + Send + 'static) {
    if base == 0 {
        return;
    }
    let task = {
        let world = Arc::clone(world);
        async move {
            loop {
                sleep(world.rng(|rng| rng.millis(1, 2 * base))).await;
                if world.calm() {
                    return;
                }
                fault(&world);
            }
        }
    };
    world.spawn(task);
}

fn after(world: &Arc<World>, pause: Duration, then: impl FnOnce(&Arc<World>) + Send + 'static) {
    let task = {
        let world = Arc::clone(world);
        async move {
            sleep(pause).await;
            then(&world);
        }
    };
    world.spawn(task);
}

fn somebody(world: &World) -> Option<Arc<Vital>> {
    let alive: Vec<_> = world.slots.iter().filter_map(crate::proceso::Slot::vital).collect();
    let n = world.rng(|rng: &mut Rng| rng.below(alive.len() as u64));
    alive.get(usize::try_from(n).unwrap()).cloned()
}

/// SIGTERM: no new requests, the purchases under way end, the store is closed.
async fn stop(world: Arc<World>, vital: Arc<Vital>) {
    let Some(life) = world.slots[vital.slot].life() else { return };
    if vital.leaving.swap(true, Ordering::Relaxed) {
        return;
    }
    match &life.does {
        Does::Tokens(_, journal) => close(&life, journal).await,
        Does::Usuarios(_, journal) => close(&life, journal).await,
        Does::Transacciones(_, engine, journal) => {
            let engine = engine.lock().unwrap().take();
            if let Some(engine) = engine {
                engine.stop(Duration::from_millis(3500)).await;
            }
            close(&life, journal).await;
        }
    }
    if world.is_alive(&vital) {
        world.note(format_args!("{} has left", world.slots[vital.slot]));
        world.count(Seen::CleanStop);
        drop(life);
        world.bury(&vital);
    }
}

async fn close<M: Model>(life: &crate::proceso::Life, journal: &Journal<M>) {
    leave(journal);
    while !life.writer.is_finished() {
        sleep(Duration::from_millis(5)).await;
    }
    // where it fails, everything is in the journal
    let _ = finish(journal);
}

/// Counts what stores go through.
async fn watch(world: Arc<World>) {
    let mut before: Vec<(u32, bool, u64)> = vec![(0, false, 0); world.slots.len()];
    while !world.calm() {
        for slot in &world.slots {
            let Some(life) = slot.life() else { continue };
            if !world.is_alive(&life.vital) {
                continue;
            }
            let (latched, compactions) = life.store_state();
            let (pid, was, compacted) = std::mem::take(&mut before[slot.index]);
            let same = pid == life.vital.pid;
            if latched && !(same && was) {
                world.count(Seen::Latched);
            }
            if same && was && !latched {
                world.count(Seen::Reopened);
            }
            if same && compactions > compacted {
                world.count(Seen::Compacted);
            }
            before[slot.index] = (life.vital.pid, latched, compactions);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
