//! Real processes on one directory, killed with SIGKILL at random moments while the others go on.
//!
//! `JOURNAL_KILLS=300` for a long form, `JOURNAL_SEED=7` for other moments. The seed decides who is killed after how many
//! answers and what each process does; where in its work the signal meets it is up to the machine.

#![allow(clippy::unwrap_used, clippy::panic)] // clippy.toml frees test functions only, not what they call

#[path = "journal_model/mod.rs"]
mod model;

use journal::{Journal, Options};
use model::{Banco, Change, Cuenta, Nota};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

const DIR: &str = "JOURNAL_KILLED_DIR";
const NUMBER: &str = "JOURNAL_KILLED_NUMBER";
/// Accounts of each process. Only it writes them, counting up; a note in the same line says the same.
const CUENTAS: u64 = 4;

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn options(dir: impl Into<PathBuf>) -> Options {
    // A few dozen lines: there is nearly always a compaction under way.
    Options { compact_bytes: 3000, ..Options::new(dir) }
}

/// What a store shows: each account's balance, whose note must agree.
fn state(banco: &Banco) -> BTreeMap<u64, u64> {
    let notas: BTreeMap<u64, u64> =
        banco.notas.values().map(|nota| (nota.id, nota.texto.parse().unwrap())).collect();
    let cuentas: BTreeMap<u64, u64> = banco.lista().into_iter().collect();
    assert_eq!(cuentas, notas, "each line is there whole or not at all");
    cuentas
}

fn tell(what: &str, id: u64, saldo: u64) {
    // One write of a short line to a pipe is never torn, also by a kill.
    let line = format!("\n{what} {id} {saldo}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn count_up(journal: Journal<Banco>, id: u64) {
    loop {
        let written = journal.write(move |tx| -> Result<u64, ()> {
            let saldo = tx.saldo(id).unwrap_or_default() + 1;
            tx.put(Change::Cuenta(Cuenta { id, saldo }));
            tx.put(Change::Nota(Nota { id, texto: saldo.to_string() }));
            Ok(saldo)
        });
        tell("ack", id, written.await.unwrap().unwrap());
    }
}

/// Not a test by itself: what each killed process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let first = number_from(NUMBER, 0) * CUENTAS;
    let journal = Journal::<Banco>::open(options(dir)).unwrap();
    let writers: Vec<_> =
        (first..first + CUENTAS).map(|id| tokio::spawn(count_up(journal.clone(), id))).collect();
    let (mut changed, mut told) = (journal.changed(), BTreeMap::new());
    while !writers.iter().any(tokio::task::JoinHandle::is_finished) {
        // Said only after it was seen: whatever is heard of it must be there in the end.
        for (id, saldo) in state(&journal.read().unwrap()) {
            if told.insert(id, saldo) != Some(saldo) {
                tell("saw", id, saldo);
            }
        }
        changed.changed().await.unwrap();
    }
    panic!("a write failed");
}

/// What was heard of the processes: for each account the most that anyone was told, or saw.
#[derive(Default)]
struct Heard {
    acked: BTreeMap<u64, u64>,
    seen: BTreeMap<u64, u64>,
    /// Deaths of an account's process since the last answer: each may have left the write that was under way.
    open: BTreeMap<u64, u64>,
}

impl Heard {
    /// True: an answer, as against a look.
    fn note(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let [what @ ("ack" | "saw"), id, saldo] = words[..] else { return false };
        let (id, saldo): (u64, u64) = (id.parse().unwrap(), saldo.parse().unwrap());
        if what == "ack" {
            self.open.remove(&id);
        }
        let most = if what == "ack" { &mut self.acked } else { &mut self.seen };
        let most = most.entry(id).or_default();
        *most = saldo.max(*most);
        what == "ack"
    }

    fn died(&mut self, number: u64) {
        for id in number * CUENTAS..(number + 1) * CUENTAS {
            *self.open.entry(id).or_default() += 1;
        }
    }

