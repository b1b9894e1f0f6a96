//! What can be set.

use clap::Parser;
use market::host::HostOptions;
use pg::redis::RedisUrl;
use std::path::PathBuf;

/// The catalogue, and the reservations of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "tokens", version)]
pub struct Config {
    /// A directory with the tokens' pictures; a token without a file there gets a drawing
    #[arg(long, env = "IMAGENES_DIR")]
    pub imagenes: Option<PathBuf>,
    /// Redis for what pods share, where there are several: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`. Without it, and
    /// while it is away, each counts its visits alone
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}
