//! `mercado`: the three services in one process, on one port. What `cargo run` starts.
//!
//! The same routes, services, stores and recovery as in three pods; only the purchase's calls to its participants do not cross
//! a network ([`market::participant::Local`]). And the page ([`web`]), and what is done to a market that is stopped
//! ([`journal`], [`migrar`]).

pub mod app;
pub mod config;
pub mod journal;
pub mod migrar;
pub mod web;
