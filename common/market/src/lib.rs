//! What the services of the market share.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`domain`], [`clock`] | ids, money, claves and attempts: values that are legal once parsed; what the time is |
//! | [`codes`] | the table of the market's errors |
//! | [`contract`], [`tries`] | what `transacciones` and the participants say to each other |
//! | [`fields`], [`openapi`], [`columns`] | the domain's values in requests, in the API's description, in tables |
//! | [`store`], [`moving`] | how a service opens its store of either kind; a market from one store to another |
//! | [`host`] | what a service's `app` wires |

pub mod clock;
pub mod codes;
pub mod columns;
pub mod contract;
pub mod domain;
pub mod fields;
pub mod host;
pub mod moving;
pub mod openapi;
pub mod store;
pub mod tries;
