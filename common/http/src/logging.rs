//! Log lines on standard error, for people (`text`) or for a collector (`json`), each with the request's id and trace.

use crate::context::Context;
use chrono::{SecondsFormat, Utc};
use env_logger::fmt::Formatter;
use log::{Level, Log, Metadata, Record};
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `2026-01-31T12:00:00.000Z INFO  notes:  message request_id=…`
    Text,
    /// One JSON object a line: `ts`, `level`, `target`, `message`, `pod`, and `request_id`, `trace_id` where known.
    Json,
}

/// Starts the logger of this process; later calls change nothing.
///
/// # Errors
/// What is wrong with `filter` (RUST_LOG's syntax: `info`, `warn,journal=debug`).
pub fn init(format: LogFormat, filter: &str, pod: &str) -> Result<(), String> {
    let mut checked = env_filter::Builder::new();
    checked.try_parse(filter).map_err(|e| e.to_string())?;
    let mut builder = env_logger::Builder::new();
    // what actix-server says at start is in our own line
    builder.filter_module("actix_server", log::LevelFilter::Warn).parse_filters(filter);
    let pod = pod.to_owned();
    match format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(move |out, record| json(out, record, &pod)),
    };
    let logger = builder.build();
    let level = logger.filter();
    // the second service of one process, in a test, finds the logger there
    if log::set_boxed_logger(Box::new(Moderate(logger))).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

/// A complaint that clients can cause, said once a second at most.
#[derive(Debug, Default)]
pub struct Seldom {
    /// The last time, in milliseconds since the first; 0 where there was none.
    said: AtomicU64,
    unsaid: AtomicU64,
}

impl Seldom {
    /// One that nobody has had to make yet.
    pub const fn new() -> Self {
        Self { said: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Counts it once more; where it should be said now, for how many times it stands.
    pub fn say(&self) -> Option<u64> {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = START.get_or_init(Instant::now);
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let times = self.unsaid.fetch_add(1, Ordering::Relaxed) + 1;
        let said = self.said.load(Ordering::Relaxed);
        let due = said == 0 || now >= said.saturating_add(1000);
        if !due || self.said.compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return None;
        }
        self.unsaid.fetch_sub(times, Ordering::Relaxed);
        Some(times)
    }
}

/// What the HTTP and the listening crates say of bytes and connections is said once a second: clients cause it.
struct Moderate(env_logger::Logger);

impl Log for Moderate {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        static HTTP: Seldom = Seldom::new();
        static LISTENING: Seldom = Seldom::new();
        let seldom = match record.target() {
            target if target.starts_with("actix_http") => &HTTP,
            target if target.starts_with("actix_server::accept") => &LISTENING,
            _ => return self.0.log(record),
        };
        if record.level() > Level::Warn || !self.0.matches(record) {
            return self.0.log(record);
        }
        if let Some(times) = seldom.say() {
            let mut said = Record::builder();
            said.level(Level::Warn).target(record.target()).module_path(record.module_path());
            self.0.log(&said.args(format_args!("{} ({times} times)", record.args())).build());
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    // one event is one line, also where a client's bytes are in the message
    let message = record.args().to_string().replace('\n', "\\n").replace('\r', "\\r");
    write!(out, "{} {:<5} {}: {message}", now(), record.level(), record.target())?;
    if let Some(id) = Context::with(|c| c.id().to_owned()) {
        write!(out, " request_id={id}")?;
    }
    writeln!(out)
}

fn json(out: &mut Formatter, record: &Record<'_>, pod: &str) -> io::Result<()> {
    let mut line = serde_json::json!({
        "ts": now(),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
        "pod": pod,
    });
    if let Some((id, trace)) = Context::with(|c| (c.id().to_owned(), c.trace.id())) {
        line["request_id"] = id.into();
        line["trace_id"] = trace.into();
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_said_at_once_and_then_with_a_count() {
        let seldom = Seldom::new();
        assert_eq!(seldom.say(), Some(1));
        for _ in 0..1000 {
            assert_eq!(seldom.say(), None);
        }
        seldom.said.store(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(1001));
        assert_eq!(seldom.say(), Some(1001));
    }
}
