//! Which fault comes when: a seed's schedule, the same in every run.

use crate::azar::Azar;
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
}

/// What goes wrong. Times are how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Falla {
    /// SIGKILL; `segunda` is the second replica, where there is one.
    Mata {
        /// Which.
        servicio: Servicio,
        /// Which replica.
        segunda: bool,
        /// Until another is started: a purchase's deadline is 3 s.
        abajo: Duration,
    },
    /// SIGSTOP, then SIGCONT.
    Congela(Servicio, bool, Duration),
    /// SIGTERM, and started again.
    Reinicia(Servicio, bool),
    /// Connections end.
    Corta(Via, Duration),
    /// Each piece comes later by the first.
    Demora(Via, Duration, Duration),
    /// Nothing comes through, and then all.
    Retiene(Via, Duration),
    /// A second process on the same directory.
    Replica(Servicio, Duration),
    /// No space on the disk.
    Disco(Duration),
    /// The clock of a service is so many seconds off from now on.
    Reloj(Servicio, i64),
}

/// The schedule of a seed: what comes next, and how long after the one before.
pub struct Plan(Azar);

impl Plan {
    /// Of this seed.
    pub fn new(semilla: u64) -> Self {
        Self(Azar::new(semilla, u64::MAX))
    }

    fn servicio(&mut self) -> Servicio {
        // the coordinator is where most can go wrong
        match self.0.between(1..=4) {
            1 => Servicio::Usuarios,
            2 => Servicio::Tokens,
            _ => Servicio::Transacciones,
        }
    }

    fn via(&mut self) -> Via {
        match self.0.between(1..=7) {
            1 | 2 => Via::Interna(Servicio::Usuarios),
            3 | 4 => Via::Interna(Servicio::Tokens),
            5 => Via::Clientes(Servicio::Usuarios),
            6 => Via::Clientes(Servicio::Tokens),
            _ => Via::Clientes(Servicio::Transacciones),
        }
    }
}

impl Iterator for Plan {
    type Item = (Duration, Falla);

    fn next(&mut self) -> Option<Self::Item> {
        let wait = self.0.millis(50..=900);
        let (servicio, via, segunda) = (self.servicio(), self.via(), self.0.percent(50));
        let azar = &mut self.0;
        let falla = match azar.between(1..=100) {
            1..=50 => {
                let most = if azar.percent(15) { 5000 } else { 300 };
                Falla::Mata { servicio, segunda, abajo: azar.millis(0..=most) }
            }
            51..=60 => Falla::Congela(servicio, segunda, azar.millis(50..=2500)),
            61..=66 => Falla::Reinicia(servicio, segunda),
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
        let some = |seed| Plan::new(seed).take(500).collect::<Vec<_>>();
        assert_eq!(some(7), some(7));
        assert_ne!(some(7), some(8));
        let kinds: std::collections::HashSet<_> =
            some(7).iter().map(|(_, f)| std::mem::discriminant(f)).collect();
        assert_eq!(kinds.len(), 9);
    }
}
