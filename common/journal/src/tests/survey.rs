//! Every state that a power failure can leave of a run, and what the store makes of it.

use super::{
    super::{
        Model,
        check::check_on,
        memory::platter::{Choice, Dice, Event, Image, Kept, Plain, Platter, Torn},
    },
    actor::{Actor, DIR, Entry, in_dir},
    ledger::{Checked, Law, Ledger, Violation},
    machine::Machine,
    model::Registro,
};
use std::{
    collections::HashSet,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Tears a write at every so many bytes before it is synced; 0: not at all.
    pub(super) torn: usize,
    /// Random survivors at each sync and rename.
    pub(super) dice: u64,
    /// Crashes again while the store starts after the crash, so often.
    pub(super) again: u32,
    /// Looks at every so many points of the run.
    pub(super) stride: usize,
    pub(super) seed: u64,
}

impl Depth {
    pub(super) const PLAIN: Self = Self { torn: 0, dice: 0, again: 0, stride: 1, seed: 0 };
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Places in a run where the power failed.
    pub(super) points: u64,
    /// Different disks that such a failure left.
    pub(super) disks: u64,
    /// Starts of a store.
    pub(super) starts: u64,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.points += other.points;
        self.disks += other.disks;
        self.starts += other.starts;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} crash points, {} different disks, {} starts", self.points, self.disks, self.starts)
    }
}

/// Fails the power at every point of what was done on a machine.
pub(super) fn survey(machine: &Machine, depth: Depth, from: Ledger) -> Result<Figures, Violation> {
    let (platter, log) = machine.story();
    let mut survey =
        Survey { platter, ledger: from, depth, tried: HashSet::new(), figures: Figures::default() };
    for (n, event) in log.iter().enumerate() {
        if n % depth.stride == 0 {
            survey.before(n, event).map_err(|v| v.at(format!("crash before event {n}, {}", brief(event))))?;
        }
        survey.platter.apply(event);
        if let Event::Mark(number) = event {
            survey.ledger.take(&machine.noted(*number));
        }
    }
    survey.plain().map_err(|v| v.at("crash at the end"))?;
    Ok(survey.figures)
}

fn brief(event: &Event) -> String {
    let mut text = format!("{event:?}");
    text.truncate(80);
    text
}

struct Survey {
    platter: Platter,
    ledger: Ledger,
    depth: Depth,
    /// Disks, with what was promised of them.
    tried: HashSet<u64>,
    figures: Figures,
}

impl Survey {
    fn before(&mut self, n: usize, event: &Event) -> Checked {
        self.plain()?;
        if let (Event::Sync(ino) | Event::SyncFailed(ino, _), true) = (event, self.depth.torn > 0) {
            for bytes in (n % self.depth.torn..self.platter.last_write(*ino)).step_by(self.depth.torn) {
                self.try_one(&mut Torn { ino: *ino, bytes }, 0)?;
            }
        }
        let syncs = matches!(
            event,
            Event::Sync(_)
                | Event::SyncFailed(..)
                | Event::SyncDir(_)
                | Event::Rename(..)
                | Event::SetLen(..)
        );
        if syncs {
            for roll in 0..self.depth.dice {
                let mut dice =
                    Dice(self.depth.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (n as u64) << 32 ^ roll);
                self.try_one(&mut dice, 0)
                    .map_err(|v| v.at(format!("seed {} roll {roll}", self.depth.seed)))?;
            }
        }
        Ok(())
    }

    fn plain(&mut self) -> Checked {
        self.figures.points += 1;
        for (names, data) in [(false, false), (true, false), (false, true), (true, true)] {
            self.try_one(&mut Plain { names, data }, self.depth.again)?;
        }
        // What the kernel wrote early by itself: the mark alone, or all but the mark.
        for mark in [true, false] {
            let lock = self.platter.named(&in_dir("registro.lock"));
            self.try_one(&mut OneFile { ino: lock.unwrap_or_default(), it: mark }, 0)?;
        }
        Ok(())
    }

