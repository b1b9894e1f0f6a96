//! `tokens`: the catalogue; a participant in purchases.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`app`], [`config`] | the only wiring, and what can be set |
//! | [`routes`] | HTTP: one file for each path |
//! | [`cache`] | finished pages of the list, each valid for one state of the store |
//! | [`store`] | the operations, without HTTP: their law, and the two stores that keep it, in files and in a database |
//! | [`domain`] | what a token is |
//! | [`collation`] | names as they are searched and as they are sorted |
//! | [`pictures`], [`drawing`] | a token's picture: its file, or one drawn from its name |
//! | [`error`] | why an operation is refused |

pub mod app;
pub mod cache;
pub mod collation;
pub mod config;
pub mod domain;
pub mod drawing;
pub mod error;
pub mod pictures;
pub mod routes;
pub mod store;
