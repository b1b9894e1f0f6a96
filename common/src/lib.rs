//! What two services use.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`domain`] | ids, money, claves and attempts: values that are legal once parsed |
//! | [`contract`] | what `transacciones` and the participants say to each other |
//! | [`journal`], [`postgres`], [`store`] | the two kinds of store, and how a service opens its own |
//! | [`moving`] | a market from one store to another of any kind |
//! | [`problem`] | the table of errors and how they look on the wire |
//! | [`validate`], [`body`], [`paging`], [`routes`] | requests in |
//! | [`reply`] | answers out: ETag, compression |
//! | [`edge`], [`context`], [`metrics`], [`logging`] | what every request has in common |
//! | [`ops`], [`openapi`] | probes, visits, metrics and the API's description |
//! | [`salud`] | the subcommand that asks a probe, for containers without a shell |
//! | [`config`], [`server`], [`host`] | options; listening and leaving; what a service's `app` wires |
//! | [`redis`] | what may be lost, shared by pods |
//! | [`client`] | calls to another service |
//! | [`clock`] | what the time is |
//! | [`internal`] | the guard of the internal port |
//! | `testing` | what the services' tests share (feature `testing`) |

pub mod body;
pub mod client;
pub mod clock;
pub mod config;
pub mod context;
pub mod contract;
pub mod domain;
pub mod edge;
pub mod host;
pub mod internal;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod moving;
pub mod openapi;
pub mod ops;
pub mod paging;
pub mod postgres;
pub mod problem;
pub mod redis;
pub mod reply;
pub mod routes;
pub mod salud;
pub mod server;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod validate;
