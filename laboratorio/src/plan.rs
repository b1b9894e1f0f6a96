//! Which fault comes when: a seed's schedule, the same in every run.

use crate::chance::Chance;
use crate::t;
use clap::ValueEnum;
use rustix::process::Signal;
use std::fmt;
use std::time::Duration;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Service {
    Usuarios,
    Tokens,
    Transacciones,
}

impl Service {
    /// In the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Usuarios, Self::Tokens, Self::Transacciones];

    /// Its binary and its directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usuarios => "usuarios",
            Self::Tokens => "tokens",
            Self::Transacciones => "transacciones",
        }
    }
}

/// A way through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the clients to a service.
    Clients(Service),
    /// From `transacciones` to a participant.
    Internal(Service),
    /// From the services to PostgreSQL.
    Database,
}

/// How PostgreSQL stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGKILL.
    Kill,
    /// "Immediate": as a crash, all sessions at once.
    Immediate,
    /// "Fast": as an operator does; sessions are told.
    Fast,
}

impl Stop {
    /// What its first process is sent.
    pub const fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Immediate => Signal::QUIT,
            Self::Fast => Signal::INT,
        }
    }
}

/// What goes wrong. Times are how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill {
        /// Of which service.
        service: Service,
        /// Of a hundred: which of the replicas that run.
        percentile: u64,
        /// Until another is started: a purchase's deadline is 3 s.
        down: Duration,
    },
    /// SIGSTOP, then SIGCONT.
    Freeze(Service, u64, Duration),
    /// SIGTERM, and started again.
    Restart(Service, u64),
    /// Connections end.
    Cut(Way, Duration),
    /// Each piece comes later by the first.
    Slow(Way, Duration, Duration),
    /// Nothing comes through, and then all.
    Hold(Way, Duration),
    /// One replica more on the same directory for so long; on PostgreSQL, where there are three, one less.
    Replica(Service, Duration),
    /// No space on the disk.
    Disk(Duration),
    /// The clock of a service is so many seconds off from now on.
    Clock(Service, i64),
    /// PostgreSQL's primary stops, and is started after so long.
    StopPrimary(Stop, Duration),
    /// Its standby is killed for so long.
    StopStandby(Duration),
    /// The primary stops for good, and after so long its standby is promoted.
    Promote(Stop, Duration),
}

/// As a history says it: in the words that every history on disk has.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { service, percentile, down } => {
                write!(f, "Mata {{ servicio: {service:?}, cual: {percentile}, abajo: {down:?} }}")
            }
            Self::Freeze(service, percentile, time) => {
                write!(f, "Congela({service:?}, {percentile}, {time:?})")
            }
            Self::Restart(service, percentile) => write!(f, "Reinicia({service:?}, {percentile})"),
            Self::Cut(way, time) => write!(f, "Corta({way}, {time:?})"),
            Self::Slow(way, by, time) => write!(f, "Demora({way}, {by:?}, {time:?})"),
            Self::Hold(way, time) => write!(f, "Retiene({way}, {time:?})"),
            Self::Replica(service, time) => write!(f, "Replica({service:?}, {time:?})"),
            Self::Disk(time) => write!(f, "Disco({time:?})"),
            Self::Clock(service, by) => write!(f, "Reloj({service:?}, {by})"),
            Self::StopPrimary(how, down) => write!(f, "Cae({how}, {down:?})"),
            Self::StopStandby(down) => write!(f, "SinEspejo({down:?})"),
            Self::Promote(how, before) => write!(f, "Promueve({how}, {before:?})"),
        }
    }
}

impl Fault {
    /// As a person reads it.
    pub fn said(&self) -> String {
        match self {
            Self::Kill { service, .. } => {
                let name = service.name();
                t!("kill -9 a {name}", "kill -9 of {name}")
            }
            Self::Freeze(service, ..) => {
                let name = service.name();
                t!("{name} congelado", "{name} frozen")
            }
            Self::Restart(service, _) => {
                let name = service.name();
                t!("SIGTERM a {name}", "SIGTERM to {name}")
            }
            Self::Cut(way, _) => {
                let way = way.said();
                t!("red cortada {way}", "network cut {way}")
            }
            Self::Slow(way, ..) => {
                let way = way.said();
                t!("red lenta {way}", "network slow {way}")
            }
            Self::Hold(way, _) => {
                let way = way.said();
                t!("red detenida {way}", "network held {way}")
            }
            Self::Replica(service, _) => {
                let name = service.name();
                t!("otra cantidad de procesos de {name}", "another number of processes of {name}")
            }
            Self::Disk(_) => t!("disco lleno", "disk full"),
            Self::Clock(service, by) => {
                let name = service.name();
                t!("el reloj de {name} salta {by} s", "the clock of {name} jumps by {by} s")
            }
            Self::StopPrimary(..) => t!("PostgreSQL caído", "PostgreSQL down"),
            Self::StopStandby(_) => t!("PostgreSQL sin espejo", "PostgreSQL without its standby"),
            Self::Promote(..) => {
                t!("el espejo de PostgreSQL toma su lugar", "PostgreSQL's standby is promoted")
            }
        }
    }

    /// How long after its beginning it is over, where that is not when it was done.
    pub const fn lasts(&self) -> Option<Duration> {
        match self {
            Self::Kill { down, .. } => Some(*down),
            _ => None,
        }
    }
}

impl Way {
    fn said(self) -> String {
        match self {
            Self::Clients(service) => {
                let name = service.name();
                t!("de los clientes a {name}", "from the clients to {name}")
            }
            Self::Internal(service) => {
                let name = service.name();
                t!("de transacciones a {name}", "from transacciones to {name}")
            }
            Self::Database => t!("a PostgreSQL", "to PostgreSQL"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(service) => write!(f, "Clientes({service:?})"),
            Self::Internal(service) => write!(f, "Interna({service:?})"),
            Self::Database => f.write_str("Base"),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "Mata",
            Self::Immediate => "Inmediata",
            Self::Fast => "Rapida",
        })
    }
}

