//! `transacciones`: purchases. It asks `tokens` for a reservation and `usuarios` for a debit, and its own store decides.
//!
//! `routes -> service -> (domain, store, purchase -> market::participant)`:
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`purchase`] | the purchase as a pure state machine, and the runner that gives it real events |
//! | [`recovery`] | settles what a killed coordinator left behind |
//! | [`audit`] | holds the three services against each other |
//! | [`store`] | the coordinator's word: transactions and aborted attempts |
//! | [`service`] | all of that behind one door |
//! | [`routes`], [`app`], [`config`] | HTTP, wiring, options |

pub mod app;
pub mod audit;
pub mod config;
pub mod domain;
pub mod error;
pub mod purchase;
pub mod recovery;
pub mod routes;
pub mod service;
pub mod store;
