//! What can be set.

use clap::{Args, Parser, Subcommand};
use http_kit::config::ServerOptions;
use market::accounts::AccountOptions;
use market::store::{StoreOptions, StoreUrl};
use pg::redis::RedisUrl;
use std::path::PathBuf;
use transacciones::config::PurchaseOptions;
use usuarios::accounts::options::LoginOptions;
use usuarios::command::AccountCommand;

/// Mercado de Tokens: users, tokens and purchases in one process, with sample data.
#[derive(Clone, Debug, Parser)]
#[command(name = "mercado", version)]
pub struct Config {
    /// Something else than serving
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Port
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// A directory with the tokens' pictures; a token without a file there gets a drawing
    #[arg(long = "imagenes", env = "IMAGENES_DIR", value_name = "IMAGENES")]
    pub pictures: Option<PathBuf>,
    /// Redis for what pods share, where there are several: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`. Without it, and
    /// while it is away, each counts its visits alone
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    /// Lists that may be searched for at once, those that wait for their turn among them; more are answered with 503
    #[arg(long, env = "SEARCHES_AT_ONCE", default_value_t = tokens::store::AT_ONCE, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub searches_at_once: u16,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub accounts: AccountOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub logins: LoginOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub purchase: PurchaseOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub store: StoreOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub server: ServerOptions,
}

/// Something else than serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look at a data directory without changing it
    Journal {
        /// What to do
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Move a market from one store to another: files, PostgreSQL, either way. Stop every service on it first
    Migrar(Migrar),
    /// Who may log in, by the store and not over the network; also while a market runs on it
    Cuenta {
        /// What to do
        #[command(subcommand)]
        command: AccountCommand,
    },
}

/// From where, and to where.
#[derive(Args, Clone, Debug)]
pub struct Migrar {
    /// Where the market is: `json:DIR` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. It is not changed
    #[arg(long, env = "MIGRAR_DE", value_name = "STORE", hide_env_values = true)]
    pub de: StoreUrl,
    /// Where it will be: an empty or missing directory, or a database without one. It is a market only once all of it was
    /// written and compared; cut off before, it is none, and the same command begins anew
    #[arg(long, env = "MIGRAR_A", value_name = "STORE", hide_env_values = true)]
    pub a: StoreUrl,
}

/// Looks at a data directory.
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// Say for each store whether its files are whole; exit code 65 where one is not
    Check {
        /// The data directory
        dir: PathBuf,
    },
    /// Print every journal line, for people
    Dump {
        /// The data directory
        dir: PathBuf,
    },
}
