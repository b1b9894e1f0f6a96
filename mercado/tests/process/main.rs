//! The real binary, as the README starts it: on a fresh directory, with signals and kills from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod accounts;
mod death;
mod description;
mod directory;
mod dump;
mod exit;
mod first_start;
mod full;
mod helpers;
mod journal;
mod migrar;
mod page;
mod pictures;
mod postgres;
mod replicas;
mod salud;
mod searches;
