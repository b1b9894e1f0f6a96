//! The service over HTTP, started for real; the files mirror the paths.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod description;
mod helpers;
mod internal;
mod persistence;
mod problems;
mod usuarios;
mod usuarios_abonos;
mod usuarios_movimientos;
