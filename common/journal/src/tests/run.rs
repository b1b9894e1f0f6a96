//! The run that every crash, failure and kill is put into: two processes that seed, write, compact beside each other, fall
//! behind, stop, are edited by hand, and start again.

use super::{
    super::{
        Model, array,
        check::check_on,
        memory::{Lie, Op, Plan, platter::Image},
    },
    actor::{Actor, DIR, Entry, SEED_DIR, in_dir},
    ledger::{EDIT, Law, Ledger, Note, SEED, Violation},
    machine::Machine,
    model::{Alta, Registro},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Open(u32),
    /// A batch of so many writes with so much text in each.
    Write(u32, usize, usize),
    /// A batch of three, of which the middle one refuses.
    Refuse(u32),
    Compact(u32),
    /// The first compacts; the second writes whenever the lock is free, and tries to compact as well.
    Beside(u32, u32),
    Read(u32),
    /// A clean stop.
    Stop(u32),
    /// It writes a batch, and is killed in its first call of this kind.
    Die(u32, Op),
    /// Gone without a stop.
    Drop(u32),
    Edit,
}

/// A process beside a compaction writes before every so many calls of it.
pub(super) const EVERY: u64 = 7;

const SCRIPT: &[Step] = &[
    Step::Open(1),
    Step::Write(1, 1, 0),
    Step::Open(2),
    Step::Write(2, 2, 10),
    Step::Refuse(1),
    Step::Read(2),
    // Whole lines that nobody synced, for the other to keep.
    Step::Die(1, Op::Sync),
    Step::Write(2, 1, 0),
    Step::Beside(2, 1),
    Step::Write(1, 5, 200),
    // Half a batch, for the other to cut.
    Step::Die(1, Op::Write),
    Step::Write(2, 1, 0),
    Step::Compact(1),
    Step::Drop(1),
    Step::Open(1),
    Step::Write(1, 3, 30),
    Step::Beside(1, 2),
    Step::Write(1, 1, 0),
    Step::Stop(2),
    Step::Write(1, 1, 0),
    Step::Stop(1),
    Step::Edit,
    Step::Open(3),
    Step::Write(3, 2, 10),
    Step::Drop(3),
    Step::Open(4),
    Step::Write(4, 1, 700),
    Step::Write(4, 2, 0),
];

/// How a run differs from the one where all goes well.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    pub(super) plan: Option<Plan>,
    pub(super) lie: Option<Lie>,
    /// A further process reads before each call of the others.
    pub(super) watched: bool,
    /// At which calls of a compaction the other process writes: those with this rest by [`EVERY`].
    pub(super) shift: u64,
    /// It reads before this call only, and falls behind until then.
    pub(super) lags_until: Option<u64>,
}

pub(super) struct Run {
    pub(super) machine: Machine,
    setting: Setting,
    actors: BTreeMap<u32, Actor>,
    watcher: Option<Watcher>,
    pids: u32,
    next: u64,
    /// Steps since the disk failed; it works again after two.
    ill: Option<u32>,
    trouble: Trouble,
}

type Shared<T> = Arc<Mutex<Option<T>>>;
type Trouble = Shared<Violation>;
type Watcher = Arc<Mutex<Actor>>;

/// The machine before the first start.
pub(super) fn beginning() -> Image {
    let alta = |(pos, id)| Alta { id, pos, texto: String::new() };
    let altas: Vec<_> = (0..).zip(SEED).map(alta).collect();
    let seed = Path::new(SEED_DIR).join("altas.json");
    Image {
        files: [(seed, serde_json::to_vec(&altas).unwrap())].into(),
        dirs: ["/vol", SEED_DIR].map(PathBuf::from).into(),
    }
}

/// Does the whole run. It ends with every process alive, writing and reading.
pub(super) fn run(setting: Setting) -> Result<Run, Violation> {
    play(setting, SCRIPT)
}

