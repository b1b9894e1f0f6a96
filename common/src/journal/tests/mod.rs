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

mod actor;
mod crash;
mod damage;
mod faults;
mod ledger;
mod machine;
mod model;
mod run;
mod survey;
