//! Is the money still right? Load, faults and a checker that holds the market against every answer it ever gave.
//!
//! ```text
//! cargo run --release -p laboratorio -- escala                                   # 1 to 3 processes of tokens and back
//! cargo run --release -p laboratorio -- caida --servicio tokens                  # a process is killed every five seconds
//! cargo run --release -p laboratorio -- despliegue                               # every process is replaced
//! cargo run --release -p laboratorio -- fallo --en tras-cargo                    # one dies exactly there
//! cargo run --release -p laboratorio -- caos --minutos 10 --semilla 7            # and everything at once
//! cargo run --release -p laboratorio -- caos --store postgres --kills 1000
//! cargo run --release -p laboratorio -- despliegue --ingenuo                     # the shop that everybody writes: red
//! cargo run --release -p laboratorio -- escala --url http://127.0.0.1:8080       # load and judgement only
//! cargo run --release -p laboratorio -- despliegue --k8s mercado --url http://127.0.0.1:8080   # in a cluster
//! cargo run --release -p laboratorio -- aula                                     # break it by hand, in the page
//! cargo run --release -p laboratorio -- comparar A.json B.json
//! cargo run --release -p laboratorio -- revisar DIR                              # judge a history again
//! ```
//!
//! Each run starts the three binaries (in the repository it builds them if they are not beside it) on an empty store, lets
//! customers buy, does something to the market meanwhile, and then the [`checker`] reads the market over its API and from its
//! files or tables. The exit code is the verdict: 0 right, 1 a rule is broken, 2 it could not be run or judged, or was stopped
//! early, 64 bad options. The first Ctrl-C ends the load, undoes what was done, judges and reports; the second one ends at once.
//!
//! In an [`experiment`] customers come at a fixed rate ([`load`]), to a market as it runs in a cluster: several processes of
//! each service behind a [`gateway`] ([`local`]). In [`chaos`] each customer waits for an answer, and a seed's schedule of
//! [`plan::Fault`]s kills, freezes and restarts processes, cuts, slows and holds connections, runs second replicas, fills the
//! disk, and stops PostgreSQL or promotes its standby.
//!
//! The seed repeats the schedule and what each customer asks for, not the machine's timing: a red run's evidence is its
//! directory, with the history (one JSON line for each request and each fault), the market as it was at the end, its
//! data and its logs, and the [`report`].
//!
//! | what | where |
//! | --- | --- |
//! | the command line, what it says and in which language | [`options`], [`help`], [`screen`], [`words`], [`stop`] |
//! | the rules, and who breaks them | [`checker`] |
//! | the history's lines; what a market shows of itself | [`history`]; [`shown`] |
//! | the experiments | [`experiment`] |
//! | customers at a fixed rate, and what they met | [`load`], [`measure`], [`http`], [`wire`] |
//! | the report | [`report`] |
//! | several processes behind a gateway | [`local`], [`gateway`], [`programs`] |
//! | the market in a cluster, and what an experiment can do to either | [`cluster`], [`site`] |
//! | the market with controls in its page | [`classroom`] |
//! | the chaos, and its schedule of faults | [`chaos`], [`plan`] |
//! | its processes, network, disk and PostgreSQL | [`world`], [`child`], [`slot`], [`proxy`], [`disk`], [`clock`], [`database`] |
//! | its customers | [`customers`] |
//! | accounts and sessions, where people log in | [`people`] |
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

/// Writes a line of complaint. Whoever closed that end, or has no room for it, hears nothing; the exit code says it as well.
#[macro_export]
macro_rules! complain {
    ($($word:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($word)*);
    }};
}

pub mod attack;
pub mod chance;
pub mod chaos;
pub mod checker;
pub mod child;
pub mod classroom;
pub mod clock;
pub mod cluster;
pub mod customers;
pub mod database;
pub mod disk;
pub mod experiment;
pub mod gateway;
pub mod help;
pub mod history;
pub mod http;
pub mod load;
pub mod local;
pub mod measure;
pub mod naive;
pub mod options;
pub mod people;
pub mod plan;
pub mod programs;
pub mod proxy;
pub mod reading;
pub mod report;
pub mod screen;
pub mod shown;
pub mod site;
pub mod slot;
pub mod stop;
pub mod wire;
pub mod words;
pub mod world;
