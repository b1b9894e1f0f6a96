//! Who may do what. `--cuentas=no` is the market of a class, in which everybody says who they are; with `--cuentas=si` people
//! log in at `usuarios`, and each service looks at their tokens by itself.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mode`] | the options, and which of the two modes a process has |
//! | [`rules`] | the one table of what each role may do: checks, description, page and test are made of it |
//! | [`token`] | what a token says, and its form: a JWT signed with Ed25519 |
//! | [`verifier`] | the public keys, and the tokens that were verified |
//! | [`fetch`] | the public keys of `usuarios`, for the other services |
//! | [`caller`] | the check before each handler, and what a handler learns of who asks |

pub mod caller;
pub mod fetch;
pub mod mode;
pub mod rules;
pub mod token;
pub mod verifier;

pub use caller::{Accounts, Buyer, Caller, Sessions};
pub use mode::{AccountOptions, Mode};
