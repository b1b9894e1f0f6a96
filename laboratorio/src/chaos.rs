//! A run from its beginning to its verdict.

use crate::chance::Chance;
use crate::checker::{self, Verdict};
use crate::customers::Crowd;
use crate::history::{Final, History, Line, Op, Outcome, Recorder, Token, Usuario};
use crate::plan::Plan;
use crate::world::{Shop, Storage, World};
use crate::{http, reading};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Longer than a purchase that nobody waits for any more can still take (its deadline is 3 s).
const REST: Duration = Duration::from_millis(4500);
/// Longer than recovery can take for what is left: its age, a pass, and a full backlog.
const SETTLING: Duration = Duration::from_secs(60);

/// Findings of a rule that are told; all are counted.
const OF_EACH: usize = 5;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long.
    pub duration: Duration,
    /// Or until so many processes were killed.
    pub kills: Option<u64>,
    /// Of the schedule and of the customers.
    pub seed: u64,
    /// Customers.
    pub customers: u64,
    /// Against whom.
    pub shop: Shop,
    /// A fresh directory for everything.
    pub dir: PathBuf,
}

/// What came of it.
pub struct Report {
    /// The checker's.
    pub verdict: Verdict,
    /// Everything that was asked.
    pub history: History,
    /// What was done to the market.
    pub counts: BTreeMap<&'static str, u64>,
    /// What was bought in the end.
    pub transacciones: usize,
    /// The history's file.
    pub file: PathBuf,
}

/// Runs it.
///
/// # Errors
/// Why it could not be run; the verdict is neither red nor green.
pub async fn run(o: &Options) -> Result<Report, String> {
    let io = |e: std::io::Error| format!("{}: {e}", o.dir.display());
    std::fs::create_dir_all(&o.dir).map_err(io)?;
    if std::fs::read_dir(&o.dir).map_err(io)?.next().is_some() {
        return Err(format!(
            "{}: not empty; what an earlier run left would be held against this one",
            o.dir.display()
        ));
    }
    let (usuarios, tokens) = seed(o)?;
    let file = o.dir.join("historia.jsonl");
    let recorder = Arc::new(Recorder::create(&file)?);
    recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;

    let world = Arc::new(World::start(&o.shop, &o.dir, Arc::clone(&recorder)).await?);
    let to = world.addresses();
    let reader = http::client(false)?;
    reading::up(&reader, &to, Duration::from_secs(20))
        .await
        .map_err(|e| format!("the market did not start: {e}; its logs are in {}", o.dir.display()))?;

    let ids = usuarios.iter().map(|u| u.id).collect();
    let crowd = Arc::new(Crowd::new(to.clone(), Arc::clone(&recorder), ids, &tokens));
    let mut customers = crowd.start(o.customers, o.seed)?;
    trouble(o, &world).await?;
    crowd.stop();
    while let Some(ended) = customers.join_next().await {
        ended.map_err(|e| format!("a client: {e}"))??;
    }
    tokio::time::sleep(REST).await;
    let mut verdict = Verdict::default();
    if let Err(e) = reading::settled(&reader, &to, SETTLING).await {
        verdict.add("audit", e);
    }
    recorder.flush()?;
    let mut end = match reading::public(&reader, &to).await {
        Ok(end) => end,
        Err(e) => {
            verdict.add("audit", format!("the market cannot be read at the end: {e}"));
            Final::default()
        }
    };
    let stopped = world.stop().await;
    if let Shop::Market(..) = o.shop {
        if let Err(e) = stopped {
            verdict.add("disk", e);
        }
        end.disco = Some(match &world.database {
            Some(database) => reading::tables(database).await?,
            None => reading::disk(&world.data)?,
        });
    }
    let text = serde_json::to_vec(&end).map_err(|e| format!("final.json: {e}"))?;
    std::fs::write(o.dir.join("final.json"), text).map_err(io)?;
    let history = History::load(&file)?;
    let checked = checker::check(&history, &end);
    verdict.findings.extend(checked.findings);
    verdict.overtaken = checked.overtaken;
    let counts = world.counts();
    if let Ok(world) = Arc::try_unwrap(world).map_err(|_| ()) {
        world.close().await;
    }
    Ok(Report { verdict, history, counts, transacciones: end.transacciones.len(), file })
}

/// The schedule, until it is time; every fault is over when this returns.
async fn trouble(o: &Options, world: &Arc<World>) -> Result<(), String> {
    let end = Instant::now() + o.duration;
    let mut faults = JoinSet::new();
    let postgres = matches!(o.shop, Shop::Market(_, Storage::Postgres { .. }));
    for (wait, fault) in Plan::new(o.seed, postgres) {
        tokio::time::sleep(wait).await;
        let over = match o.kills {
            Some(kills) => world.kills() >= kills,
            None => Instant::now() >= end,
        };
        if over {
            break;
        }
        let world = Arc::clone(world);
        faults.spawn(async move { world.apply(fault).await });
        while let Some(done) = faults.try_join_next() {
            done.map_err(|e| format!("a fault: {e}"))??;
        }
    }
    while let Some(done) = faults.join_next().await {
        done.map_err(|e| format!("a fault: {e}"))??;
    }
    Ok(())
}

