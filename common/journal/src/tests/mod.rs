//! What only the inside can show.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `machine` | a disk in memory (`journal::memory`), with what was promised of it |
//! | `model`, `actor` | what is written, and one process that writes it, without threads |
//! | `ledger` | what was promised, and whether a state keeps it |
//! | `run` | the run of several processes that everything is tried on |
//! | `survey` | every disk that a power failure in a run can leave, and a start on each |
//! | `crash` | the tests with these: power failures, failing calls, kills, seeded bugs |
//! | `damage` | a flipped byte |
//! | `faults` | single failures through the public handle, with its threads |
//! | `disk` | the disk in memory for other crates |
//! | `history` | any run, any crash and any damage, as the bytes of a fuzzer say |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]
#![cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets use a part of it"))]

mod actor;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(feature = "simulation")]
pub(super) mod disk;
#[cfg(test)]
mod faults;
pub(super) mod history;
mod ledger;
mod machine;
mod model;
mod run;
mod survey;
