//! `tokens`: the catalogue; a participant in purchases.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`app`], [`config`] | the only wiring, and what can be set |
//! | [`routes`] | HTTP: one file for each path |
//! | [`cache`] | finished pages of the list, each valid for one state of the store |
//! | [`service`] | the operations, without HTTP |
//! | [`domain`], [`store`] | what a token is; where all of them are, with the indexes over them |
//! | [`imagenes`], [`dibujo`] | a token's picture: its file, or one drawn from its name |
//! | [`error`] | why not |

pub mod app;
pub mod cache;
pub mod config;
pub mod dibujo;
pub mod domain;
pub mod error;
pub mod imagenes;
pub mod routes;
pub mod service;
pub mod store;
