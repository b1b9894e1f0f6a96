//! What happened in a run: its trace, and how often each thing that the simulation is there for was seen.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What is counted.
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
    /// The abort of a clave.
    Forgotten,
    /// An attempt of a later era bought.
    BoughtInLaterEra,
    Abono,
    TokenEdited,
    /// While everything went on.
    Audited,
}

/// How often each is seen in a thousand seeds, at the least: about a third of what it is. Without this the test could come to
/// test nothing, and nobody would notice.
pub const LEAST: [(Seen, u64); 40] = [
    (Seen::RequestLost, 2000),
    (Seen::AnswerLost, 3000),
    (Seen::Repeated, 2500),
    (Seen::Slow, 4000),
    (Seen::Late, 4000),
    (Seen::LateToAnother, 600),
    (Seen::ConnectionRefused, 6000),
    (Seen::Unreadable, 800),
    (Seen::HungUp, 300),
    (Seen::Cut, 350),
    (Seen::Killed, 300),
    (Seen::KilledInside, 250),
    (Seen::PowerFailed, 180),
    (Seen::Frozen, 300),
    (Seen::CleanStop, 130),
    (Seen::NotOpened, 50),
    (Seen::DiskFailed, 170),
    (Seen::Latched, 120),
    (Seen::Reopened, 90),
    (Seen::ClockJumped, 500),
    (Seen::Compacted, 2000),
    (Seen::Asked, 15_000),
    (Seen::Bought, 1500),
    (Seen::Replayed, 1500),
    (Seen::Refused, 8000),
    (Seen::PriceChanged, 300),
    (Seen::KeyMisused, 150),
    (Seen::NoAnswer, 3000),
    (Seen::NoStore, 250),
    (Seen::Overtaken, 40),
    (Seen::AbortedAlive, 3),
    (Seen::CommittedThenSilent, 40),
    (Seen::LaterAttempt, 400),
    (Seen::ConfirmedByRecovery, 100),
    (Seen::CancelledByRecovery, 1000),
    (Seen::Forgotten, 4000),
    (Seen::BoughtInLaterEra, 1300),
    (Seen::Abono, 2000),
    (Seen::TokenEdited, 500),
    (Seen::Audited, 800),
];

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
