//! What can be set.

use crate::store::AT_ONCE;
use clap::Parser;
use http_kit::config::ServiceUrl;
use market::host::HostOptions;
use pg::redis::RedisUrl;
use std::path::PathBuf;

/// The catalogue, and the reservations of purchases.
#[derive(Clone, Debug, Parser)]
#[command(name = "tokens", version)]
pub struct Config {
    /// Internal port of usuarios, which has the keys that verify sessions; only with `--cuentas=si`
    #[arg(long, env = "USUARIOS_URL", default_value = "http://usuarios:9000")]
    pub usuarios_url: ServiceUrl,
    /// A directory with the tokens' pictures; a token without a file there gets a drawing
    #[arg(long = "imagenes", env = "IMAGENES_DIR", value_name = "IMAGENES")]
    pub pictures: Option<PathBuf>,
    /// Redis for what pods share, where there are several: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`. Without it, and
    /// while it is away, each counts its visits alone
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    /// Lists that may be searched for at once, those that wait for their turn among them; more are answered with 503
    #[arg(long, env = "SEARCHES_AT_ONCE", default_value_t = AT_ONCE, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub searches_at_once: u16,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}
