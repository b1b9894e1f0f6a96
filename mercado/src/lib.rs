//! `mercado`: the three services in one process, on one port. What `cargo run` starts.
//!
//! The same routes, services, stores and recovery as in three pods; only the purchase's calls to its participants
//! ([`local`]) do not cross a network. And the page ([`web`]), and what is done to a market that is stopped ([`journal`],
//! [`migrar`]).

pub mod app;
pub mod config;
pub mod journal;
pub mod local;
pub mod migrar;
pub mod web;
