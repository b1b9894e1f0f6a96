//! The `usuarios` binary as an operator meets it: its options, data that it refuses, signals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod exit;
mod helpers;
mod start;
