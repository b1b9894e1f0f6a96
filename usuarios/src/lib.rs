//! `usuarios`: people and their balance; a participant in purchases.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`app`], [`config`] | the only wiring, and what can be set |
//! | [`accounts`] | who may log in: sessions, passwords, keys |
//! | [`command`] | the same from a command line |
//! | [`routes`] | HTTP: one file for each path |
//! | [`store`] | the operations, without HTTP: their law, and the two stores that keep it, in files and in a database |
//! | [`domain`] | what a user is, and a line of the ledger |
//! | [`error`] | why an operation is refused |

pub mod accounts;
pub mod app;
pub mod command;
pub mod config;
pub mod domain;
pub mod error;
pub mod routes;
pub mod store;
