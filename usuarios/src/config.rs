//! What can be set.

use crate::accounts::options::LoginOptions;
use crate::command::AccountCommand;
use clap::{Parser, Subcommand};
use market::host::HostOptions;

/// People and their balance, and the debits of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "usuarios", version, subcommand_negates_reqs = true)]
pub struct Config {
    /// Something else than serving
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub logins: LoginOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}

/// Something else than serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Who may log in, by the store and not over the network; also while a service runs on it
    Cuenta {
        /// What to do
        #[command(subcommand)]
        command: AccountCommand,
    },
}
