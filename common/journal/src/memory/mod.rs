//! A disk in memory: files, names, `flock`, a page cache, and below it what is durable ([`platter`]). It fails, kills a
//! process, or lies at the call that a test names, and it keeps the log of all that was done to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it goes wrong")]

pub(super) mod platter;
mod process;

use platter::{Event, Image, Ino, Loss, Platter};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Op {
    Open,
    Read,
    Stat,
    Write,
    SetLen,
    Sync,
    Rename,
    Remove,
    SyncDir,
    CreateDir,
    Lock,
    Unlock,
}

impl Op {
    /// Whether the disk can refuse it. Of a `flock`, only memory could run out.
    fn may_fail(self) -> bool {
        !matches!(self, Self::Lock | Self::Unlock)
    }

    fn changes(self) -> bool {
        !matches!(self, Self::Read | Self::Stat | Self::Lock | Self::Unlock)
    }
}

/// Which calls fail from the chosen one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Once,
    /// Each call of the same kind, until [`Machine::heal`].
    SameKind,
    /// Each call of that kind and each that changes anything, until [`Machine::heal`].
    Everything,
}

/// What goes wrong at one call of a run, counted from 0.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plan {
    Fail {
        at: u64,
        reach: Reach,
        errno: i32,
        loss: Loss,
    },
    /// The next call of this kind fails, and no other.
    FailNext {
        op: Op,
        errno: i32,
        loss: Loss,
    },
    /// `kill -9`: in the middle of the call if it is a write, before it otherwise.
    Kill {
        at: u64,
    },
}

/// A store bug, made by a disk that lies to a store without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// The journal is synced only when the lock is next taken: after the answer.
    AckBeforeSync,
    /// The journal is synced only when the lock is given back: after the mark.
    MarkBeforeSync,
    NoDirectorySync,
    /// Bytes that the page cache shows already are not written again.
    NoRewrite,
    /// New arrays are not synced before the journal that relies on them is renamed.
    NoArraySync,
    /// What follows a failed write is not cut.
    NoCut,
    /// The lock excludes nobody.
    NoLock,
    /// A new journal is not synced before its rename.
    NoJournalSync,
}

type Hook = Box<dyn FnMut(Op) + Send>;

#[derive(Default)]
struct Inner {
    cache: BTreeMap<Ino, Vec<u8>>,
    names: BTreeMap<PathBuf, Ino>,
    dirs: BTreeSet<PathBuf>,
    /// Which open file of which process has the `flock`.
    locks: BTreeMap<Ino, (u64, u32)>,
    dead: BTreeSet<u32>,
    last: u64,
    start: Platter,
    platter: Platter,
    log: Vec<Event>,
    /// Whether nobody will read the log.
    unlogged: bool,
    calls: u64,
    plan: Option<Plan>,
    /// The kind of call that the plan struck, and whether it still strikes.
    struck: Option<(Op, bool)>,
    broken: Vec<(PathBuf, Op)>,
    doomed: Option<(u32, Op)>,
    lies: Vec<Lie>,
    late: Vec<Ino>,
    hook: Option<Hook>,
    /// Threads share this machine: who waits for a lock will get it.
    threads: bool,
}

/// A machine with one disk.
#[derive(Clone, Default)]
pub(super) struct Machine(Arc<(Mutex<Inner>, Condvar)>);

/// The disk as one process has it.
#[derive(Clone)]
pub(super) struct Process {
    machine: Machine,
    pub(super) id: u32,
    /// Its calls are not counted, fail never, and call no hook.
    quiet: bool,
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

const ENOENT: i32 = 2;
pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;

/// How a call goes wrong.
struct Strike {
    error: io::Error,
    loss: Loss,
    /// A write gets to its middle. A process that was dead before does nothing any more.
    halfway: bool,
}

impl Strike {
    fn new(code: i32, loss: Loss, halfway: bool) -> Result<(), Self> {
        Err(Self { error: errno(code), loss, halfway })
    }
}

impl Machine {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap()
    }

    /// A machine that starts with these files.
    pub(super) fn boot(image: &Image) -> Self {
        let machine = Self::default();
        {
            let mut inner = machine.inner();
            inner.dirs.clone_from(&image.dirs);
            for (path, bytes) in &image.files {
                inner.last += 1;
                let ino = inner.last;
                inner.names.insert(path.clone(), ino);
                inner.cache.insert(ino, bytes.clone());
            }
            inner.platter = Platter::of(image, &inner.names);
            inner.start = inner.platter.clone();
        }
        machine
    }

    /// Lets other threads in: a lock is then waited for.
    pub(super) fn with_threads(self) -> Self {
        self.inner().threads = true;
        self
    }

    pub(super) fn process(&self, id: u32) -> Process {
        Process { machine: self.clone(), id, quiet: false }
    }

    pub(super) fn quiet(&self, id: u32) -> Process {
        Process { quiet: true, ..self.process(id) }
    }

