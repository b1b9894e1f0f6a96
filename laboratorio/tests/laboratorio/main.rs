//! Real processes, seconds of faults, and a verdict.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

mod accounts;
mod api_server;
mod chaos;
mod cluster;
mod experiments;
mod helpers;
