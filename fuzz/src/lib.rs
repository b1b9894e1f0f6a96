//! What is claimed of whatever reads bytes from outside: each function takes any bytes, and panics where a claim is false.
//!
//! Fuzz targets (`fuzz_targets/`, one line each) and `mercado/tests/fuzz` run the same functions: the former on what libFuzzer
//! makes up, the latter on the corpus and on mutations of it.
//!
//! | function | reads |
//! | --- | --- |
//! | [`journal_reader`] | the files of a store: journal, arrays, mark |
//! | [`journal_history`] | the files that a run of several processes leaves, after failures and damage |
//! | [`records`] | the arrays and journals of the three services, by their own models |
//! | [`bodies`] | JSON bodies and paths of both APIs |
//! | [`lists`] | query strings |
//! | [`headers`] | request headers |
//! | [`options`] | options of the command line, and the values that travel as text |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a claim that is false ends in a panic"
)]
#![allow(missing_docs, reason = "the table above")]

mod files;
mod headers;
mod journal;
mod lists;
mod market;
mod options;
mod records;
mod requests;

pub use ::journal::testing::history as journal_history;
pub use headers::headers;
pub use journal::journal_reader;
pub use lists::lists;
pub use options::options;
pub use records::records;
pub use requests::bodies;

/// A name in `fuzz_targets/` and `corpus/`, and what runs there.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("bodies", bodies),
    ("headers", headers),
    ("journal_history", journal_history),
    ("journal_reader", journal_reader),
    ("lists", lists),
    ("options", options),
    ("records", records),
];
