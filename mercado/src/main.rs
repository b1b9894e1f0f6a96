//! The whole market in one process: `mercado --help` shows its options.

use common::config::{self, StartError};
use mercado::app::App;
use mercado::config::{Command, Config};
use std::process::ExitCode;

fn main() -> ExitCode {
    config::exit(run())
}

fn run() -> Result<(), StartError> {
    let config: Config = config::parse(std::env::args_os())?;
    if let Some(Command::Journal { command }) = &config.command {
        return mercado::journal::run(command, &mut std::io::stdout().lock());
    }
    config.server.start_logger()?;
    common::server::block_on(async { App::build(&config)?.run(common::server::signal()).await })
}
