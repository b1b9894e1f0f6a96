//! What an HTTP service needs around its routes. It says no word of the market: names, errors and ids come from above.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`server`], [`edge`], [`context`] | listening and leaving; what every request has in common |
//! | [`routes`], [`validate`], [`body`], [`paging`] | requests in |
//! | [`reply`], [`problem`] | answers out: ETag, compression, errors |
//! | [`ops`], [`openapi`], [`metrics`], [`logging`] | probes, visits, the API's description, numbers, log lines |
//! | [`config`], [`exit`], [`salud`] | options, exit codes, the subcommand that asks a probe |
//! | [`client`], [`internal`] | calls to another service, and the guard of the port that takes them |

pub mod body;
pub mod client;
pub mod config;
pub mod context;
pub mod edge;
pub mod exit;
pub mod internal;
pub mod logging;
pub mod metrics;
pub mod openapi;
pub mod ops;
pub mod paging;
pub mod problem;
pub mod reply;
pub mod routes;
pub mod salud;
pub mod server;
pub mod validate;
