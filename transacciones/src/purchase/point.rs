//! Points of a purchase at which a process can be made to die, so that an experiment can show what is left there and who
//! settles it. `FALLO_EN` names one; without it a purchase compares one value for each of its steps. The feature
//! `fault-points` compiles this in: the laboratory's build and the tests have it, images and `mercado` do not.

use super::{Event, Step};
use clap::ValueEnum;
use std::sync::OnceLock;

/// Where. Each is behind a step whose outcome is durable already, so that the process dies between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Point {
    /// The token is held.
    #[value(name = "tras-reserva")]
    Reserva,
    /// The money is held.
    #[value(name = "tras-cargo")]
    Cargo,
    /// The purchase is committed, and no participant knows it yet.
    #[value(name = "tras-compra")]
    Compra,
    /// The sale is confirmed; the buyer has no answer yet.
    #[value(name = "tras-venta")]
    Venta,
    /// The abort is durable, and the token is still held.
    #[value(name = "tras-aborto")]
    Abort,
    /// The token of the aborted attempt is free again; the buyer has no answer yet.
    #[value(name = "tras-liberacion")]
    Release,
}

static ARMED: OnceLock<Point> = OnceLock::new();

/// From now on the process dies at this point.
pub fn arm(point: Option<Point>) {
    if let Some(point) = point {
        // a process has one configuration
        let _ = ARMED.set(point);
    }
}

/// Ends the process where this is the point, as `kill -9` would: nothing is flushed, nobody is told.
pub fn reached(step: &Step, event: &Event) {
    if ARMED.get().is_some_and(|armed| point(step, event) == Some(*armed)) {
        std::process::abort();
    }
}

fn point(step: &Step, event: &Event) -> Option<Point> {
    match (step, event) {
        (Step::Reserve { .. }, Event::Reserved(_)) => Some(Point::Reserva),
        (Step::Charge { .. }, Event::Charged) => Some(Point::Cargo),
        (Step::Commit { .. }, Event::Committed(_)) => Some(Point::Compra),
        (Step::Confirm { .. }, Event::Done) => Some(Point::Venta),
        (Step::Abort { .. }, Event::Aborted) => Some(Point::Abort),
        (Step::Cancel { .. }, Event::Done) => Some(Point::Release),
        _ => None,
    }
}
