//! How a process ends: one line for the operator, and an exit code of `sysexits.h`.

use clap::error::{self, ContextKind, ContextValue};
use std::io::{ErrorKind, Write};

/// `sysexits.h`: the command was used wrongly.
pub const EX_USAGE: i32 = 64;

/// What a start that failed prints, in one line, and its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What was wrong, and what to do.
    pub message: String,
    /// 64 bad configuration, 65 bad data, 69 port or file system unusable, 73 cannot create, 74 input/output.
    pub exit_code: i32,
}

impl StartError {
    /// With its exit code.
    pub fn new(exit_code: i32, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code }
    }
}

/// What is said, and the exit code, where a command's options were not read.
pub fn unread(e: &clap::Error, command: &clap::Command) -> StartError {
    if matches!(e.kind(), error::ErrorKind::DisplayHelp | error::ErrorKind::DisplayVersion) {
        return StartError::new(0, e.to_string());
    }
    let found = match e.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => argument(command, arg),
        _ => None,
    };
    let Some(arg) = found else { return StartError::new(EX_USAGE, e.to_string().trim_end()) };
    let wrong = match std::error::Error::source(e) {
        // clap's message has the value in it, which here is a secret
        Some(reason) if arg.is_hide_env_values_set() => {
            format!("error: invalid value for '--{}': {reason}\n", arg.get_long().unwrap_or_default())
        }
        _ => e.to_string(),
    };
    let variable = arg.get_env().map(|v| format!("\nIts environment variable is {}.", v.to_string_lossy()));
    StartError::new(
        EX_USAGE,
        variable.map_or_else(|| wrong.trim_end().to_owned(), |said| format!("{wrong}{said}")),
    )
}

fn argument<'a>(command: &'a clap::Command, arg: &str) -> Option<&'a clap::Arg> {
    let long = arg.trim_start_matches("--").split([' ', '=']).next()?;
    let of_subcommand = || command.get_subcommands().find_map(|command| argument(command, arg));
    command.get_arguments().find(|a| a.get_long() == Some(long)).or_else(of_subcommand)
}

/// The end of `main`: prints what went wrong, if anything did, and gives the exit code.
pub fn exit(result: Result<(), StartError>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(StartError { message, exit_code: 0 }) => {
            let _ = writeln!(Report::new(), "{}", message.trim_end());
            std::process::ExitCode::SUCCESS
        }
        Err(StartError { message, exit_code }) => {
            // the exit code says it, too, where nobody reads
            let _ = writeln!(std::io::stderr(), "{message}");
            std::process::ExitCode::from(u8::try_from(exit_code).unwrap_or(1))
        }
    }
}

/// Standard output, for what a command reports. A reader that has gone, as in `| head -1`, is no error: the command still
/// does its work, and its exit code says how it went.
#[derive(Debug)]
pub struct Report(std::io::Stdout);

impl Report {
    /// Of this process.
    pub fn new() -> Self {
        Self(std::io::stdout())
    }

    /// Writes what somebody has to see: that its reader has gone is an error here.
    ///
    /// # Errors
    /// It was not written.
    pub fn deliver(&mut self, text: &str) -> std::io::Result<()> {
        self.0.write_all(text.as_bytes())?;
        self.0.flush()
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Report {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.write(bytes) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().or_else(|e| if e.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(e) })
    }
}
