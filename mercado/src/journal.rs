//! `mercado journal check|dump DIR`: looks at a data directory and changes nothing.

use crate::config::JournalCommand;
use http_kit::exit::StartError;
use journal::check;
use market::store::WORDS;
use std::io::{self, Write};
use std::path::Path;
use usuarios::domain::account::SECRETS;

/// Runs the command; its report goes to `out`.
///
/// # Errors
/// Exit code 65 where a store is damaged, 66 where there is none, 74 where it cannot be read.
pub fn run(command: &JournalCommand, out: &mut impl Write) -> Result<(), StartError> {
    let (JournalCommand::Check { dir } | JournalCommand::Dump { dir }) = command;
    let failed = |e: io::Error| StartError::new(74, format!("{}: {e}", dir.display()));
    let names = check::stores(dir).map_err(failed)?;
    if names.is_empty() {
        return Err(StartError::new(66, format!("{}: there is no journal here", dir.display())));
    }
    match command {
        JournalCommand::Check { dir } => {
            if !check_all(dir, &names, out).map_err(failed)? {
                return Err(StartError::new(65, "damaged: a start would refuse; nothing was changed"));
            }
        }
        JournalCommand::Dump { dir } => {
            let dump = |name: &String| {
                writeln!(out, "== {name}").and_then(|()| check::dump(dir, name, SECRETS, out))
            };
            names.iter().try_for_each(dump).map_err(failed)?;
        }
    }
    Ok(())
}

fn check_all(dir: &Path, names: &[String], out: &mut impl Write) -> io::Result<bool> {
    let mut sound = true;
    for name in names {
        let report = check::check(dir, name, WORDS)?;
        sound &= report.sound();
        writeln!(out, "{report}")?;
    }
    Ok(sound)
}
