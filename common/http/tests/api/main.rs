//! The edge over HTTP: a small service, started for real on port 0.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]
#![allow(missing_docs, reason = "a test's own service")]

mod description;
mod edge;
mod helpers;
mod limits;
mod origins;
mod problems;
mod representation;
mod requests;
#[path = "../service/mod.rs"]
mod service;