fn seed(o: &Options) -> Result<(Vec<Usuario>, Vec<Token>), String> {
    let mut chance = Chance::new(o.seed, 0);
    let usuarios: Vec<_> =
        (1..=10).map(|id| Usuario { id, nombre: format!("Usuario {id}"), saldo: 300 }).collect();
    let tokens: Vec<_> = (1..=40)
        .map(|id| Token {
            id,
            nombre: format!("Semilla {id}"),
            precio: chance.between(1..=60),
            vendido: false,
        })
        .collect();
    let pictured: Vec<_> = tokens
        .iter()
        .map(|t| json!({"id": t.id, "nombre": t.nombre, "imagen": "ficha.svg", "precio": t.precio, "vendido": false}))
        .collect();
    let dir = o.dir.join("semilla");
    let write = |name: &str, value: serde_json::Value| {
        std::fs::write(dir.join(name), value.to_string()).map_err(|e| format!("{}: {e}", dir.display()))
    };
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    write("usuarios.json", json!(usuarios))?;
    write("tokens.json", json!(pictured))?;
    write("transacciones.json", json!([]))?;
    Ok((usuarios, tokens))
}

/// Says what happened, in a table and in words.
pub fn print(report: &Report) {
    let Report { verdict, history, counts, transacciones, file } = report;
    let mut asked: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    for p in &history.requests {
        let what = match p.op {
            Op::Buy { .. } if p.clave.is_some() => "purchases with a key",
            Op::Buy { .. } => "purchases without",
            Op::Credit { .. } => "abonos",
            Op::Rename { .. } | Op::ChangePrecio { .. } | Op::CreateToken { .. } => "changes",
            Op::ShowToken { .. } | Op::ShowUsuario { .. } => "readings",
        };
        let which = match (p.outcome(), p.estado) {
            (Outcome::Done, _) => 0,
            (Outcome::Refused, _) => 1,
            (Outcome::Open, Some(_)) => 2,
            (Outcome::Open, None) => 3,
        };
        for row in [what, "total"] {
            if let Some(n) = asked.entry(row).or_default().get_mut(which) {
                *n += 1;
            }
        }
    }
    say!("\n{:<24}{:>10}{:>10}{:>10}{:>10}", "requests", "2xx", "4xx", "5xx", "no answer");
    for (what, [yes, no, error, none]) in asked {
        say!("{what:<24}{yes:>10}{no:>10}{error:>10}{none:>10}");
    }
    say!("");
    for (what, n) in counts {
        say!("{what:<24}{n:>10}");
    }
    say!("{:<24}{transacciones:>10}", "transactions in the end");
    say!("{:<24}{:>10}", "overtaken keys", verdict.overtaken);
    say!("");
    let n = verdict.findings.len();
    for (rule, times) in verdict.by_rule() {
        for h in verdict.findings.iter().filter(|h| h.rule == rule).take(OF_EACH) {
            say!("{rule}: {}", h.detail);
        }
        if times > OF_EACH {
            say!("{rule}: … and {} more", times - OF_EACH);
        }
    }
    if n == 0 {
        say!("GREEN: every answer that a client got is true.");
    } else {
        let rules: Vec<_> = verdict.by_rule().iter().map(|(r, n)| format!("{r} {n}")).collect();
        say!("RED: {n} finding(s): {}.", rules.join(", "));
    }
    say!("history: {}", file.display());
}

/// Finds the three binaries beside this executable, and has cargo build them where one is missing.
///
/// # Errors
/// Where they cannot be built.
pub fn binaries(exe: &Path) -> Result<PathBuf, String> {
    let bin = exe.parent().ok_or("this executable is in no directory")?;
    let missing = |name: &&str| !bin.join(name).exists();
    if ["usuarios", "tokens", "transacciones"].iter().any(missing) {
        let release = bin.file_name().is_some_and(|name| name == "release");
        say!("building the services, which are not in {}", bin.display());
        let mut cargo = std::process::Command::new(option_env!("CARGO").unwrap_or("cargo"));
        cargo.args(["build", "-p", "usuarios", "-p", "tokens", "-p", "transacciones"]);
        cargo.args(release.then_some("--release")).arg("--target-dir").arg(bin.parent().unwrap_or(bin));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let status = cargo.status().map_err(|e| format!("cargo: {e}"))?;
        if !status.success() {
            return Err(format!("cargo build: {status}"));
        }
    }
    Ok(bin.to_owned())
}
