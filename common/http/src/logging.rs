//! Log lines on standard error, for people (`text`) or for a collector (`json`), each with the request's id and trace.

use crate::context::Context;
use env_logger::fmt::Formatter;
use log::Record;
use std::io::{self, Write};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `2026-01-31T12:00:00.000Z INFO  tokens: message request_id=…`
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
    // its start-up chatter says nothing that our own line does not
    builder.filter_module("actix_server", log::LevelFilter::Warn).parse_filters(filter);
    let pod = pod.to_owned();
    match format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(move |out, record| json(out, record, &pod)),
    };
    // a second App in one process (tests) finds the logger there
    let _ = builder.try_init();
    Ok(())
}

fn text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    // one event is one line, whatever a client managed to get into the message
    let message = record.args().to_string().replace('\n', "\\n").replace('\r', "\\r");
    write!(out, "{} {:<5} {}: {message}", out.timestamp_millis(), record.level(), record.target())?;
    if let Some(id) = Context::with(|c| c.id().to_owned()) {
        write!(out, " request_id={id}")?;
    }
    writeln!(out)
}

fn json(out: &mut Formatter, record: &Record<'_>, pod: &str) -> io::Result<()> {
    let mut line = serde_json::json!({
        "ts": out.timestamp_millis().to_string(),
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
