//! Any run, any crash and any damage, as the bytes of a fuzzer say: what was promised is there, or the start is refused.

use super::{
    super::{
        Model, OpenError, array,
        check::check_on,
        memory::{
            EIO, ENOSPC, Op, Plan, Reach,
            platter::{Image, Loss},
        },
    },
    actor::{Actor, DIR, in_dir},
    ledger::Law,
    machine::Machine,
    model::Registro,
    run::{Setting, Step, play},
    survey::survey_at,
};
use std::path::{Path, PathBuf};

/// More steps show nothing that these do not, and slow the fuzzer down.
const MOST_STEPS: usize = 40;
const JOURNAL: &str = "registro.journal";
const LOCK: &str = "registro.lock";
const ARRAYS: [&str; 3] = ["altas.json", "pares.json", "aperturas.json"];

/// Bytes as choices; there is no end of zeros behind the last.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }
}

fn plan(choices: &mut Choices<'_>) -> Option<Plan> {
    let kind = choices.byte() % 3;
    let at = choices.short() as u64 % 600;
    let reach = choices.of(&[Reach::Once, Reach::SameKind, Reach::Everything]);
    let errno = choices.of(&[EIO, ENOSPC]);
    let loss = choices.of(&[Loss::Dropped, Loss::Evicted, Loss::Landed, Loss::FirstPageEvicted]);
    match kind {
        0 => None,
        1 => Some(Plan::Fail { at, reach, errno, loss }),
        _ => Some(Plan::Kill { at }),
    }
}

fn script(choices: &mut Choices<'_>) -> Vec<Step> {
    let (mut steps, mut edited) = (vec![Step::Open(1)], false);
    let end = usize::from(choices.byte()) % MOST_STEPS;
    while steps.len() < end {
        let (kind, n, size) = (choices.byte(), u32::from(choices.byte() % 3) + 1, choices.byte());
        let other = n % 3 + 1;
        match kind % 12 {
            0 => steps.push(Step::Open(n)),
            1 | 2 => steps.push(Step::Write(n, usize::from(size % 4) + 1, usize::from(size) * 3)),
            3 => steps.push(Step::Refuse(n)),
            4 => steps.push(Step::Compact(n)),
            5 => steps.push(Step::Beside(n, other)),
            6 => steps.push(Step::Read(n)),
            7 => steps.push(Step::Stop(n)),
            8 => {
                let ops = [Op::Write, Op::Sync, Op::Read, Op::Stat, Op::Lock, Op::Unlock];
                steps.push(Step::Die(n, ops[usize::from(size) % ops.len()]));
            }
            9 => steps.push(Step::Drop(n)),
            // An array is edited while nobody runs, after clean stops of all.
            10 if !edited => {
                edited = true;
                steps.extend([1, 2, 3].map(Step::Stop));
                steps.extend([Step::Edit, Step::Open(n)]);
            }
            _ => steps.push(Step::Write(n, 1, 0)),
        }
    }
    steps
}

