//! Which fault comes when: a seed's schedule, the same in every run.

use crate::azar::Azar;
use rustix::process::Signal;
use std::time::Duration;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Servicio {
    Usuarios,
    Tokens,
    Transacciones,
}

impl Servicio {
    /// In the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Usuarios, Self::Tokens, Self::Transacciones];

    /// Its binary and its directory.
    pub const fn nombre(self) -> &'static str {
        match self {
            Self::Usuarios => "usuarios",
            Self::Tokens => "tokens",
            Self::Transacciones => "transacciones",
        }
    }
}

/// A way through the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From the clients to a service.
    Clientes(Servicio),
    /// From `transacciones` to a participant.
    Interna(Servicio),
    /// From the services to PostgreSQL.
    Base,
}

/// How PostgreSQL stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parada {
    /// SIGKILL.
    Mata,
    /// "Immediate": as a crash, all sessions at once.
    Inmediata,
    /// "Fast": as an operator does; sessions are told.
    Rapida,
}

impl Parada {
    /// What its first process is sent.
    pub const fn signal(self) -> Signal {
        match self {
            Self::Mata => Signal::KILL,
            Self::Inmediata => Signal::QUIT,
            Self::Rapida => Signal::INT,
        }
    }
}

/// What goes wrong. Times are how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Falla {
    /// SIGKILL.
    Mata {
        /// Of which service.
        servicio: Servicio,
        /// Of a hundred: which of the replicas that run.
        cual: u64,
        /// Until another is started: a purchase's deadline is 3 s.
        abajo: Duration,
    },
    /// SIGSTOP, then SIGCONT.
    Congela(Servicio, u64, Duration),
    /// SIGTERM, and started again.
    Reinicia(Servicio, u64),
    /// Connections end.
    Corta(Via, Duration),
    /// Each piece comes later by the first.
    Demora(Via, Duration, Duration),
    /// Nothing comes through, and then all.
    Retiene(Via, Duration),
    /// One replica more on the same directory for so long; on PostgreSQL, where there are three, one less.
    Replica(Servicio, Duration),
    /// No space on the disk.
    Disco(Duration),
    /// The clock of a service is so many seconds off from now on.
    Reloj(Servicio, i64),
    /// PostgreSQL's primary stops, and is started after so long.
    Cae(Parada, Duration),
    /// Its standby is killed for so long.
    SinEspejo(Duration),
    /// The primary stops for good, and after so long its standby is promoted.
    Promueve(Parada, Duration),
}

/// The schedule of a seed: what comes next, and how long after the one before.
pub struct Plan {
    azar: Azar,
    postgres: bool,
}

impl Plan {
    /// Of this seed, against files or PostgreSQL.
    pub fn new(semilla: u64, postgres: bool) -> Self {
        Self { azar: Azar::new(semilla, u64::MAX), postgres }
    }

    fn servicio(&mut self) -> Servicio {
        // the coordinator is where most can go wrong
        match self.azar.between(1..=4) {
            1 => Servicio::Usuarios,
            2 => Servicio::Tokens,
            _ => Servicio::Transacciones,
        }
    }

    fn via(&mut self) -> Via {
        match self.azar.between(1..=if self.postgres { 10 } else { 7 }) {
            1 | 2 => Via::Interna(Servicio::Usuarios),
            3 | 4 => Via::Interna(Servicio::Tokens),
            5 => Via::Clientes(Servicio::Usuarios),
            6 => Via::Clientes(Servicio::Tokens),
            7 => Via::Clientes(Servicio::Transacciones),
            _ => Via::Base,
        }
    }

    /// What PostgreSQL has besides; it is `None` as often as the rest should come.
    fn base(&mut self) -> Option<Falla> {
        let azar = &mut self.azar;
        let como = match azar.between(1..=4) {
            1 | 2 => Parada::Mata,
            3 => Parada::Inmediata,
            _ => Parada::Rapida,
        };
        let most = if azar.percent(20) { 3000 } else { 300 };
        Some(match azar.between(1..=100) {
            1..=14 => Falla::Cae(como, azar.millis(0..=most)),
            15..=22 => Falla::Promueve(como, azar.millis(0..=most)),
            23..=26 => Falla::SinEspejo(azar.millis(0..=most)),
            _ => return None,
        })
    }
}

impl Iterator for Plan {
    type Item = (Duration, Falla);

    fn next(&mut self) -> Option<Self::Item> {
        let wait = self.azar.millis(50..=900);
        if self.postgres
            && let Some(falla) = self.base()
        {
            return Some((wait, falla));
        }
        let (servicio, via, cual) = (self.servicio(), self.via(), self.azar.between(1..=100));
        let azar = &mut self.azar;
        let falla = match azar.between(1..=100) {
            1..=50 => {
                let most = if azar.percent(15) { 5000 } else { 300 };
                Falla::Mata { servicio, cual, abajo: azar.millis(0..=most) }
            }
            51..=60 => Falla::Congela(servicio, cual, azar.millis(50..=2500)),
            61..=66 => Falla::Reinicia(servicio, cual),
            67..=74 => Falla::Corta(via, azar.millis(1..=1500)),
            75..=82 => Falla::Demora(via, azar.millis(5..=200), azar.millis(500..=3000)),
            83..=88 => Falla::Retiene(via, azar.millis(100..=2500)),
            89..=94 => {
                let which = if azar.percent(50) { Servicio::Tokens } else { Servicio::Transacciones };
                Falla::Replica(which, azar.millis(2000..=12_000))
            }
            95 | 96 => Falla::Disco(azar.millis(500..=3000)),
            _ => Falla::Reloj(servicio, azar.between(0..=7200).cast_signed() - 3600),
        };
        Some((wait, falla))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
