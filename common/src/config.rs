//! Options of the command line, each with an environment variable behind it; all are checked before a port opens.

use crate::logging::LogFormat;
use crate::postgres::PostgresUrl;
use crate::salud;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

/// The options that every binary has.
#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// Threads that answer requests; one for each core if left out
    #[arg(long, env = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Seconds from SIGTERM to the moment from which no connection is taken any more: load balancers need them to
    /// notice that `/readyz` fails. Ctrl-C does not wait
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_seconds: u64,
    /// Seconds that requests and purchases under way have to finish after that
    #[arg(long, env = "GRACE_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub grace_seconds: u64,
    /// Seconds after which a connection is closed, politely, so that clients with keep-alive find new replicas
    #[arg(long, env = "CONNECTION_AGE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub connection_age_seconds: u64,
    /// The name in `X-Pod`, `hostname` and the log
    #[arg(long, env = "HOSTNAME", default_value_t = hostname())]
    pub hostname: String,
    /// Log lines for people or for a collector
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to log: a level, or levels by module (`info,common::journal=debug`); `access=debug` logs each request
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: String,
}

impl ServerOptions {
    /// How old a connection may grow.
    pub fn connection_age(&self) -> Duration {
        Duration::from_secs(self.connection_age_seconds)
    }

    /// Starts the logger.
    ///
    /// # Errors
    /// Exit code 64 for a bad `RUST_LOG` or host name.
    pub fn start_logger(&self) -> Result<(), StartError> {
        let visible = |b: u8| b.is_ascii_graphic();
        if self.hostname.is_empty() || !self.hostname.bytes().all(visible) {
            return Err(StartError::new(
                EX_USAGE,
                "--hostname (HOSTNAME): a name of visible ASCII characters is needed",
            ));
        }
        crate::logging::init(self.log_format, &self.rust_log, &self.hostname)
            .map_err(|e| StartError::new(EX_USAGE, format!("--rust-log (RUST_LOG): {e}")))
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where a service keeps its data.
#[derive(Args, Clone, Debug)]
pub struct StoreOptions {
    /// Where the data are: `json:DIR` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; `PGPASSWORD` may hold the password
    #[arg(long, env = "STORE", default_value = "json:./datos", hide_env_values = true)]
    pub store: StoreUrl,
    /// Connections to PostgreSQL that this process may have open, besides one that looks whether it is there
    #[arg(long, env = "POOL", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pool: u16,
    /// A directory with the JSON arrays that fill an empty store, once
    #[arg(long, env = "SEED_DIR")]
    pub seed_dir: Option<PathBuf>,
}

/// A parsed `STORE`.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// JSON arrays and a journal in a directory.
    Json(PathBuf),
    /// A schema for each service in a database.
    Postgres(PostgresUrl),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s.starts_with("postgres:") || s.starts_with("postgresql:") {
            return s.parse().map(Self::Postgres);
        }
        match s.strip_prefix("json:") {
            Some("") => Err("json: needs a directory, as in json:./datos".to_owned()),
            Some(dir) => Ok(Self::Json(dir.into())),
            // it is not repeated: a misspelt URL may have a password in it
            None => {
                Err("expected json:DIR, as in json:./datos, or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                    .to_owned())
            }
        }
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(dir) => write!(f, "json:{}", dir.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// The secret that the services show each other: 16 to 256 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct InternalToken(String);

impl InternalToken {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for InternalToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InternalToken(…)")
    }
}

impl FromStr for InternalToken {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if (16..=256).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(s.to_owned()))
        } else {
            Err("16 to 256 visible ASCII characters are needed, the same in all three services".to_owned())
        }
    }
}

/// The base URL of another service's internal port: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl(reqwest::Url);

impl ServiceUrl {
    /// The URL, without a path.
    pub fn url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl FromStr for ServiceUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(s).map_err(|e| format!("{e}; expected http://host:port"))?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() == "http" && url.has_host() && bare {
            Ok(Self(url))
        } else {
            Err("expected http://host:port and nothing behind it (services talk in the clear, inside the cluster)".to_owned())
        }
    }
}

/// Reads the command line and the environment. `--help`, `--version` and [`salud`] end the process here.
///
/// # Errors
/// Exit code 64, with a line that names the option and its variable; 0 and 1 see [`salud`].
pub fn parse<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, StartError> {
    let args: Vec<_> = args.into_iter().collect();
    if args.get(1).is_some_and(|first| first == salud::NAME) {
        return Err(salud::run::<T>(args.into_iter().skip(1)));
    }
    // `salud` is in it for `--help`, and so that no process begins to serve where its health was asked for
    let mut command = T::command().subcommand(salud::command::<T>());
    read(&mut command, args).map_err(|e| unread(&e, &command))
}

fn read<T: Parser>(command: &mut clap::Command, args: Vec<OsString>) -> Result<T, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(args)?;
    if matches.subcommand_name() == Some(salud::NAME) {
        return Err(command.error(ErrorKind::ArgumentConflict, "salud stands first, before its options"));
    }
    T::from_arg_matches_mut(&mut matches).map_err(|e| e.format(command))
}

/// What is said, and the exit code, where a command's options were not read.
pub(crate) fn unread(e: &clap::Error, command: &clap::Command) -> StartError {
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return StartError::new(0, e.to_string());
    }
    let found = match e.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => argument(command, arg),
        _ => None,
    };
    let Some(arg) = found else { return StartError::new(EX_USAGE, e.to_string().trim_end()) };
    let variable = arg.get_env().map(|v| v.to_string_lossy().into_owned()).unwrap_or_default();
    let wrong = match std::error::Error::source(e) {
        // clap's own words would put the secret into the log
        Some(reason) if arg.is_hide_env_values_set() => {
            format!("error: invalid value for '--{}': {reason}\n", arg.get_long().unwrap_or_default())
        }
        _ => e.to_string(),
    };
    StartError::new(EX_USAGE, format!("{wrong}\nIts environment variable is {variable}."))
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
            println!("{}", message.trim_end());
            std::process::ExitCode::SUCCESS
        }
        Err(StartError { message, exit_code }) => {
            eprintln!("{message}");
            std::process::ExitCode::from(u8::try_from(exit_code).unwrap_or(1))
        }
    }
}