    /// Keeps a place in the log.
    pub(super) fn mark(&self, number: usize) {
        self.inner().log.push(Event::Mark(number));
    }

    /// Keeps no log from now on.
    pub(super) fn unlogged(self) -> Self {
        self.inner().unlogged = true;
        self
    }

    /// What is durable now.
    pub(super) fn platter(&self) -> Platter {
        self.inner().platter.clone()
    }

    /// What was durable in the beginning, and all that was done since.
    pub(super) fn story(&self) -> (Platter, Vec<Event>) {
        let inner = self.inner();
        (inner.start.clone(), inner.log.clone())
    }

    pub(super) fn calls(&self) -> u64 {
        self.inner().calls
    }

    pub(super) fn plan(&self, plan: Option<Plan>) {
        let mut inner = self.inner();
        inner.plan = plan;
        inner.struck = None;
    }

    /// `kill -9`, between two calls.
    pub(super) fn kill(&self, id: u32) {
        self.inner().kill(id);
    }

    /// Kills this process in its next call of this kind.
    pub(super) fn doom(&self, id: u32, op: Op) {
        self.inner().doomed = Some((id, op));
    }

    /// Whoever was to be killed lives.
    pub(super) fn spare(&self) {
        self.inner().doomed = None;
    }

    pub(super) fn lie(&self, lie: Lie) {
        self.inner().lies.push(lie);
    }

    pub(super) fn hook(&self, hook: Option<Hook>) {
        self.inner().hook = hook;
    }

    /// Which kind of call the plan has struck.
    pub(super) fn struck(&self) -> Option<Op> {
        self.inner().struck.map(|(op, _)| op)
    }

    /// The disk works again, or goes on working.
    pub(super) fn heal(&self) {
        let mut inner = self.inner();
        inner.plan = inner.plan.filter(|plan| matches!(plan, Plan::Kill { .. }));
    }

    pub(super) fn is_dead(&self, id: u32) -> bool {
        self.inner().dead.contains(&id)
    }

    /// Nobody holds the lock of this file.
    pub(super) fn is_free(&self, path: &Path) -> bool {
        let inner = self.inner();
        inner.lies(Lie::NoLock) || inner.names.get(path).is_none_or(|ino| !inner.locks.contains_key(ino))
    }

    /// From now on `op` fails on this path, until [`mend`](Self::mend).
    pub(super) fn break_down(&self, path: &Path, op: Op) {
        self.inner().broken.push((path.to_owned(), op));
    }

    pub(super) fn mend(&self, path: &Path) {
        self.inner().broken.retain(|(p, _)| p != path);
    }

    /// The page cache's files: what a process finds that starts now, without a crash.
    pub(super) fn image(&self) -> Image {
        let inner = self.inner();
        let files = inner.names.iter().map(|(path, ino)| (path.clone(), inner.cache[ino].clone())).collect();
        Image { files, dirs: inner.dirs.clone() }
    }

    pub(super) fn text(&self, path: &Path) -> Option<String> {
        let mut image = self.image();
        image.files.remove(path).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn wake(&self) {
        self.0.1.notify_all();
    }
}

impl Inner {
    fn happen(&mut self, event: Event) {
        self.platter.apply(&event);
        if !self.unlogged {
            self.log.push(event);
        }
    }

    fn lies(&self, lie: Lie) -> bool {
        self.lies.contains(&lie)
    }

    fn late_syncs(&mut self) {
        for ino in std::mem::take(&mut self.late) {
            self.happen(Event::Sync(ino));
        }
    }

    fn kill(&mut self, id: u32) {
        self.dead.insert(id);
        self.locks.retain(|_, (_, holder)| *holder != id);
    }

    fn verdict(&mut self, process: &Process, path: &Path, op: Op) -> Result<(), Strike> {
        if self.dead.contains(&process.id) || self.broken.iter().any(|(p, o)| p == path && *o == op) {
            return Strike::new(EIO, Loss::Dropped, false);
        }
        if process.quiet {
            return Ok(());
        }
        if self.doomed == Some((process.id, op)) {
            self.kill(process.id);
            return Strike::new(EIO, Loss::Dropped, true);
        }
        let call = self.calls;
        self.calls += 1;
        match self.plan {
            Some(Plan::Kill { at }) if call == at => {
                self.struck = Some((op, false));
                self.kill(process.id);
                Strike::new(EIO, Loss::Dropped, true)
            }
            Some(Plan::FailNext { op: next, errno: code, loss }) if op == next => {
                self.struck = Some((op, true));
                self.plan = None;
                Strike::new(code, loss, true)
            }
            Some(Plan::Fail { at, errno: code, loss, .. }) if call == at && op.may_fail() => {
                self.struck = Some((op, true));
                Strike::new(code, loss, true)
            }
            Some(Plan::Fail { reach, errno: code, loss, .. }) => match self.struck {
                Some((first, true))
                    if (reach != Reach::Once && op == first)
                        || (reach == Reach::Everything && op.changes()) =>
                {
                    Strike::new(code, loss, true)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
