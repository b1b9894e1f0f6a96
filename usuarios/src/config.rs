//! What can be set.

use clap::Parser;
use market::host::HostOptions;

/// People and their balance, and the debits of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "usuarios", version)]
pub struct Config {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}
