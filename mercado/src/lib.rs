//! `mercado`: the three services in one process, on one port. What `cargo run` starts.
//!
//! The same routes, services, stores and recovery as in three pods; only the purchase's calls to its participants
//! ([`local`]) do not cross a network.

pub mod app;
pub mod config;
pub mod journal;
pub mod local;
