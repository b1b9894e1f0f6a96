//! What can be set.

use clap::Parser;
use common::config::{InternalToken, ServerOptions, StoreOptions};
use std::path::PathBuf;

/// The catalogue, and the reservations of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "tokens", version)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub host: String,
    /// Port of the public API
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Port of the internal API, never routed from outside
    #[arg(long, env = "INTERNAL_PORT", default_value_t = 9000)]
    pub internal_port: u16,
    /// The secret that the three services share: 16 characters or more
    #[arg(long, env = "INTERNAL_TOKEN", hide_env_values = true)]
    pub internal_token: InternalToken,
    /// A directory with the tokens' pictures; a token without a file there gets a drawing
    #[arg(long, env = "IMAGENES_DIR")]
    pub imagenes: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub store: StoreOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub server: ServerOptions,
}
