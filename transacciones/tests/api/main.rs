//! The coordinator as its clients meet it: the three services are started for real, on free ports and a directory of
//! their own, with HTTP between them. One file for each path; `compra` has the protocol, and `fallos`, `recuperacion` and
//! `muerte` put trouble in its way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod audit;
mod compra;
mod death;
mod events;
mod faults;
mod helpers;
mod options;
mod process;
mod proxy;
mod recovery;
mod transacciones;
