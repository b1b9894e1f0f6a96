//! `laboratorio --help` shows what it can do; [`laboratorio`] says why.

use clap::{Args, Parser, Subcommand, ValueEnum};
use laboratorio::attack;
use laboratorio::chaos::{self, Options};
use laboratorio::checker;
use laboratorio::history::History;
use laboratorio::naive;
use laboratorio::say;
use laboratorio::world::{Shop, Storage};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Load, faults, and a checker that knows nothing of the product.
#[derive(Parser)]
#[command(name = "laboratorio", version)]
struct Cli {
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand)]
enum Order {
    /// Lets everything go wrong while customers buy, and says whether the money is right.
    /// Exit code 0 green, 1 red, 2 it could not be run
    #[command(name = "caos")]
    Chaos(Chaos),
    /// Does to a market what a client can do, and says whether it lives, answers and is right.
    /// Exit code 0 all is well, 1 a rule is broken, 2 it could not be run, 64 bad options
    #[command(name = "ataque")]
    Attack(attack::Options),
    /// Judges an old run again, by its directory
    #[command(name = "revisar")]
    Review {
        /// Where its historia.jsonl and final.json are
        dir: PathBuf,
    },
    #[command(name = "tienda-ingenua", hide = true)]
    NaiveShop,
}

#[derive(Args)]
struct Chaos {
    /// On this machine: starts the services itself (the only way so far)
    #[arg(long, required = true)]
    local: bool,
    /// How long, in minutes
    #[arg(long = "minutos", value_name = "MINUTOS", default_value_t = 1.0)]
    minutes: f64,
    /// Instead: until so many processes were killed
    #[arg(long)]
    kills: Option<u64>,
    /// The schedule of faults; the time if left out
    #[arg(long = "semilla", value_name = "SEMILLA")]
    seed: Option<u64>,
    /// Customers at once
    #[arg(long = "clientes", value_name = "CLIENTES", default_value_t = 16)]
    customers: u64,
    /// What the services keep their data in: files, or PostgreSQL, which is started for it: a primary, a synchronous
    /// standby, and three replicas of each service
    #[arg(long, value_enum, default_value_t = Store::Json)]
    store: Store,
    /// With --store postgres: transactions are SERIALIZABLE, as some engines' always are
    #[arg(long)]
    serializable: bool,
    /// Against the shop that everybody writes
    #[arg(long = "ingenuo", conflicts_with_all = ["store", "serializable"])]
    naive: bool,
    /// An empty directory for the data, the logs and the history; a fresh one if left out
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Json,
    Postgres,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match (cli().order, runtime) {
        (_, Err(e)) => Err(format!("cannot start the runtime: {e}")),
        (Order::Chaos(args), Ok(runtime)) => runtime.block_on(chaos(args)),
        (Order::Attack(options), Ok(runtime)) => runtime.block_on(attacked(&options)),
        (Order::Review { dir }, _) => review(&dir),
        // actix brings runtimes of its own
        (Order::NaiveShop, _) => actix_web::rt::System::new().block_on(naive::serve()).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("could not run: {e}");
            ExitCode::from(2)
        }
    }
}

/// The command line; a bad one ends the process with EX_USAGE.
fn cli() -> Cli {
    Cli::try_parse().unwrap_or_else(|e| {
        let _ = e.print();
        std::process::exit(if e.use_stderr() { 64 } else { 0 })
    })
}

async fn chaos(c: Chaos) -> Result<bool, String> {
    let exe = std::env::current_exe().map_err(|e| format!("this executable: {e}"))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let storage = match c.store {
        Store::Postgres => Storage::Postgres { serializable: c.serializable },
        Store::Json if c.serializable => return Err("--serializable is for --store postgres".to_owned()),
        Store::Json => Storage::Json,
    };
    let shop = if c.naive { Shop::Naive(exe) } else { Shop::Market(chaos::binaries(&exe)?, storage) };
    let fresh = || std::env::temp_dir().join(format!("laboratorio-{}-{}", now.as_secs(), std::process::id()));
    let options = Options {
        duration: Duration::try_from_secs_f64(c.minutes * 60.0).map_err(|e| format!("--minutos: {e}"))?,
        kills: c.kills,
        seed: c.seed.unwrap_or(now.as_secs()),
        customers: c.customers,
        shop,
        dir: c.dir.unwrap_or_else(fresh),
    };
    say!("seed {}, directory {}", options.seed, options.dir.display());
    let report = tokio::select! {
        report = chaos::run(&options) => report?,
        signal = stopped() => return Err(format!("stopped by {}", signal?)),
    };
    chaos::print(&report);
    Ok(report.verdict.findings.is_empty())
}

async fn attacked(options: &attack::Options) -> Result<bool, String> {
    let exe = std::env::current_exe().map_err(|e| format!("this executable: {e}"))?;
    let bin = chaos::binaries(&exe)?;
    tokio::select! {
        verdict = attack::run(options, &bin) => verdict,
        signal = stopped() => Err(format!("stopped by {}", signal?)),
    }
}

/// Waits for somebody who wants no more of it; ending well then ends the services and gives the small disk back.
async fn stopped() -> Result<&'static str, String> {
    let mut term = signal(SignalKind::terminate()).map_err(|e| format!("SIGTERM: {e}"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(|e| format!("SIGINT: {e}"))?;
    Ok(tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "Ctrl-C",
    })
}

fn review(dir: &std::path::Path) -> Result<bool, String> {
    let history = History::load(&dir.join("historia.jsonl"))?;
    let path = dir.join("final.json");
    let text = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let end = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let verdict = checker::check(&history, &end);
    for h in &verdict.findings {
        say!("{}: {}", h.rule, h.detail);
    }
    say!("{} finding(s), {} overtaken key(s)", verdict.findings.len(), verdict.overtaken);
    Ok(verdict.findings.is_empty())
}