/// Damages one file; false where it is as it was.
fn damage(image: &mut Image, choices: &mut Choices<'_>) -> Option<PathBuf> {
    let names = [JOURNAL, JOURNAL, JOURNAL, JOURNAL, LOCK, ARRAYS[0], ARRAYS[1], ARRAYS[2], "altas.json.tmp"];
    let path = in_dir(choices.of(&names));
    let (kind, at, with) = (choices.byte() % 6, choices.short(), choices.byte());
    let bytes = image.files.get_mut(&path)?;
    let before = bytes.clone();
    let at = at % (bytes.len() + 1);
    match kind {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, with),
        2 => drop(bytes.drain(at..(at + usize::from(with)).min(before.len()))),
        3 => bytes[at..].iter_mut().take(usize::from(with)).for_each(|b| *b = 0),
        // Another place of the same file: a line that comes twice, or in the place of another.
        4 => {
            let from = usize::from(with) * before.len() / 256;
            let piece = before[from..(from + 200).min(before.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ => bytes[at..].iter_mut().take(1).for_each(|b| *b ^= with),
    }
    (*bytes != before).then_some(path)
}

/// Plays the run that the bytes describe, fails the power somewhere in it, and damages what it left.
///
/// # Panics
/// Where a promise is broken: that is what a fuzzer looks for.
pub fn history(data: &[u8]) {
    let mut choices = Choices(data);
    let setting = Setting {
        plan: plan(&mut choices),
        watched: choices.byte().is_multiple_of(4),
        shift: u64::from(choices.byte()),
        ..Setting::default()
    };
    let (events, seed) = (choices.short(), choices.short() as u64);
    let damages = choices.byte() % 4;
    let mut damaging = Choices(&data[data.len().min(16)..data.len().min(16 + 5 * 4)]);
    choices.0 = &data[data.len().min(36)..];
    let script = script(&mut choices);
    let run =
        play(setting.clone(), &script).unwrap_or_else(|v| panic!("{:?}: {}: {setting:?}", v.law, v.what));
    let (_, log) = run.machine.story();
    let at = events % (log.len() + 1);
    survey_at(&run.machine, at, seed)
        .unwrap_or_else(|v| panic!("{:?}: {}: a power failure at event {at}", v.law, v.what));

    let sound = run.machine.image();
    let mut image = sound.clone();
    let damaged: Vec<PathBuf> = (0..damages).filter_map(|_| damage(&mut image, &mut damaging)).collect();
    judge(&run.machine, &sound, &image, &damaged);
}

fn records(machine: &Machine) -> Vec<(PathBuf, Vec<u8>)> {
    let kept = |path: &Path| path.extension().is_some_and(|e| e != "lock" && e != "turn" && e != "compact");
    machine.image().files.into_iter().filter(|(path, _)| kept(path)).collect()
}

/// A start on a damaged directory shows all that was promised, or refuses; what else it may show needs a reason.
fn judge(run: &Machine, sound: &Image, image: &Image, damaged: &[PathBuf]) {
    let ledger = run.ledger();
    let check = |image: &Image| {
        let machine = Machine::boot(image, ledger.clone());
        check_on(machine.quiet(9).volume(), Path::new(DIR), Registro::NAME).unwrap()
    };
    let machine = Machine::boot(image, ledger.clone());
    let (before, report) = (records(&machine), check(image));
    let opened = Actor::open(&machine, machine.process(1));
    let actor = match opened {
        Err(error) => {
            assert!(!damaged.is_empty(), "a sound directory is refused: {error}");
            assert!(matches!(error, OpenError::Data { .. }), "{error:?}");
            assert_eq!(records(&machine), before, "a refusal changes nothing: {error}");
            // Of what is in a record, the check knows nothing.
            let arrays = damaged.iter().any(|path| *path != in_dir(JOURNAL) && *path != in_dir(LOCK));
            assert!(!report.sound() || arrays, "the check found nothing, and the start {error}");
            return;
        }
        Ok(actor) => actor,
    };
    assert!(
        report.sound() || !image.files.contains_key(&in_dir(JOURNAL)),
        "it opened, and the check says {report}"
    );
    let state = actor.state();
    let Err(violation) = ledger.check(&state) else { return };
    // An array that was changed while the journal has no lines is taken for a hand edit: it is what is in the file.
    let arrays = damaged.iter().any(|path| path.extension().is_some_and(|e| e == "json"));
    if arrays && report.journal.lines == 0 {
        let mut edited = Registro::default();
        for name in Registro::COLLECTIONS {
            let path = in_dir(&format!("{name}.json"));
            array::load(&mut edited, name, &path, &image.files[&path]).unwrap();
        }
        assert_eq!((state.altas, state.pares), (edited.altas, edited.pares), "an edit is taken as it is");
        return;
    }
    // Without its mark, a journal that was cut or spoiled at its end is one whose last write did not finish: the lines
    // before that are all there, and nothing else.
    let marked = image.files.get(&in_dir(LOCK)) == sound.files.get(&in_dir(LOCK))
        && check(sound).journal.acknowledged.is_some();
    let prefix = violation.law == Law::Lost && {
        let mut altas: Vec<_> = state.altas.values().map(|alta| alta.pos).collect();
        altas.sort_unstable();
        altas.iter().enumerate().all(|(n, pos)| *pos == n as u64)
    };
    assert!(!marked && prefix, "{:?}: {}: after damage to {damaged:?}", violation.law, violation.what);
}
