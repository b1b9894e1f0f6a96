//! A run from its beginning to its verdict.

use crate::chance::Chance;
use crate::checker::{self, Verdict};
use crate::customers::Crowd;
use crate::experiment::{Experiment, opening};
use crate::history::{History, Line, Recorder};
use crate::load::{self, Load};
use crate::measure::Meter;
use crate::people::{self, People};
use crate::plan::Plan;
use crate::report::{Ended, Figure, Outcomes, Report, Run, Story};
use crate::screen::{self, Screen};
use crate::shown::{Token, Usuario};
use crate::stop::Stop;
use crate::words::failed;
use crate::world::{Shop, Storage, World};
use crate::{http, reading, t};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Longer than a purchase that nobody waits for any more can still take (its deadline is 3 s).
const REST: Duration = Duration::from_millis(4500);
/// Longer than recovery can take for what is left: its age, a pass, and a full backlog.
const SETTLING: Duration = Duration::from_secs(60);

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
    /// Besides, reads a second.
    pub reads: f64,
    /// Besides, purchases a second.
    pub purchases: f64,
    /// Against whom.
    pub shop: Shop,
    /// Whether people log in there.
    pub accounts: bool,
    /// A fresh directory for everything.
    pub dir: PathBuf,
    /// Where the report goes.
    pub report: PathBuf,
    /// As it was typed.
    pub command: String,
}

/// Runs it to its verdict.
///
/// # Errors
/// Why it could not be run; the verdict is neither red nor green.
pub async fn run(o: &Options, stop: &Stop) -> Result<Ended, String> {
    let io = |e: std::io::Error| failed(&o.dir, &e);
    opening::fresh(&o.dir)?;
    let began = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let (usuarios, tokens) = seed(o)?;
    let file = o.dir.join("historia.jsonl");
    let recorder = Arc::new(Recorder::create(&file)?);
    recorder.begin();
    let meter = Arc::new(Meter::since(recorder.start()));
    recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;

    let world =
        Arc::new(World::start(&o.shop, o.accounts, &o.dir, Arc::clone(&recorder), Arc::clone(&meter)).await?);
    let mut to = world.addresses();
    if let Some(password) = &world.office {
        let people = People::of_office(&to.usuarios, password).await?;
        people.open(&usuarios, "comprador").await?;
        to.people = Some(Arc::new(people));
    }
    let reader = http::client(false)?;
    reading::up(&reader, &to, Duration::from_secs(20)).await.map_err(|e| {
        let logs = o.dir.display();
        t!(
            "el mercado no arrancó: {e}; sus registros están en {logs}",
            "the market did not start: {e}; its logs are in {logs}"
        )
    })?;

    let ids: Vec<u64> = usuarios.iter().map(|u| u.id).collect();
    let (recorded, measured) = (Arc::clone(&recorder), Arc::clone(&meter));
    let crowd = Arc::new(Crowd::new(to.clone(), recorded, measured, ids.clone(), &tokens));
    let mut customers = crowd.start(o.customers, o.seed)?;
    let plan = load::Plan { reads: o.reads, purchases: o.purchases, seed: o.seed, usuarios: ids, tokens };
    let prefix = format!("lab-{}", o.seed);
    let load = Load::new(to.clone(), Arc::clone(&recorder), Arc::clone(&meter), plan, prefix)?;
    customers.spawn(Arc::clone(&load).run());
    let screen = Screen::new(o.duration);
    tokio::select! {
        done = trouble(o, &world, stop, &screen) => done?,
        never = screen::watch(&screen, &meter) => match never {},
    }
    crowd.stop();
    load.stop();
    screen.done();
    while let Some(ended) = customers.join_next().await {
        ended.map_err(|e| format!("a client: {e}"))??;
    }
    tokio::time::sleep(REST).await;
    let mut verdict = Verdict::default();
    recorder.flush()?;
    let mut end = reading::recovered(&reader, &to, SETTLING, &mut verdict).await;
    let numbers = match &to.people {
        Some(people) if end.is_ok() => people.numbers().await?,
        _ => BTreeMap::new(),
    };
    let stopped = world.stop().await;
    if let (Shop::Market(..), Ok(end)) = (&o.shop, &mut end) {
        if let Err(e) = stopped {
            verdict.add("disk", e);
        }
        let mut disco = match &world.database {
            Some(database) => reading::tables(database).await?,
            None => reading::disk(&world.data)?,
        };
        people::translate(&mut disco, &numbers);
        end.disco = Some(disco);
    }
    let text = serde_json::to_vec(&end.as_ref().ok()).map_err(|e| format!("final.json: {e}"))?;
    std::fs::write(o.dir.join("final.json"), text).map_err(io)?;
    let history = History::load(&file)?;
    verdict.extend(checker::check(&history, end.as_ref().ok()));
    let mut story = Story::default();
    story.figures.extend(world.counts().iter().map(|(what, n)| Figure::new(counted(what), n)));
    story.figures.extend(end.iter().map(|end| {
        Figure::new(t!("transacciones al final", "transactions in the end"), end.transacciones.len())
    }));
    story.figures.push(Figure::new(checker::overtaken(), verdict.overtaken));
    story.figures.extend(to.people.iter().flat_map(|people| people.figures()));
    if let Ok(world) = Arc::try_unwrap(world).map_err(|_| ()) {
        world.close().await;
    }
    let run = Run {
        experiment: "caos",
        title: Experiment::Plain.title(),
        naive: matches!(o.shop, Shop::Naive(_)),
        place: t!("esta máquina", "this machine"),
        seed: o.seed,
        command: o.command.clone(),
        began,
        interrupted: stop.heard(),
    };
    let measured = meter.measured();
    let of = Outcomes {
        history: &history,
        end: end.as_ref().map_err(String::as_str),
        verdict: &verdict,
        measured: &measured,
    };
    let report = Report::new(&run, &of, story);
    let written = report.write(&measured, &o.report).map(|_| ());
    Ok(Ended { report, written, calm: Ok(()) })
}

