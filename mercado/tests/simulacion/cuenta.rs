//! What happened in a run: its trace, and how often each thing that the simulation is there for was seen.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What is counted. `main.rs` says how much of each a run of many seeds must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    // the network
    RequestLost,
    AnswerLost,
    Repeated,
    Slow,
    /// Delivered after its sender had given up.
    Late,
    /// Delivered to a process that was not there when it was sent.
    LateToAnother,
    ConnectionRefused,
    Unreadable,
    HungUp,
    Cut,
    // processes
    Killed,
    KilledInside,
    PowerFailed,
    Frozen,
    CleanStop,
    NotOpened,
    // disks and clocks
    DiskFailed,
    Latched,
    Reopened,
    ClockJumped,
    Compacted,
    // purchases
    Asked,
    Bought,
    Replayed,
    Refused,
    PriceChanged,
    KeyMisused,
    NoAnswer,
    NoStore,
    Overtaken,
    /// Nobody but recovery can have aborted it: its key was sent once.
    AbortedAlive,
    /// Bought, and whoever bought it never said so.
    CommittedThenSilent,
    LaterAttempt,
    ConfirmedByRecovery,
    CancelledByRecovery,
    Abono,
    TokenEdited,
    /// While everything went on.
    Audited,
}

/// A run's trace and counts.
#[derive(Default)]
pub struct Account {
    hash: u64,
    pub events: u64,
    pub seen: BTreeMap<Seen, u64>,
    pub violations: Vec<String>,
    print: bool,
    line: String,
}

impl Account {
    pub fn new(print: bool) -> Self {
        Self { print, ..Self::default() }
    }

    pub fn note(&mut self, at: u128, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        let _ = write!(self.line, "{at:>7} {what}");
        self.events += 1;
        for byte in self.line.bytes() {
            // FNV-1a
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.print {
            println!("{}", self.line);
        }
    }

    pub fn count(&mut self, seen: Seen) {
        self.add(seen, 1);
    }

    pub fn add(&mut self, seen: Seen, times: u64) {
        *self.seen.entry(seen).or_default() += times;
    }

    pub fn violation(&mut self, what: String) {
        if self.print {
            println!("VIOLATION {what}");
        }
        self.violations.push(what);
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}
