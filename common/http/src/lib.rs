//! What an HTTP service needs around its routes. It says no word of the market: names, errors and ids come from above.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`server`], `gate`, `stream`, [`connection`] | listening and leaving; who is let in, and what a slow client may hold |
//! | [`edge`], [`context`] | what every request has in common |
//! | [`access`] | who asks, and the check that stands before every handler |
//! | [`routes`], [`mod@request`], [`validate`], [`body`], [`name`], [`paging`] | requests in |
//! | [`reply`], [`mod@file`], [`problem`] | answers out: ETag, compression, files, errors |
//! | [`ops`], [`openapi`], [`metrics`], [`logging`] | probes, visits, the API's description, numbers, log lines |
//! | [`config`], [`exit`], [`salud`] | options, exit codes, the subcommand that asks a probe |
//! | [`client`], [`internal`] | calls to another service, and the guard of the port that takes them |

pub mod access;
pub mod body;
pub mod client;
pub mod config;
pub mod connection;
pub mod context;
pub mod edge;
pub mod exit;
pub mod file;
mod gate;
pub mod internal;
pub mod logging;
pub mod metrics;
pub mod name;
pub mod openapi;
pub mod ops;
pub mod paging;
pub mod problem;
pub mod reply;
pub mod request;
pub mod routes;
pub mod salud;
pub mod server;
mod stream;
pub mod validate;
