//! Accounts at work: logging in, sessions, and what an account does with itself.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`directory`] | the operations, without HTTP |
//! | `demo` | the accounts of the sample market |
//! | `first` | the accounts that a market without any begins with |
//! | [`hasher`] | passwords and their hashes, a few at once |
//! | [`limiter`] | how often one may try |
//! | [`signing`] | the keys that sign sessions |
//! | [`charges`] | the store of debits, where a debit needs a session that lasts |
//! | [`options`] | what can be set |

pub mod charges;
mod demo;
pub mod directory;
mod first;
pub mod hasher;
pub mod limiter;
pub mod options;
pub mod signing;
