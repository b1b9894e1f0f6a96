//! Journals without threads, on disks in memory: the same store and writer, driven as a task of a simulation
//! (`mercado/tests/simulacion`).
//!
//! A [`Disk`] belongs to a machine, on which several processes may have the store open. What it forgets, and how it fails,
//! is that of the journal's own crash tests.

use super::{
    Journal, Model, OpenError, Options, StoreError,
    memory::{
        EIO, ENOSPC, Lie, Machine, Op, Plan, Reach,
        platter::{Dice, Image, Loss, Plain},
    },
};
use std::path::PathBuf;

const DIR: &str = "/datos";
const SEED_DIR: &str = "/semilla";

/// A machine's disk in memory.
#[derive(Clone)]
pub struct Disk(Machine);

/// How a disk fails.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// After so many calls from now on.
    pub after: u64,
    /// Whether it is full; otherwise its medium fails.
    pub full: bool,
    /// Whether everything that changes the disk goes on failing until [`Disk::heal`], and not one call only.
    pub lasting: bool,
    /// What becomes of the bytes whose sync failed: 0 not on disk, 1 not even in the page cache, 2 on disk all the same.
    pub fate: u8,
}

/// Where a process is killed: in its next call of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It looks at the store.
    Read,
    /// Half of a batch is written.
    Write,
    /// A batch is written and not synced.
    Sync,
    /// A compaction puts its files in place.
    Rename,
    /// A batch is durable, and nobody has been answered.
    Unlock,
}

/// What is on a disk after a power failure.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    /// What was synced, and nothing else.
    Synced,
    /// What was synced, and of the rest what this seed says, down to single sectors.
    Chance(u64),
}

impl Disk {
    /// A new one, with array files to seed a store from.
    pub fn new(seed: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let file = |(collection, json): (&str, String)| {
            (PathBuf::from(format!("{SEED_DIR}/{collection}.json")), json.into_bytes())
        };
        let files = seed.into_iter().map(file).collect();
        Self::of(&Image { files, dirs: [PathBuf::from(SEED_DIR)].into() })
    }

    fn of(image: &Image) -> Self {
        Self(Machine::boot(image).unlogged())
    }

    /// Opens the store as one process. The second half is its writer, to be driven until it ends: it waits for `gather`
    /// before it takes what has queued up; dropping it is what a crash does to it.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open<M: Model, G, F>(
        &self,
        process: u32,
        compact_bytes: u64,
        gather: G,
    ) -> Result<(Journal<M>, impl Future<Output = ()> + Send + use<M, G, F>), OpenError>
    where
        G: FnMut() -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let options = Options { seed_dir: Some(SEED_DIR.into()), compact_bytes, ..Options::new(DIR) };
        let at_once = |_: String, job: Box<dyn FnOnce() + Send>| {
            job();
            Ok(())
        };
        let volume = self.0.process(process).volume();
        let (journal, writer) = Journal::open_idle(volume, options, at_once)?;
        Ok((journal, writer.run(gather)))
    }

    /// `kill -9`: no call of this process does anything any more, and its locks are free. The page cache stays.
    pub fn kill(&self, process: u32) {
        self.0.kill(process);
    }

    /// Kills this process in the middle of something.
    pub fn doom(&self, process: u32, moment: Moment) {
        let op = match moment {
            Moment::Read => Op::Read,
            Moment::Write => Op::Write,
            Moment::Sync => Op::Sync,
            Moment::Rename => Op::Rename,
            Moment::Unlock => Op::Unlock,
        };
        self.0.doom(process, op);
    }

    /// Kills nobody who was to be killed and is not dead.
    pub fn spare(&self) {
        self.0.spare();
    }

    /// Whether the process was killed.
    pub fn is_dead(&self, process: u32) -> bool {
        self.0.is_dead(process)
    }

    /// Begins to fail.
    pub fn fail(&self, trouble: Trouble) {
        let Trouble { after, full, lasting, fate } = trouble;
        self.0.heal();
        self.0.plan(Some(Plan::Fail {
            at: self.0.calls() + after,
            reach: if lasting { Reach::Everything } else { Reach::Once },
            errno: if full { ENOSPC } else { EIO },
            loss: match fate {
                0 => Loss::Dropped,
                1 => Loss::Evicted,
                _ => Loss::Landed,
            },
        }));
    }

    /// Works again.
    pub fn heal(&self) {
        self.0.heal();
    }

    /// Whether a call has failed since [`fail`](Self::fail).
    pub fn has_failed(&self) -> bool {
        self.0.struck().is_some()
    }

    /// Gives stores a bug: they answer before they sync.
    pub fn lie_about_syncs(&self) {
        self.0.lie(Lie::AckBeforeSync);
    }

    /// The disk of this machine after its power failed: nobody has anything open.
    pub fn after_power_failure(&self, survives: Survives) -> Self {
        let platter = self.0.platter();
        Self::of(&match survives {
            Survives::Synced => platter.image(&mut Plain { names: false, data: false }),
            Survives::Chance(seed) => platter.image(&mut Dice(seed)),
        })
    }
}

/// A clean stop, its first half: later writes are refused, and the writer ends once its queue is done.
pub fn leave<M: Model>(journal: &Journal<M>) {
    journal.leave();
}

/// Its second half, once the writer has ended.
///
/// # Errors
/// As [`Journal::close`].
pub fn finish<M: Model>(journal: &Journal<M>) -> Result<(), StoreError> {
    journal.finish()
}
