//! What can be set.

use clap::Parser;
use common::host::HostOptions;
use std::path::PathBuf;

/// The catalogue, and the reservations of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "tokens", version)]
pub struct Config {
    /// A directory with the tokens' pictures; a token without a file there gets a drawing
    #[arg(long, env = "IMAGENES_DIR")]
    pub imagenes: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}
