//! `laboratorio --help` shows what it can do; [`laboratorio`] says why.

use clap::{Args, Parser, Subcommand, ValueEnum};
use laboratorio::caos::{self, Opciones};
use laboratorio::checker;
use laboratorio::history::Historia;
use laboratorio::ingenua;
use laboratorio::mundo::{Almacen, Tienda};
use laboratorio::say;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Load, faults, and a checker that knows nothing of the product.
#[derive(Parser)]
#[command(name = "laboratorio", version)]
struct Cli {
    #[command(subcommand)]
    order: Orden,
}

#[derive(Subcommand)]
enum Orden {
    /// Lets everything go wrong while customers buy, and says whether the money is right.
    /// Exit code 0 green, 1 red, 2 it could not be run
    Caos(Caos),
    /// Judges an old run again, by its directory
    Revisar {
        /// Where its historia.jsonl and final.json are
        dir: PathBuf,
    },
    #[command(hide = true)]
    TiendaIngenua,
}

#[derive(Args)]
struct Caos {
    /// On this machine: starts the services itself (the only way so far)
    #[arg(long, required = true)]
    local: bool,
    /// How long, in minutes
    #[arg(long, default_value_t = 1.0)]
    minutos: f64,
    /// Instead: until so many processes were killed
    #[arg(long)]
    kills: Option<u64>,
    /// The schedule of faults; the time if left out
    #[arg(long)]
    semilla: Option<u64>,
    /// Customers at once
    #[arg(long, default_value_t = 16)]
    clientes: u64,
    /// What the services keep their data in: files, or PostgreSQL, which is started for it: a primary, a synchronous
    /// standby, and three replicas of each service
    #[arg(long, value_enum, default_value_t = Store::Json)]
    store: Store,
    /// With --store postgres: transactions are SERIALIZABLE, as some engines' always are
    #[arg(long)]
    serializable: bool,
    /// Against the shop that everybody writes
    #[arg(long, conflicts_with_all = ["store", "serializable"])]
    ingenuo: bool,
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
    let result = match (Cli::parse().order, runtime) {
        (_, Err(e)) => Err(format!("cannot start the runtime: {e}")),
        (Orden::Caos(caos), Ok(runtime)) => runtime.block_on(chaos(caos)),
        (Orden::Revisar { dir }, _) => review(&dir),
        // actix brings runtimes of its own
        (Orden::TiendaIngenua, _) => actix_web::rt::System::new().block_on(ingenua::serve()).map(|()| true),
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

async fn chaos(c: Caos) -> Result<bool, String> {
    let exe = std::env::current_exe().map_err(|e| format!("this executable: {e}"))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let almacen = match c.store {
        Store::Postgres => Almacen::Postgres { serializable: c.serializable },
        Store::Json if c.serializable => return Err("--serializable is for --store postgres".to_owned()),
        Store::Json => Almacen::Json,
    };
    let tienda =
        if c.ingenuo { Tienda::Ingenua(exe) } else { Tienda::Mercado(caos::binaries(&exe)?, almacen) };
    let fresh = || std::env::temp_dir().join(format!("laboratorio-{}-{}", now.as_secs(), std::process::id()));
    let opciones = Opciones {
        duracion: Duration::try_from_secs_f64(c.minutos * 60.0).map_err(|e| format!("--minutos: {e}"))?,
        kills: c.kills,
        semilla: c.semilla.unwrap_or(now.as_secs()),
        clientes: c.clientes,
        tienda,
        dir: c.dir.unwrap_or_else(fresh),
    };
    say!("seed {}, directory {}", opciones.semilla, opciones.dir.display());
    let informe = tokio::select! {
        informe = caos::run(&opciones) => informe?,
        signal = stopped() => return Err(format!("stopped by {}", signal?)),
    };
    caos::print(&informe);
    Ok(informe.veredicto.hallazgos.is_empty())
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
    let historia = Historia::load(&dir.join("historia.jsonl"))?;
    let path = dir.join("final.json");
    let text = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let end = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let veredicto = checker::check(&historia, &end);
    for h in &veredicto.hallazgos {
        say!("{}: {}", h.regla, h.detalle);
    }
    say!("{} finding(s), {} overtaken key(s)", veredicto.hallazgos.len(), veredicto.rezagadas);
    Ok(veredicto.hallazgos.is_empty())
}
