//! The store on a [`Disk`] in memory that fails and forgets, and the crash suite on it.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `disk` | [`Disk`]: what the tests of other crates use |
//! | `memory` | the disk, with a page cache and what is durable below it |
//! | `suite` | the crash suite, and [`history`]: a run of it that a fuzzer makes up |

mod disk;
mod memory;
mod suite;

pub use disk::{Disk, Moment, Survives, Trouble, finish, leave, open_driven};
pub use suite::history::history;
