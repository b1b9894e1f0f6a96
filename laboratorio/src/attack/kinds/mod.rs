//! The kinds of attack, one file each, in the order in which they run; `row` is the row of the list in issue 11 and in
//! `docs/LIMITS.md`'s tables.

mod audits;
mod bad_queries;
mod frames;
mod frozen;
mod garbage;
mod hosts;
mod keys;
mod listeners;
mod modes;
mod names;
mod pictures;
mod records;
mod redis;
mod searches;
mod slow;
mod unread;

use super::arena::{Arena, Service};
use super::seen::Seen;
use std::pin::Pin;

/// Attacks the market, and says what it saw.
pub type Attack = for<'a> fn(&'a mut Arena) -> Attacking<'a>;
/// An attack under way.
pub type Attacking<'a> = Pin<Box<dyn Future<Output = Result<Seen, String>> + 'a>>;

/// A kind of attack.
pub struct Kind {
    /// Its row in the list.
    pub row: u8,
    /// Its name on the command line.
    pub name: &'static str,
    /// What does it.
    pub how: How,
    /// Services that it stops, whose probes cannot answer.
    pub silent: &'static [Service],
    /// Whether nobody can buy meanwhile.
    pub no_purchases: bool,
}

/// What attacks.
pub enum How {
    /// This laboratory.
    Attack(Attack),
    /// Something else, in Spanish and in English.
    Elsewhere(&'static str, &'static str),
}

const fn kind(row: u8, name: &'static str, attack: Attack) -> Kind {
    Kind { row, name, how: How::Attack(attack), silent: &[], no_purchases: false }
}

const fn elsewhere(row: u8, name: &'static str, es: &'static str, en: &'static str) -> Kind {
    Kind { row, name, how: How::Elsewhere(es, en), silent: &[], no_purchases: false }
}

/// All of them. The one that fills the store comes last: after it there is room for nothing else.
pub const KINDS: &[Kind] = &[
    kind(2, "sin-leer", |arena| Box::pin(unread::attack(arena))),
    kind(3, "oyentes", |arena| Box::pin(listeners::attack(arena))),
    kind(4, "auditorias", |arena| Box::pin(audits::attack(arena))),
    elsewhere(5, "pasarela", "k8s/check-gateway ataca la pasarela", "k8s/check-gateway attacks the gateway"),
    kind(6, "lentos", |arena| Box::pin(slow::attack(arena))),
    Kind {
        silent: &[Service::Tokens],
        no_purchases: true,
        ..kind(7, "congelado", |arena| Box::pin(frozen::attack(arena)))
    },
    kind(8, "claves", |arena| Box::pin(keys::attack(arena))),
    kind(9, "busquedas", |arena| Box::pin(searches::attack(arena))),
    kind(10, "destinos", |arena| Box::pin(hosts::attack(arena))),
    kind(11, "marcos", |arena| Box::pin(frames::attack(arena))),
    kind(12, "consultas", |arena| Box::pin(bad_queries::attack(arena))),
    kind(13, "basura", |arena| Box::pin(garbage::attack(arena))),
    elsewhere(
        14,
        "diario",
        "sin cliente: las pruebas de common/journal",
        "no client's: the tests of common/journal",
    ),
    kind(15, "nombres", |arena| Box::pin(names::attack(arena))),
    kind(16, "archivos", |arena| Box::pin(modes::attack(arena))),
    kind(17, "imagenes", |arena| Box::pin(pictures::attack(arena))),
    kind(18, "redis", |arena| Box::pin(redis::attack(arena))),
    elsewhere(19, "redes", "sin cliente: k8s/check", "no client's: k8s/check"),
    elsewhere(
        20,
        "colas",
        "las pruebas de common/journal y common/pg",
        "the tests of common/journal and common/pg",
    ),
    kind(1, "registros", |arena| Box::pin(records::attack(arena))),
];

/// The names of all kinds.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_list_is_here_once() {
        let mut rows: Vec<_> = KINDS.iter().map(|kind| kind.row).collect();
        rows.sort_unstable();
        assert_eq!(rows, (1..=20).collect::<Vec<_>>());
        let mut names = names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
    }
}
