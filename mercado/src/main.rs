//! The whole market in one process: `mercado --help` shows its options.

use http_kit::config;
use http_kit::exit::StartError;
use mercado::app::App;
use mercado::config::{Command, Config};
use std::process::ExitCode;

fn main() -> ExitCode {
    http_kit::exit::exit(run())
}

fn run() -> Result<(), StartError> {
    let config: Config = config::parse(std::env::args_os())?;
    match &config.command {
        Some(Command::Journal { command }) => {
            return mercado::journal::run(command, &mut std::io::stdout().lock());
        }
        Some(Command::Migrar(migrar)) => {
            return http_kit::server::block_on(mercado::migrar::run(migrar, &mut std::io::stdout().lock()));
        }
        None => {}
    }
    config.server.start_logger()?;
    http_kit::server::block_on(async { App::build(&config)?.run(http_kit::server::signal()).await })
}
