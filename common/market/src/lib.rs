//! What the services of the market share.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`domain`], [`clock`] | ids, money, claves and attempts: values that are legal once parsed; what the time is |
//! | [`index`] | records found by a clave or an attempt, without a second copy of it |
//! | [`codes`] | the table of the market's errors |
//! | [`contract`] | what `transacciones` and the participants say to each other |
//! | [`participant`] | a participant: its law, its routes, and its calls over HTTP and in process |
//! | [`accounts`] | who may do what: sessions, their tokens, and the table of rules |
//! | [`fields`], [`openapi`], [`columns`] | the domain's values in requests, in the API's description, in tables |
//! | [`store`], [`backend`], [`memory`] | how a service opens its store of either kind; what a host does with it; what there is for it |
//! | [`moving`] | a market from one store to another |
//! | [`host`] | a process: stores and ports |

pub mod accounts;
pub mod backend;
pub mod clock;
pub mod codes;
pub mod columns;
pub mod contract;
pub mod domain;
pub mod fields;
pub mod host;
pub mod index;
pub mod memory;
pub mod moving;
pub mod openapi;
pub mod participant;
pub mod store;
