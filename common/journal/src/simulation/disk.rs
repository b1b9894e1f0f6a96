//! A machine's disk in memory, on which several processes may have a store open: with their threads, or without any, as tasks
//! of a simulation.

use super::memory::{
    EIO, ENOSPC, Lie, Machine, Op, Plan, Reach,
    platter::{Dice, Image, Loss, Plain},
};
use crate::{
    Journal, Model, OpenError, Options, StoreError, Words,
    check::{Report, check_on, dump_on},
    disk::Volume,
    open,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

const DIR: &str = "/data";
const SEED_DIR: &str = "/seed";

/// A machine's disk in memory.
#[derive(Clone)]
pub struct Disk {
    machine: Machine,
    /// Who waits for a lock will get it, from another thread.
    threads: bool,
}

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
        Self::boot(&Image { files, dirs: [PathBuf::from(SEED_DIR)].into() }, false)
    }

    /// With these files, all of them durable, and the directories that they are in, for stores with their threads.
    pub fn with(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let above = |path: &PathBuf| path.ancestors().skip(1).map(PathBuf::from).collect::<Vec<_>>();
        let dirs = files.keys().flat_map(above).filter(|dir| dir.parent().is_some()).collect();
        Self::boot(&Image { files, dirs }, true)
    }

    fn boot(image: &Image, threads: bool) -> Self {
        let machine = Machine::boot(image).unlogged();
        Self { machine: if threads { machine.with_threads() } else { machine }, threads }
    }

    /// Every file as a process sees it now.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.machine.image().files
    }

    /// [`Journal::open`] on this disk, with a thread for its writer.
    ///
    /// # Errors
    /// Those of [`Journal::open`].
    pub fn open_with_threads<M: Model>(&self, options: Options) -> Result<Journal<M>, OpenError> {
        Journal::open_on(self.machine.quiet(1).volume(), options)
    }

    /// What a start shows, and its last line; the process ends without a stop.
    ///
    /// # Errors
    /// Those of [`Journal::open`].
    pub fn start<M: Model>(&self, options: Options) -> Result<(M, u64), OpenError> {
        let store = open::open::<M>(self.machine.quiet(1).volume(), options)?;
        let state = store.state.load();
        Ok((state.model.clone(), state.seq))
    }

    /// [`check::check`](crate::check::check) on this disk.
    ///
    /// # Errors
    /// Those of the check.
    pub fn check(&self, dir: &Path, name: &str) -> io::Result<Report> {
        check_on(self.machine.quiet(2).volume(), dir, name, Words::default())
    }

    /// [`check::dump`](crate::check::dump) on this disk.
    ///
    /// # Errors
    /// Those of the dump.
    pub fn dump(&self, dir: &Path, name: &str, out: &mut dyn io::Write) -> io::Result<()> {
        dump_on(self.machine.quiet(2).volume(), dir, name, &[], out)
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
        driven(self.machine.process(process).volume(), options, gather)
    }

    /// `kill -9`: no call of this process does anything any more, and its locks are free. The page cache stays.
    pub fn kill(&self, process: u32) {
        self.machine.kill(process);
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
        self.machine.doom(process, op);
    }

    /// Kills nobody who was to be killed and is not dead.
    pub fn spare(&self) {
        self.machine.spare();
    }

    /// Whether the process was killed.
    pub fn is_dead(&self, process: u32) -> bool {
        self.machine.is_dead(process)
    }

    /// Begins to fail.
    pub fn fail(&self, trouble: Trouble) {
        let Trouble { after, full, lasting, fate } = trouble;
        self.machine.heal();
        self.machine.plan(Some(Plan::Fail {
            at: self.machine.calls() + after,
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
        self.machine.heal();
    }

    /// Whether a call has failed since [`fail`](Self::fail).
    pub fn has_failed(&self) -> bool {
        self.machine.struck().is_some()
    }

    /// Gives stores a bug: they answer before they sync.
    pub fn lie_about_syncs(&self) {
        self.machine.lie(Lie::AckBeforeSync);
    }

    /// The disk of this machine after its power failed: nobody has anything open.
    #[must_use]
    pub fn after_power_failure(&self, survives: Survives) -> Self {
        let platter = self.machine.platter();
        let image = match survives {
            Survives::Synced => platter.image(&mut Plain { names: false, data: false }),
            Survives::Chance(seed) => platter.image(&mut Dice(seed)),
        };
        Self::boot(&image, self.threads)
    }
}

/// A store in this machine's files without threads: the second half is its writer, as with [`Disk::open`].
///
/// # Errors
/// As [`Journal::open`].
pub fn open_driven<M: Model, G, F>(
    options: Options,
    gather: G,
) -> Result<(Journal<M>, impl Future<Output = ()> + Send + use<M, G, F>), OpenError>
where
    G: FnMut() -> F + Send,
    F: Future<Output = ()> + Send,
{
    driven(Volume::real(), options, gather)
}

fn driven<M: Model, G, F>(
    volume: Volume,
    options: Options,
    gather: G,
) -> Result<(Journal<M>, impl Future<Output = ()> + Send + use<M, G, F>), OpenError>
where
    G: FnMut() -> F + Send,
    F: Future<Output = ()> + Send,
{
    let at_once = |_: String, job: Box<dyn FnOnce() + Send>| {
        job();
        Ok(())
    };
    let (journal, writer) = Journal::open_idle(volume, options, at_once)?;
    Ok((journal, writer.run(gather)))
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