/// What was counted, for people.
fn counted(what: &str) -> String {
    match what {
        "processes started" => t!("procesos iniciados", "processes started"),
        "conflicts, taken again" => t!("conflictos, hechos de nuevo", "conflicts, taken again"),
        "network cut" => t!("red cortada", "network cut"),
        "network slow" => t!("red lenta", "network slow"),
        "network held" => t!("red detenida", "network held"),
        "clock jump" => t!("saltos del reloj", "clock jump"),
        "standby, kill -9" => t!("espejo, kill -9", "standby, kill -9"),
        "standby promoted" => t!("el espejo tomó su lugar", "standby promoted"),
        "replica less" => t!("un proceso menos", "replica less"),
        "second replica" => t!("un segundo proceso", "second replica"),
        "disk full" => t!("disco lleno", "disk full"),
        other => other.to_owned(),
    }
}

/// The schedule, until it is time; every fault is over when this returns.
async fn trouble(o: &Options, world: &Arc<World>, stop: &Stop, screen: &Screen) -> Result<(), String> {
    let end = Instant::now() + o.duration;
    let mut faults = JoinSet::new();
    let postgres = matches!(o.shop, Shop::Market(_, Storage::Postgres { .. }));
    // sessions bear a difference of 30 s
    let clocks = if o.accounts { 15 } else { 3600 };
    for (wait, fault) in Plan::new(o.seed, postgres).clocks(clocks) {
        let what = fault.said();
        screen.next(what.clone());
        if !stop.pause(wait).await {
            break;
        }
        let over = match o.kills {
            Some(kills) => world.kills() >= kills,
            None => Instant::now() >= end,
        };
        if over {
            break;
        }
        screen.event(&what);
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
        std::fs::write(dir.join(name), value.to_string()).map_err(|e| failed(&dir, &e))
    };
    std::fs::create_dir_all(&dir).map_err(|e| failed(&dir, &e))?;
    write("usuarios.json", json!(usuarios))?;
    write("tokens.json", json!(pictured))?;
    write("transacciones.json", json!([]))?;
    Ok((usuarios, tokens))
}
