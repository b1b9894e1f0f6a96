//! Options of the command line, each with an environment variable; all are checked before a port opens.

use crate::exit::{EX_USAGE, StartError, unread};
use crate::logging::LogFormat;
use crate::salud;
use clap::error::ErrorKind;
use clap::{Args, Parser};
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

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
    /// Seconds that a client has for each head of a request, for its body, and for 64 KiB of an answer
    #[arg(long, env = "CLIENT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub client_seconds: u64,
    /// Connections that a port takes at once, the last few for probes only; 2048, or what the limit of open files allows,
    /// if left out
    #[arg(long, env = "MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    pub max_connections: Option<u32>,
    /// The name in `X-Pod`, `hostname` and the log
    #[arg(long, env = "HOSTNAME", default_value_t = hostname())]
    pub hostname: String,
    /// Log lines for people or for a collector
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to log: a level, or levels by module (`info,journal=debug`); `access=debug` logs each request
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
            Err("expected http://host:port and nothing after it (services talk in the clear, inside the cluster)".to_owned())
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
    // `salud` is added for `--help`, and so that `--port=0 salud` is refused and does not serve
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
