//! Is the money still right? Load, faults and a checker that holds the market against every answer it ever gave.
//!
//! ```text
//! cargo run --release -p laboratorio -- caos --local --minutos 10 --semilla 7
//! cargo run --release -p laboratorio -- caos --local --kills 1000
//! cargo run --release -p laboratorio -- caos --local --store postgres --minutos 10
//! cargo run --release -p laboratorio -- caos --local --minutos 0.25 --ingenuo    # the shop that everybody writes: red
//! cargo run --release -p laboratorio -- revisar DIR                              # judge a history again
//! ```
//!
//! A run starts the three binaries (it builds them if they are not beside it) on an empty store, files or PostgreSQL, behind
//! proxies that stand in for the network. Customers buy, mostly with keys that they repeat until there is an answer for good, while a
//! seed's schedule of [`plan::Fault`]s kills, freezes and restarts processes, cuts, slows and holds connections, runs
//! second replicas, fills the disk, and stops PostgreSQL or promotes its standby. Then the faults stop, recovery has its
//! time, and the [`checker`] reads the market over its API and from its files or tables. The exit code is the verdict: 0 green, 1 red, 2 it could not be run.
//!
//! The seed repeats the schedule and what each customer asks for, not the machine's timing: a red run's evidence is its
//! directory, with the history (one JSON line for each request and each fault), the market as it was at the end, its
//! data and its logs.
//!
//! | what | where |
//! | --- | --- |
//! | the rules, and who breaks them | [`checker`] |
//! | the history's lines | [`history`] |
//! | the run | [`chaos`] |
//! | the schedule of faults | [`plan`] |
//! | processes, network and disk | [`world`], [`slot`], [`proxy`], [`disk`] |
//! | PostgreSQL | [`database`] |
//! | the customers | [`customers`], [`http`] |
//! | the market at the end | [`reading`] |
//! | the shop that everybody writes | [`naive`] |
//! | attacks of clients | [`attack`] |
//!
//! Where the machine does not allow a fault, the run says that it is skipped: the full disk needs a user who may mount,
//! the jumping clock needs Debian's package `faketime` (or
//! `LIBFAKETIME`, a path to its library). A process that is killed leaves its writes in the page cache, so
//! nothing here tells whether they were synced: the journal's own tests do, with a disk that forgets.

/// Prints a line. A reader that has gone, as in `| head -1`, is no error: a run goes on, and its exit code is the verdict.
#[macro_export]
macro_rules! say {
    ($($word:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($word)*);
    }};
}

pub mod attack;
pub mod chance;
pub mod chaos;
pub mod checker;
pub mod customers;
pub mod database;
pub mod disk;
pub mod history;
pub mod http;
pub mod naive;
pub mod plan;
pub mod proxy;
pub mod reading;
pub mod slot;
pub mod world;