    fn try_one(&mut self, choice: &mut dyn Choice, again: u32) -> Checked {
        let image = self.platter.image(choice);
        let mut hasher = DefaultHasher::new();
        (&image, &self.ledger).hash(&mut hasher);
        if !self.tried.insert(hasher.finish()) {
            return Ok(());
        }
        self.figures.disks += 1;
        self.figures += examine(&image, &self.ledger, again)?;
        Ok(())
    }
}

/// All names survive; of the data those of one file, or all but those.
struct OneFile {
    ino: u64,
    it: bool,
}

impl Choice for OneFile {
    fn name(&mut self) -> bool {
        true
    }
    fn length(&mut self) -> bool {
        !self.it
    }
    fn write(&mut self, ino: u64, _: usize) -> Kept {
        if (ino == self.ino) == self.it { Kept::All } else { Kept::Nothing }
    }
    fn coin(&mut self) -> bool {
        true
    }
}

/// Fails the power after so many events, by the dice and with nothing left but what was synced.
pub(super) fn survey_at(machine: &Machine, events: usize, seed: u64) -> Checked {
    let (platter, log) = machine.story();
    let depth = Depth { seed, ..Depth::PLAIN };
    let mut survey =
        Survey { platter, ledger: Ledger::new(), depth, tried: HashSet::new(), figures: Figures::default() };
    for event in &log[..events.min(log.len())] {
        survey.platter.apply(event);
        if let Event::Mark(number) = event {
            survey.ledger.take(&machine.noted(*number));
        }
    }
    survey.try_one(&mut Plain { names: false, data: false }, 0)?;
    survey.try_one(&mut Dice(seed), 0)
}

/// Starts a store on what a crash left, checks what it shows, writes, crashes again, and starts once more.
fn examine(image: &Image, ledger: &Ledger, again: u32) -> Result<Figures, Violation> {
    let machine = Machine::boot(image, ledger.clone());
    let report = check_on(machine.quiet(9).volume(), Path::new(DIR), Registro::NAME);
    let mut figures = Figures { starts: 1, ..Figures::default() };
    let opened = Actor::open(&machine, machine.process(1));
    let sound = report.as_ref().is_ok_and(|report| report.sound());
    if ledger.is_half_edited(image.files.get(&in_dir("altas.json"))) {
        return Ok(figures);
    }
    if image.files.contains_key(&in_dir("registro.journal")) && sound != opened.is_ok() {
        let opened = opened.err().map_or_else(String::new, |e| e.to_string());
        return Err(Violation::new(Law::Check, format!("the check says {report:?}, the start {opened}")));
    }
    let mut actor = match opened {
        Ok(actor) => actor,
        Err(e) => return Err(Violation::new(Law::NotOpened, e)),
    };
    ledger.check(&actor.state())?;
    if !actor.write(&[Entry { id: 900_000 + u64::from(again), bytes: 3, refuses: false }])? {
        return Err(Violation::new(Law::Stuck, "a write after the crash failed"));
    }
    let state = actor.state();
    machine.ledger().check(&state)?;
    if again > 0 {
        let depth = Depth { again: again - 1, ..Depth::PLAIN };
        let nested = survey(&machine, depth, ledger.clone()).map_err(|v| v.at("while it starts"))?;
        figures.points += nested.points;
        figures.disks += nested.disks;
        figures.starts += nested.starts;
    }
    // Nothing but what was synced, and then everything: what it showed must be there either way.
    let (mut platter, log) = machine.story();
    log.iter().for_each(|event| platter.apply(event));
    for all in [false, true] {
        let image = platter.image(&mut Plain { names: all, data: all });
        let machine = Machine::boot(&image, machine.ledger());
        figures.starts += 1;
        let again = Actor::open(&machine, machine.process(1))
            .map_err(|e| Violation::new(Law::NotOpened, format!("the second start: {e}")))?;
        if again.state().all() != state.all() {
            return Err(Violation::new(Law::Changed, "the second start shows another state"));
        }
    }
    Ok(figures)
}