/// The same with another script.
pub(super) fn play(setting: Setting, script: &[Step]) -> Result<Run, Violation> {
    let machine = Machine::boot(&beginning(), Ledger::new());
    machine.plan(setting.plan);
    if let Some(lie) = setting.lie {
        machine.lie(lie);
    }
    let mut run = Run {
        machine,
        setting,
        actors: BTreeMap::new(),
        watcher: None,
        pids: 0,
        next: 10,
        ill: None,
        trouble: Arc::default(),
    };
    for step in script {
        run.step(*step).map_err(|v| v.at(format!("{step:?}")))?;
    }
    run.heal().and_then(|()| run.farewell()).map_err(|v| v.at("the end"))?;
    Ok(run)
}

impl Run {
    /// A failure of this process is no surprise.
    fn excused(&self, pid: u32) -> bool {
        self.machine.is_dead(pid)
            || matches!(self.setting.plan, Some(Plan::Fail { .. })) && self.ill.is_some()
    }

    fn stuck(&self, pid: u32, what: &str) -> Result<(), Violation> {
        if self.excused(pid) { Ok(()) } else { Err(Violation::new(Law::Stuck, what)) }
    }

    fn notice(&mut self) {
        if self.ill.is_none() && self.machine.struck().is_some() {
            self.ill = Some(0);
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Open(n) => self.open(n)?,
            Step::Write(n, count, bytes) => self.write(n, count, bytes, false)?,
            Step::Refuse(n) => self.write(n, 3, 20, true)?,
            Step::Compact(n) => {
                if let Some((pid, actor)) = self.actor(n)? {
                    let done = actor.compact();
                    self.notice();
                    if !done {
                        self.stuck(pid, "a compaction failed")?;
                    }
                }
            }
            Step::Beside(n, other) => self.beside(n, other)?,
            Step::Read(n) => {
                if let Some((pid, actor)) = self.actor(n)? {
                    let read = actor.read()?;
                    self.notice();
                    if !read {
                        self.stuck(pid, "a read failed")?;
                    }
                }
            }
            Step::Stop(n) => self.stop(n)?,
            Step::Die(n, op) => {
                self.actor(n)?;
                if let Some(actor) = self.actors.get(&n) {
                    self.machine.doom(actor.process.id, op);
                    self.write(n, 3, 300, false)?;
                    self.actors.remove(&n);
                }
            }
            Step::Drop(n) => drop(self.actors.remove(&n)),
            Step::Edit => self.edit()?,
        }
        self.settle_step()
    }