    /// Each account has what was promised and, once nobody writes, no more than was asked for.
    fn check(&self, state: &BTreeMap<u64, u64>, settled: bool) {
        for (id, most) in self.acked.iter().chain(&self.seen) {
            let saldo = state.get(id).copied().unwrap_or_default();
            assert!(saldo >= *most, "account {id} has {saldo}, and {most} was promised");
            let told = |map: &BTreeMap<u64, u64>| map.get(id).copied().unwrap_or_default();
            let asked = told(&self.acked) + told(&self.open);
            assert!(!settled || saldo <= asked, "account {id} has {saldo}, and only {asked} was asked for");
        }
    }
}

struct Killable {
    child: Child,
    number: u64,
}

fn start(dir: &Path, number: u64, lines: &Sender<(u64, Option<String>)>) -> Killable {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = lines.clone();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = lines.send((number, Some(line)));
        }
        let _ = lines.send((number, None));
    });
    Killable { child, number }
}

/// SplitMix64.
fn roll(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `processes` at a time, `kills` in all, and now and then all of them at once.
fn kill_them(processes: u64, kills: u64, mut seed: u64) {
    println!("{processes} processes, {kills} kills: JOURNAL_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let (sender, lines): (Sender<_>, Receiver<(u64, Option<String>)>) = channel();
    let mut heard = Heard::default();
    let mut running: Vec<Killable> = (0..processes).map(|n| start(dir.path(), n, &sender)).collect();
    let (mut killed, mut generations) = (0, 0);
    while killed < kills {
        let all = roll(&mut seed).is_multiple_of(8);
        let victim = roll(&mut seed) % processes;
        // From none, so that it may be met while it opens, to enough for several compactions.
        let mut patience = roll(&mut seed) % 120;
        let number = running[victim as usize].number;
        while patience > 0 {
            let (from, line) = lines.recv().unwrap();
            let line = line.unwrap_or_else(|| panic!("process {from} ended by itself"));
            patience -= u64::from(heard.note(&line) && from == number);
        }
        let mut dying: Vec<Killable> = if all { std::mem::take(&mut running) } else { Vec::new() };
        if !all {
            dying.push(running.swap_remove(victim as usize));
        }
        dying.iter_mut().for_each(|process| process.child.kill().unwrap());
        for process in &mut dying {
            process.child.wait().unwrap();
            killed += 1;
            // What it said before it died counts.
            let mut rest = true;
            while rest {
                let (from, line) = lines.recv().unwrap();
                match line {
                    Some(line) => {
                        heard.note(&line);
                    }
                    None => {
                        assert!(from == process.number || all, "process {from} ended by itself");
                        rest = false;
                    }
                }
            }
        }
        dying.iter().for_each(|process| heard.died(process.number));
        // A start beside the others shows all that they were told and have seen.
        let ours = Journal::<Banco>::open(options(dir.path())).unwrap();
        heard.check(&state(&ours.read().unwrap()), all);
        generations = ours.stats().generation;
        drop(ours);
        for number in 0..processes {
            if running.iter().all(|process| process.number != number) {
                running.push(start(dir.path(), number, &sender));
            }
        }
        running.sort_by_key(|process| process.number);
    }
    for process in &mut running {
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
    drop(sender);
    for line in lines.iter().filter_map(|(_, line)| line) {
        heard.note(&line);
    }
    (0..processes).for_each(|number| heard.died(number));
    let ours = Journal::<Banco>::open(options(dir.path())).unwrap();
    let last = state(&ours.read().unwrap());
    heard.check(&last, true);
    let lines = ours.read().unwrap().seq();
    assert_eq!(lines, last.values().sum::<u64>(), "one line for each write, and none twice");
    ours.close().unwrap();
    println!("{killed} kills, {lines} lines, {} seen, {generations} generations", heard.seen.len());
    assert!(generations > kills / 4, "kills met few compactions: {generations} generations");
}

#[test]
fn two_processes_survive_each_others_kills() {
    kill_them(2, number_from("JOURNAL_KILLS", 30), number_from("JOURNAL_SEED", 1));
}

#[test]
fn three_processes_survive_each_others_kills() {
    kill_them(3, number_from("JOURNAL_KILLS", 30), number_from("JOURNAL_SEED", 2));
}