/// The schedule of a seed: what comes next, and how long after the one before.
pub struct Plan {
    chance: Chance,
    postgres: bool,
    /// Seconds that a clock may be off.
    clocks: u64,
}

impl Plan {
    /// Of this seed, against files or PostgreSQL.
    pub fn new(seed: u64, postgres: bool) -> Self {
        Self { chance: Chance::new(seed, u64::MAX), postgres, clocks: 3600 }
    }

    /// With clocks that are off by so many seconds at most.
    pub const fn clocks(self, most: u64) -> Self {
        Self { clocks: most, ..self }
    }

    fn service(&mut self) -> Service {
        // the coordinator is where most can go wrong
        match self.chance.between(1..=4) {
            1 => Service::Usuarios,
            2 => Service::Tokens,
            _ => Service::Transacciones,
        }
    }

    fn way(&mut self) -> Way {
        match self.chance.between(1..=if self.postgres { 10 } else { 7 }) {
            1 | 2 => Way::Internal(Service::Usuarios),
            3 | 4 => Way::Internal(Service::Tokens),
            5 => Way::Clients(Service::Usuarios),
            6 => Way::Clients(Service::Tokens),
            7 => Way::Clients(Service::Transacciones),
            _ => Way::Database,
        }
    }

    /// What PostgreSQL has besides; it is `None` as often as the rest should come.
    fn database(&mut self) -> Option<Fault> {
        let chance = &mut self.chance;
        let how = match chance.between(1..=4) {
            1 | 2 => Stop::Kill,
            3 => Stop::Immediate,
            _ => Stop::Fast,
        };
        let most = if chance.percent(20) { 3000 } else { 300 };
        Some(match chance.between(1..=100) {
            1..=14 => Fault::StopPrimary(how, chance.millis(0..=most)),
            15..=22 => Fault::Promote(how, chance.millis(0..=most)),
            23..=26 => Fault::StopStandby(chance.millis(0..=most)),
            _ => return None,
        })
    }
}

impl Iterator for Plan {
    type Item = (Duration, Fault);

    fn next(&mut self) -> Option<Self::Item> {
        let wait = self.chance.millis(50..=900);
        if self.postgres
            && let Some(fault) = self.database()
        {
            return Some((wait, fault));
        }
        let (service, way, percentile) = (self.service(), self.way(), self.chance.between(1..=100));
        let chance = &mut self.chance;
        let fault = match chance.between(1..=100) {
            1..=50 => {
                let most = if chance.percent(15) { 5000 } else { 300 };
                Fault::Kill { service, percentile, down: chance.millis(0..=most) }
            }
            51..=60 => Fault::Freeze(service, percentile, chance.millis(50..=2500)),
            61..=66 => Fault::Restart(service, percentile),
            67..=74 => Fault::Cut(way, chance.millis(1..=1500)),
            75..=82 => Fault::Slow(way, chance.millis(5..=200), chance.millis(500..=3000)),
            83..=88 => Fault::Hold(way, chance.millis(100..=2500)),
            89..=94 => {
                let which = if chance.percent(50) { Service::Tokens } else { Service::Transacciones };
                Fault::Replica(which, chance.millis(2000..=12_000))
            }
            95 | 96 => Fault::Disk(chance.millis(500..=3000)),
            _ => Fault::Clock(
                service,
                chance.between(0..=2 * self.clocks).cast_signed() - self.clocks.cast_signed(),
            ),
        };
        Some((wait, fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_in_the_words_that_histories_on_disk_have() {
        let time = Duration::from_millis(123);
        let service = Service::Transacciones;
        for (fault, text) in [
            (
                Fault::Kill { service, percentile: 7, down: time },
                "Mata { servicio: Transacciones, cual: 7, abajo: 123ms }",
            ),
            (Fault::Freeze(service, 7, time), "Congela(Transacciones, 7, 123ms)"),
            (Fault::Restart(service, 7), "Reinicia(Transacciones, 7)"),
            (Fault::Cut(Way::Clients(service), time), "Corta(Clientes(Transacciones), 123ms)"),
            (Fault::Slow(Way::Internal(service), time, time), "Demora(Interna(Transacciones), 123ms, 123ms)"),
            (Fault::Hold(Way::Database, time), "Retiene(Base, 123ms)"),
            (Fault::Replica(service, time), "Replica(Transacciones, 123ms)"),
            (Fault::Disk(time), "Disco(123ms)"),
            (Fault::Clock(service, -7), "Reloj(Transacciones, -7)"),
            (Fault::StopPrimary(Stop::Kill, time), "Cae(Mata, 123ms)"),
            (Fault::StopStandby(time), "SinEspejo(123ms)"),
            (Fault::Promote(Stop::Immediate, time), "Promueve(Inmediata, 123ms)"),
            (Fault::Promote(Stop::Fast, time), "Promueve(Rapida, 123ms)"),
        ] {
            assert_eq!(fault.to_string(), text);
        }
    }

    #[test]
    fn a_seed_repeats_and_holds_every_kind_of_fault() {
        for (postgres, kinds) in [(false, 9), (true, 12)] {
            let some = |seed| Plan::new(seed, postgres).take(500).collect::<Vec<_>>();
            assert_eq!(some(7), some(7));
            assert_ne!(some(7), some(8));
            let found: std::collections::HashSet<_> =
                some(7).iter().map(|(_, f)| std::mem::discriminant(f)).collect();
            assert_eq!(found.len(), kinds);
        }
    }
}
