//! `transacciones`: purchases. It asks `tokens` for a reservation and `usuarios` for a debit, and its own store decides.
//!
//! `routes -> service -> (domain, store, purchase -> market::participant)`:
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`purchase`] | the purchase as a pure state machine, and the runner that gives it real events |
//! | [`recovery`] | settles what a killed coordinator left |
//! | [`forgetting`] | forgets the keys of refused purchases after a day |
//! | [`audit`] | holds the three services against each other |
//! | [`breaker`] | what spares a participant that does not answer |
//! | [`feed`] | purchases as they commit, for any number of readers |
//! | [`store`] | the coordinator's word: transactions and aborted attempts |
//! | [`service`] | what clients can ask for: all of the above, without HTTP |
//! | [`routes`], [`app`], [`config`] | HTTP, wiring, options |

pub mod app;
pub mod audit;
pub mod breaker;
pub mod complaint;
pub mod config;
pub mod domain;
pub mod error;
pub mod feed;
pub mod forgetting;
pub mod purchase;
pub mod recovery;
pub mod routes;
pub mod service;
pub mod store;
