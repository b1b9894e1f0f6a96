//! The real binary, as the README starts it: on a fresh directory, with signals and kills from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod descripcion;
mod diario;
mod helpers;
mod migrar;
mod muerte;
mod pagina;
mod postgres;
mod primera_vez;
mod replicas;
mod salida;
mod salud;
