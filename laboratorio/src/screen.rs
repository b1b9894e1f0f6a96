//! What a person sees while it runs: a line that changes on a terminal, plain lines where there is none.

use crate::measure::{Glance, Meter};
use crate::t;
use crate::words::{measured, whole};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::convert::Infallible;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at how it goes.
const TICK: Duration = Duration::from_millis(500);
/// Between two plain lines.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);

/// What is next has a line of its own: on 80 columns there is no room for it beside the numbers.
const TEMPLATE: &str = "{elapsed_precise} {bar:16} {prefix}\n{wide_msg}";

/// The terminal, or what stands in for it.
pub struct Screen {
    bar: Option<ProgressBar>,
    start: Instant,
    length: Duration,
    next: Mutex<String>,
    last: Mutex<Instant>,
}

impl Screen {
    /// For a run of this length.
    pub fn new(length: Duration) -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(length.as_secs().max(1)), ProgressDrawTarget::stdout());
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self { bar, start: now, length, next: Mutex::default(), last: Mutex::new(now) }
    }

    /// Something was done.
    pub fn event(&self, what: &str) {
        let at = self.start.elapsed().as_secs_f64();
        match &self.bar {
            Some(bar) => bar.println(format!("{at:6.1} s  {what}")),
            None => say!("{at:6.1} s  {what}"),
        }
    }

    /// What comes next.
    pub fn next(&self, what: String) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// How it goes; `before` is the look before, so long ago.
    pub fn tick(&self, now: Glance, before: Glance, passed: Duration) {
        let said = numbers(now, before, passed);
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let at = self.start.elapsed();
        match &self.bar {
            Some(bar) => {
                bar.set_position(at.min(self.length).as_secs());
                bar.set_prefix(said);
                bar.set_message(next);
            }
            None => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= PLAIN_PAUSE {
                    *last = Instant::now();
                    say!("{:6.1} s  {said}; {next}", at.as_secs_f64());
                }
            }
        }
    }

    /// The line that changes goes.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn numbers(now: Glance, before: Glance, passed: Duration) -> String {
    let rate = (now.operations - before.operations) as f64 / passed.as_secs_f64().max(0.001);
    let (errors, bought, p99) = (whole(now.errors), whole(now.bought), measured(now.p99));
    t!(
        "{rate:.0}/s, {bought} compras, {errors} errores, p99 {p99}",
        "{rate:.0}/s, {bought} purchases, {errors} errors, p99 {p99}"
    )
}

/// Tells how it goes, until nobody asks any more.
pub async fn watch(screen: &Screen, meter: &Meter) -> Infallible {
    let mut before = (meter.glance(), Instant::now());
    loop {
        tokio::time::sleep(TICK).await;
        let now = meter.glance();
        screen.tick(now, before.0, before.1.elapsed());
        before = (now, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_leave_no_room_on_80_columns_and_what_is_next_is_below_them() {
        let none = Glance { operations: 0, errors: 0, bought: 0, p99: 0 };
        let many = Glance { operations: 2_000, errors: 12_345, bought: 250_000, p99: 900_000 };
        let numbers = numbers(many, none, Duration::from_secs(1));
        assert_eq!(numbers, "2000/s, 250\u{a0}000 compras, 12\u{a0}345 errores, p99 900 ms");
        let bar = "00:00:00 ".len() + 16 + 1;
        assert!(bar + numbers.chars().count() <= 80, "{numbers}");
        assert_eq!(TEMPLATE.lines().last(), Some("{wide_msg}"));
    }
}