    /// After each step: the dead are buried, and a disk that failed a while ago works again.
    fn settle_step(&mut self) -> Result<(), Violation> {
        self.notice();
        if let Some(violation) = self.trouble.lock().unwrap().take() {
            return Err(violation);
        }
        let machine = self.machine.clone();
        self.actors.retain(|_, actor| !machine.is_dead(actor.process.id));
        match self.ill {
            Some(2) => self.heal(),
            Some(steps) => {
                self.ill = Some(steps + 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The disk works: so must every store on it.
    fn heal(&mut self) -> Result<(), Violation> {
        self.machine.heal();
        if self.ill.is_some() {
            self.ill = Some(u32::MAX / 2);
        }
        for actor in self.actors.values_mut() {
            if !actor.reopen() {
                return Err(Violation::new(Law::Stuck, "the disk works again, and a store stays latched"));
            }
        }
        // Nothing is excused from now on.
        self.setting.plan = None;
        Ok(())
    }

    fn open(&mut self, n: u32) -> Result<(), Violation> {
        self.pids += 1;
        let pid = self.pids;
        let opened = Actor::open(&self.machine, self.machine.process(pid));
        self.notice();
        match opened {
            Ok(actor) => {
                self.machine.saw(&actor.state())?;
                self.actors.insert(n, actor);
            }
            Err(e) if self.excused(pid) => drop(e),
            Err(e) => return Err(Violation::new(Law::NotOpened, e)),
        }
        if self.watcher.is_none() && (self.setting.watched || self.setting.lags_until.is_some()) {
            let watcher = Actor::open(&self.machine, self.machine.quiet(99));
            self.watcher =
                Some(Arc::new(Mutex::new(watcher.map_err(|e| Violation::new(Law::NotOpened, e))?)));
            self.watch(None);
        }
        Ok(())
    }

    /// The process, which is started again where it died or could not start.
    fn actor(&mut self, n: u32) -> Result<Option<(u32, &mut Actor)>, Violation> {
        if !self.actors.contains_key(&n) {
            self.open(n)?;
        }
        Ok(self.actors.get_mut(&n).map(|actor| (actor.process.id, actor)))
    }

    fn entries(&mut self, count: usize, bytes: usize, refuse: bool) -> Vec<Entry> {
        let first = self.next;
        self.next += count as u64;
        (first..self.next).map(|id| Entry { id, bytes, refuses: refuse && id == first + 1 }).collect()
    }

    fn write(&mut self, n: u32, count: usize, bytes: usize, refuse: bool) -> Result<(), Violation> {
        let entries = self.entries(count, bytes, refuse);
        let Some((pid, actor)) = self.actor(n)? else { return Ok(()) };
        let written = actor.write(&entries)?;
        self.notice();
        if written { Ok(()) } else { self.stuck(pid, "a write failed") }
    }

    /// What happens before each call: the watcher reads, and a second process does its part.
    fn watch(&self, beside: Option<Beside>) {
        let (machine, trouble) = (self.machine.clone(), self.trouble.clone());
        let (watcher, until) = (self.watcher.clone(), self.setting.lags_until);
        let mut beside = beside;
        self.machine.hook(Some(Box::new(move |_: Op| {
            let mut found = Ok(());
            if let Some(watcher) = watcher.as_ref().filter(|_| until.is_none_or(|at| at == machine.calls())) {
                found = match watcher.lock().unwrap().read() {
                    Ok(true) => Ok(()),
                    // It needs the array that somebody is editing while it runs, which nobody should.
                    Ok(false) if machine.ledger().is_editing() => Ok(()),
                    Ok(false) => Err(Violation::new(Law::Stuck, "a reader failed")),
                    Err(violation) => Err(violation),
                };
            }
            if let Some(beside) = &mut beside {
                found = found.and_then(|()| beside.turn(&machine));
            }
            if let Err(violation) = found {
                trouble.lock().unwrap().get_or_insert(violation);
            }
        })));
    }

    fn beside(&mut self, n: u32, other: u32) -> Result<(), Violation> {
        self.actor(other)?;
        let Some((pid, _)) = self.actor(n)? else { return Ok(()) };
        let second: Shared<Actor> = Arc::new(Mutex::new(self.actors.remove(&other)));
        let entries = self.entries(12, 5, false);
        let failed = Arc::new(Mutex::new(false));
        self.watch(Some(Beside {
            actor: second.clone(),
            entries,
            turns: self.setting.shift,
            failed: failed.clone(),
        }));
        let done = self.actors.get_mut(&n).is_some_and(|actor| actor.compact());
        self.watch(None);
        self.notice();
        let mut other_pid = 0;
        if let Some(actor) = second.lock().unwrap().take() {
            other_pid = actor.process.id;
            self.actors.insert(other, actor);
        }
        if *failed.lock().unwrap() {
            self.stuck(other_pid, "a write beside a compaction failed")?;
        }
        if done { Ok(()) } else { self.stuck(pid, "a compaction failed") }
    }

    fn stop(&mut self, n: u32) -> Result<(), Violation> {
        let mut stopped = self.try_stop(n)?;
        if !stopped {
            // One that is not there died while it started.
            if let Some(actor) = self.actors.get(&n) {
                self.stuck(actor.process.id, "a stop failed")?;
            }
            let machine = self.machine.clone();
            self.actors.retain(|_, actor| !machine.is_dead(actor.process.id));
            self.heal()?;
            stopped = self.try_stop(n)?;
        }
        if !stopped {
            return Err(Violation::new(Law::Stuck, "a stop failed on a disk that works"));
        }
        self.actors.remove(&n);
        if self.actors.is_empty() {
            self.complete()?;
        }
        Ok(())
    }

    fn try_stop(&mut self, n: u32) -> Result<bool, Violation> {
        let stopped = self.actor(n)?.is_some_and(|(_, actor)| actor.compact());
        self.notice();
        Ok(stopped)
    }

    /// After the last clean stop the arrays are all that there is.
    fn complete(&self) -> Result<(), Violation> {
        let volume = self.machine.quiet(98).volume();
        let report = check_on(volume.clone(), Path::new(DIR), Registro::NAME)
            .map_err(|e| Violation::new(Law::Check, e))?;
        if !report.sound() || report.journal.lines > 0 {
            return Err(Violation::new(Law::Check, format!("after a clean stop: {report}")));
        }
        let mut state = Registro::default();
        for collection in Registro::COLLECTIONS {
            let path = in_dir(&format!("{collection}.json"));
            let bytes = volume.read(&path).ok().flatten().unwrap_or_default();
            array::load(&mut state, collection, &path, &bytes)
                .map_err(|e| Violation::new(Law::Damage, format!("after a clean stop: {e}")))?;
        }
        self.machine.saw(&state).map_err(|v| v.at("the arrays after a clean stop"))
    }

    /// A person adds a record. Their editor syncs nothing.
    fn edit(&mut self) -> Result<(), Violation> {
        let file = in_dir("altas.json");
        let text = self.machine.text(&file).unwrap_or_default();
        let mut altas: Vec<Alta> = serde_json::from_str(&text).map_err(|e| Violation::new(Law::Damage, e))?;
        altas.push(Alta { id: EDIT, pos: altas.len() as u64, texto: "a mano".into() });
        let edited = serde_json::to_vec_pretty(&altas).unwrap();
        self.machine.note(Note::Editing([text.into_bytes(), edited.clone()]));
        self.machine.quiet(98).place(&file, &edited);
        Ok(())
    }

    /// Everybody who is left writes and sees all of it.
    fn farewell(&mut self) -> Result<(), Violation> {
        let alive: Vec<u32> = self.actors.keys().copied().collect();
        for n in alive {
            self.write(n, 1, 0, false)?;
            self.step(Step::Read(n))?;
        }
        let mut first = None;
        for actor in self.actors.values() {
            if !actor.read()? {
                self.stuck(actor.process.id, "a read failed")?;
                continue;
            }
            let state = actor.state().all();
            if *first.get_or_insert_with(|| state.clone()) != state {
                return Err(Violation::new(Law::Changed, "two processes see different states"));
            }
        }
        self.machine.hook(None);
        Ok(())
    }
}

/// The process that goes on while another compacts.
struct Beside {
    actor: Shared<Actor>,
    entries: Vec<Entry>,
    turns: u64,
    failed: Arc<Mutex<bool>>,
}

impl Beside {
    fn turn(&mut self, machine: &Machine) -> Result<(), Violation> {
        self.turns += 1;
        let free = ["registro.lock", "registro.turn"].iter().all(|name| machine.is_free(&in_dir(name)));
        if !free || !self.turns.is_multiple_of(EVERY) {
            return Ok(());
        }
        let mut actor = self.actor.lock().unwrap();
        let Some(actor) = actor.as_mut() else { return Ok(()) };
        let Some(entry) = self.entries.pop() else { return Ok(()) };
        // The lock of a compaction is taken: it has nothing to do.
        let done = actor.compact();
        let written = actor.write(&[entry])?;
        *self.failed.lock().unwrap() |= !(done && written);
        Ok(())
    }
}
