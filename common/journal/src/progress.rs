//! Says once a second what takes long while a store is read, so that a start is never silent.

use std::time::{Duration, Instant};

/// Between two messages.
const EVERY: Duration = Duration::from_secs(1);
/// The clock is looked at once in so many records: a look costs as much as reading a small one.
const RECORDS: u32 = 256;

/// Where a reader says how far it is.
pub(super) struct Progress<'a> {
    now: Box<dyn Fn() -> Instant + 'a>,
    say: Box<dyn FnMut(String) + 'a>,
    began: Instant,
    said: Instant,
    records: u32,
}

impl<'a> Progress<'a> {
    /// Says it in the log, under the store's name.
    pub(super) fn logged(store: &'a str) -> Self {
        Self::new(Box::new(Instant::now), Box::new(move |what| log::info!("{store}: {what}")))
    }

    fn new(now: Box<dyn Fn() -> Instant + 'a>, say: Box<dyn FnMut(String) + 'a>) -> Self {
        let began = now();
        Self { now, say, began, said: began, records: 0 }
    }

    /// A record has been read.
    pub(super) fn record(&mut self, what: impl FnOnce() -> String) {
        self.records += 1;
        if self.records >= RECORDS {
            self.step(what);
        }
    }

    /// Something larger than a record has been done.
    pub(super) fn step(&mut self, what: impl FnOnce() -> String) {
        self.records = 0;
        let now = (self.now)();
        if now.saturating_duration_since(self.said) >= EVERY {
            self.said = now;
            let seconds = now.saturating_duration_since(self.began).as_secs();
            (self.say)(format!("{}, {seconds} s so far", what()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn a_long_read_is_told_of_once_a_second_and_a_short_one_never() {
        let (began, passed, told) = (Instant::now(), Cell::new(0), RefCell::new(Vec::new()));
        let clock = || began + Duration::from_millis(passed.get());
        let mut progress = Progress::new(Box::new(clock), Box::new(|what| told.borrow_mut().push(what)));
        // a record a millisecond
        for record in 1..=3500 {
            passed.set(record);
            progress.record(|| format!("{record} records"));
            assert!(record >= 1000 || told.borrow().is_empty(), "{told:?} after {record} ms");
        }
        drop(progress);
        let told = told.into_inner();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].ends_with("records, 1 s so far") && told[2].ends_with("3 s so far"), "{told:?}");
    }
}
