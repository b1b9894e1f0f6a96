//! `usuarios`: people and their balance; a participant in purchases.
//!
//! `routes -> service -> (domain, store)`; [`app`] is the only wiring, [`config`] what can be set.

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod routes;
pub mod service;
pub mod store;
