//! A complaint that can come thousands of times a second, and is logged once a second with a count.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines about the same trouble.
const EVERY: Duration = Duration::from_secs(1);

/// One kind of trouble.
#[derive(Debug)]
pub struct Complaint {
    level: log::Level,
    // taken where something went wrong only
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    said: Option<Instant>,
    untold: u64,
}

impl Complaint {
    /// Nothing was said yet.
    pub fn new(level: log::Level) -> Self {
        Self { level, last: Mutex::default() }
    }

    /// Logs the trouble, or counts it where a line was logged within the last second.
    pub fn say(&self, what: &dyn Display) {
        match self.due(Instant::now()) {
            None => {}
            Some(0) => log::log!(self.level, "{what}"),
            Some(untold) => log::log!(self.level, "{what} (and {untold} times since the last such line)"),
        }
    }

    /// How many times nothing was said, where it is time to say something.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.said.is_some_and(|said| now < said + EVERY) {
            last.untold += 1;
            return None;
        }
        last.said = Some(now);
        Some(std::mem::take(&mut last.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_complaints_in_a_second_are_one_line_and_a_count() {
        let (complaint, start) = (Complaint::new(log::Level::Warn), Instant::now());
        assert_eq!(complaint.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(complaint.due(start + EVERY / 2), None);
        }
        assert_eq!(complaint.due(start + EVERY), Some(1000));
        assert_eq!(complaint.due(start + EVERY), None);
    }
}
