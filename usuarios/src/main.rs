//! The `usuarios` service: `usuarios --help` shows its options.

use http_kit::config;
use http_kit::exit::{Report, StartError};
use std::process::ExitCode;
use usuarios::app;
use usuarios::config::{Command, Config};

fn main() -> ExitCode {
    http_kit::exit::exit(run())
}

fn run() -> Result<(), StartError> {
    let config: Config = config::parse(std::env::args_os())?;
    if let Some(Command::Cuenta { command }) = &config.command {
        let place = (&config.host.store, &[][..]);
        return http_kit::server::block_on(usuarios::command::run(command, place, &mut Report::new()));
    }
    config.host.server.start_logger()?;
    http_kit::server::block_on(async { app::build(&config)?.run(http_kit::server::signal()).await })
}
