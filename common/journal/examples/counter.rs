//! Counters by name, that several processes on one machine may count at once.
//!
//! ```text
//! cargo run -p journal --example counter -- ./counters add apples 3
//! cargo run -p journal --example counter -- ./counters count apples 1000   # in several terminals; kill -9 any of them
//! cargo run -p journal --example counter -- ./counters show
//! cat ./counters/counters.json
//! ```

use journal::{ArrayWriter, Journal, Model, OpenError, Options, StoreError};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// A counter, as `counters.json` has it.
#[derive(Clone, Serialize, Deserialize)]
struct Counter {
    name: String,
    value: u64,
}

/// What a line of the journal holds.
#[derive(Clone, Serialize, Deserialize)]
enum Change {
    Counter(Counter),
}

/// All counters. A clone shares its parts with the original.
#[derive(Clone, Default)]
struct Counters(imbl::OrdMap<String, u64>);

impl Model for Counters {
    const NAME: &'static str = "counters";
    const COLLECTIONS: &'static [&'static str] = &["counters"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        let Change::Counter(counter) = change;
        self.0.insert(counter.name.clone(), counter.value);
    }

    fn load(&mut self, _: &str, element: &str) -> Result<(), String> {
        let counter: Counter = serde_json::from_str(element).map_err(|e| e.to_string())?;
        match self.0.insert(counter.name.clone(), counter.value) {
            None => Ok(()),
            Some(_) => Err(format!("{:?} is there twice", counter.name)),
        }
    }

    fn dump(&self, _: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        let counter = |(name, value): (&String, &u64)| Counter { name: name.clone(), value: *value };
        self.0.iter().map(counter).try_for_each(|counter| array.element(&counter))
    }

    fn count(&self, _: &str) -> usize {
        self.0.len()
    }

    fn on_open(&self, _: &[&'static str]) -> Result<Vec<Change>, String> {
        Ok(Vec::new())
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It is no command.
    #[error("say: counter DIR show | add NAME N | count NAME TIMES")]
    Usage,
    /// The counter would pass the greatest number that there is.
    #[error("a counter cannot go that far")]
    TooFar,
    /// The store did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Adds to a counter, which begins at 0. Returns its value once that is on disk.
async fn add(journal: &Journal<Counters>, name: &str, n: u64) -> Result<u64, Trouble> {
    let name = name.to_owned();
    let written = journal.write(move |counters| {
        let value = counters.0.get(&name).copied().unwrap_or_default();
        let value = value.checked_add(n).ok_or(Trouble::TooFar)?;
        counters.put(Change::Counter(Counter { name, value }));
        Ok(value)
    });
    written.await?
}

/// Runs a command; what it acknowledges goes to `out`, line by line.
///
/// # Errors
/// See [`Trouble`].
pub async fn run(arguments: &[&str], out: &mut impl Write) -> Result<(), Trouble> {
    let [dir, command @ ..] = arguments else { return Err(Trouble::Usage) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| Trouble::Usage);
    let journal = Journal::<Counters>::open(Options::new(*dir))?;
    match command {
        ["show"] => {
            for (name, value) in &journal.read()?.0 {
                writeln!(out, "{name} {value}")?;
            }
        }
        ["add", name, n] => writeln!(out, "{name} {}", add(&journal, name, number(n)?).await?)?,
        ["count", name, times] => {
            for _ in 0..number(times)? {
                writeln!(out, "{name} {}", add(&journal, name, 1).await?)?;
                out.flush()?;
            }
        }
        _ => return Err(Trouble::Usage),
    }
    // A clean stop: counters.json is complete now. Without it, the next start reads the journal.
    journal.close()?;
    Ok(())
}

#[allow(dead_code, reason = "the test that runs this file as a module has a main of its own")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments, &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("counter: {trouble}");
            ExitCode::FAILURE
        }
    }
}
