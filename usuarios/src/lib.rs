//! `usuarios`: people and their balance; a participant in purchases.
//!
//! `routes -> store -> domain`; [`app`] is the only wiring, [`config`] what can be set.

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod routes;
pub mod store;
