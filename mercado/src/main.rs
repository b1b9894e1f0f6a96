//! The whole market in one process: `mercado --help` shows its options.

use http_kit::config;
use http_kit::exit::{Report, StartError};
use mercado::app;
use mercado::config::{Command, Config};
use std::process::ExitCode;

fn main() -> ExitCode {
    http_kit::exit::exit(run())
}

fn run() -> Result<(), StartError> {
    let config: Config = config::parse(std::env::args_os())?;
    match &config.command {
        Some(Command::Journal { command }) => {
            return mercado::journal::run(command, &mut Report::new());
        }
        Some(Command::Migrar(migrar)) => {
            return http_kit::server::block_on(mercado::migrar::run(migrar, &mut Report::new()));
        }
        Some(Command::Cuenta { command }) => {
            let place = (&config.store, app::SAMPLE);
            return http_kit::server::block_on(usuarios::command::run(command, place, &mut Report::new()));
        }
        None => {}
    }
    config.server.start_logger()?;
    http_kit::server::block_on(async { app::build(&config)?.run(http_kit::server::signal()).await })
}
