//! `ataque`: what a client can do to a market, done to one that was started for it, with a verdict for each kind.
//!
//! ```text
//! cargo run --release -p laboratorio -- ataque --local                 # each kind for ten seconds
//! cargo run --release -p laboratorio -- ataque --local --minutos 5     # each kind for five minutes
//! cargo run --release -p laboratorio -- ataque --local --solo oyentes --solo auditorias
//! ```
//!
//! While a kind runs, customers buy, probes ask as a kubelet does, and a warden looks at the memory of each process and kills
//! one that takes more than its limit in the manifests, as a cluster does. Afterwards the same questions follow every kind
//! ([`judge`]): did all processes live, did the probes answer in time, is the market ready and sells, is the audit right, and
//! is everything that was acknowledged there after `kill -9` and a restart. Whatever a kind itself must see (a code, a closed
//! connection) is in its own file.
//!
//! Nothing is attacked but the processes that this run has started, on 127.0.0.1.
//!
//! | what | where |
//! | --- | --- |
//! | the kinds, and those that something else attacks | [`kinds`] |
//! | options and the run | this file |
//! | the market under attack, its limits and its restarts | [`arena`], [`warden`] |
//! | customers, and what they were promised | [`customers`] |
//! | probes | [`probes`] |
//! | requests as bytes | [`raw`] |
//! | what every kind is asked, what it saw | [`judge`], [`seen`] |
//! | the table | [`table`] |

pub mod arena;
pub mod customers;
pub mod judge;
pub mod kinds;
pub mod probes;
pub mod raw;
pub mod seen;
pub mod table;
pub mod warden;

use crate::t;
use arena::Arena;
use clap::Args;
use judge::Verdict;
use kinds::{How, KINDS, Kind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a run is asked for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// On this machine: starts the services itself (the only way)
    #[arg(long, required = true)]
    pub local: bool,
    /// How long each kind goes on, in minutes; ten seconds if left out
    #[arg(long = "minutos", value_name = "N", value_parser = minutes, conflicts_with = "short")]
    pub minutes: Option<Duration>,
    /// Each kind for a second or two, and one restart at the end
    #[arg(long = "corto")]
    pub short: bool,
    /// Only this kind; may be given several times
    #[arg(long = "solo", value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(kinds::names()))]
    pub only: Vec<String>,
    /// A cgroup in which this process may make others: each service gets one with its memory limit. If left out, the
    /// laboratory looks at the memory itself, and kills a process that takes too much
    #[arg(long, value_name = "DIR")]
    pub cgroup: Option<PathBuf>,
    /// An empty directory for data and logs; a fresh one, which is removed after a good end, if left out
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Seconds of a kind where nobody says how many.
const SECONDS: f64 = 10.0;
/// The most minutes of a kind.
const MAX_MINUTES: f64 = 60.0;

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= MAX_MINUTES => Ok(Duration::from_secs_f64(minutes * 60.0)),
        _ => Err(t!(
            "debe ser un número mayor que 0, y a lo más {MAX_MINUTES}",
            "must be a number above 0, and at most {MAX_MINUTES}"
        )),
    }
}

/// How large everything is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// As `./test` runs it.
    pub short: bool,
    /// How long a kind goes on.
    pub time: Duration,
    /// How long customers are watched before it.
    pub before: Duration,
    /// The seconds that a client has for a phase of its connection.
    pub client_seconds: u64,
}

impl Scale {
    fn of(options: &Options) -> Self {
        let long = options.minutes.unwrap_or(Duration::from_secs_f64(SECONDS));
        if options.short {
            let (time, before) = (Duration::from_millis(1200), Duration::from_millis(500));
            // more than a machine stands still
            Self { short: true, time, before, client_seconds: 5 }
        } else {
            Self { short: false, time: long, before: Duration::from_secs(3), client_seconds: 10 }
        }
    }

    /// The first number in short form, else the second.
    pub fn pick<T>(&self, short: T, long: T) -> T {
        if self.short { short } else { long }
    }
}

/// Runs it and prints the table; whether every verdict is good.
///
/// # Errors
/// Why it could not be run.
pub async fn run(options: &Options, bin: &Path) -> Result<bool, String> {
    warden::raise_files();
    let scale = Scale::of(options);
    let (dir, fresh) = directory(options.dir.as_deref())?;
    let chosen = |kind: &&Kind| options.only.is_empty() || options.only.iter().any(|name| name == kind.name);
    let chosen: Vec<&Kind> = KINDS.iter().filter(chosen).collect();
    crate::say!(
        "{}",
        t!(
            "Directorio {}; límite de memoria: {} MiB por servicio, {}",
            "Directory {}; memory limit: {} MiB for each service, {}",
            dir.display(),
            warden::LIMIT_MIB,
            warden::how(options.cgroup.as_deref())
        )
    );
    let mut arena = Arena::start(bin, &dir, scale, options.cgroup.as_deref(), chosen.len()).await?;
    table::head();
    let mut verdicts = Vec::new();
    for kind in chosen {
        let verdict = match &kind.how {
            How::Elsewhere(es, en) => Verdict::elsewhere(kind, t!("{es}", "{en}")),
            How::Attack(attack) => judge::attack(kind, *attack, &mut arena).await?,
        };
        table::row(&verdict);
        verdicts.push(verdict);
    }
    let last = judge::restart(&mut arena).await?;
    table::row(&last);
    verdicts.push(last);
    arena.stop().await?;
    let good = table::end(&verdicts, &dir);
    if good && fresh {
        std::fs::remove_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    Ok(good)
}

/// An empty directory, and whether it was made for this run.
fn directory(wanted: Option<&Path>) -> Result<(PathBuf, bool), String> {
    let fresh = || std::env::temp_dir().join(format!("laboratorio-ataque-{}", std::process::id()));
    let dir = wanted.map_or_else(fresh, Path::to_owned);
    let said = |e: std::io::Error| format!("{}: {e}", dir.display());
    std::fs::create_dir_all(&dir).map_err(said)?;
    if std::fs::read_dir(&dir).map_err(said)?.next().is_some() {
        return Err(t!("{}: no está vacío", "{}: it is not empty", dir.display()));
    }
    // services have other working directories
    Ok((dir.canonicalize().map_err(said)?, wanted.is_none()))
}
