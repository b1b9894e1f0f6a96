//! A service as its operator meets it: options, signals, log lines, the health check.
//!
//! The process under test is this binary once more: a library has no other. `service` below serves where a test has
//! started it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]
#![allow(missing_docs, reason = "a test's own service")]

mod health;
mod helpers;
mod leaving;
mod limits;
mod log;
mod options;
#[path = "../service/mod.rs"]
mod service;

use http_kit::exit::StartError;
use http_kit::{config, server};

/// Serves with the command line of `NOTES_ARGS`, an argument a line; no test where that is not set.
#[test]
fn service() {
    let Ok(args) = std::env::var(helpers::ARGS) else { return };
    let args = ["notes"].into_iter().chain(args.lines()).map(Into::into);
    let code = match serve(args) {
        Ok(()) => 0,
        Err(e) if e.exit_code == 0 => {
            println!("{e}");
            0
        }
        Err(e) => {
            eprintln!("{e}");
            e.exit_code
        }
    };
    std::process::exit(code);
}

fn serve(args: impl Iterator<Item = std::ffi::OsString>) -> Result<(), StartError> {
    let config: service::Config = config::parse(args)?;
    config.server.start_logger()?;
    server::block_on(async {
        let (server, _) = service::build(&config)?;
        server.run(server::signal()).await.map(|_| ())
    })
}
