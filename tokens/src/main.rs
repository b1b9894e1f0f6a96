//! The `tokens` service: `tokens --help` shows its options.

use common::config::{self, StartError};
use std::process::ExitCode;
use tokens::app;
use tokens::config::Config;

fn main() -> ExitCode {
    config::exit(run())
}

fn run() -> Result<(), StartError> {
    let config: Config = config::parse(std::env::args_os())?;
    config.host.server.start_logger()?;
    common::server::block_on(async { app::build(&config)?.run(common::server::signal()).await })
}
