//! The frame of every experiment: a market, customers, what is done, the judgement, the report.

use super::opening::Opened;
use super::{Experiment, Lab, Options, Target, needs, opening};
use crate::checker::{self, Verdict};
use crate::cluster::Cluster;
use crate::history::{History, Line, Recorder};
use crate::http::{self, Addresses};
use crate::load::{self, Load, Plan};
use crate::local::{Local, Programs, Setup};
use crate::measure::Meter;
use crate::people::{self, People};
use crate::reading;
use crate::report::{Ended, Outcomes, Report, Rule, Run};
use crate::screen::{self, Screen};
use crate::shown::{Final, Token, Usuario};
use crate::site::Site;
use crate::stop::Stop;
use crate::t;
use crate::words::failed;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than recovery can take for what is left: its age, a pass, and a full backlog.
const SETTLING: Duration = Duration::from_secs(60);
/// In a market that others use, what is pending may be theirs.
const SETTLING_OF_OTHERS: Duration = Duration::from_secs(20);
/// For background tasks of the last purchases.
const REST: Duration = Duration::from_millis(300);

/// Runs it to its verdict.
///
/// # Errors
/// Why it could not be run: the verdict is neither right nor wrong.
pub async fn run(o: &Options, what: &Experiment, stop: &Stop) -> Result<Ended, String> {
    let mut guests = None;
    let report = attend(o, what, stop, &mut guests).await;
    // also where it could not be run to its end: whose market it is keeps no account that nobody knows
    if let Some(people) = guests {
        people.close().await;
    }
    report
}

/// The same; `guests` gets the people who have accounts in a market that is somebody's.
async fn attend(
    o: &Options,
    what: &Experiment,
    stop: &Stop,
    guests: &mut Option<Arc<People>>,
) -> Result<Ended, String> {
    let cluster = match &o.namespace {
        Some(namespace) => {
            let cluster = Cluster::connect(namespace).await?;
            cluster.rights.need(&needs::deeds(what))?;
            Some(cluster)
        }
        None => None,
    };
    opening::fresh(&o.dir)?;
    let began = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let file = o.dir.join("historia.jsonl");
    let recorder = Arc::new(Recorder::create(&file)?);
    let client = http::client(false)?;
    let naive = matches!(&o.target, Target::Local(Programs::Naive(_)));
    let first = match &o.target {
        Target::Local(_) => t!("se inicia el mercado", "the market starts"),
        Target::Url(url, _) => {
            t!("se crean usuarios y tokens en {url}", "users and tokens are made at {url}")
        }
    };
    say!("{first}");
    let wanted = opening::wanted(o.purchases * o.length.as_secs_f64(), o.seed);
    let (local, market, mut opened) = match &o.target {
        Target::Local(programs) => started(o, what, programs, wanted, &recorder).await?,
        Target::Url(url, api_key) => found(url, api_key.as_deref(), wanted, &client, guests).await?,
    };
    let (usuarios, tokens) = (opened.usuarios.clone(), opened.tokens.clone());
    recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;
    let spare = opened.tokens.split_off(opened.tokens.len().saturating_sub(opening::SPARE));
    recorder.begin();
    let meter = Arc::new(Meter::since(recorder.start()));
    let plan = Plan {
        reads: o.reads,
        purchases: o.purchases,
        seed: o.seed,
        usuarios: usuarios.iter().take(usuarios.len().saturating_sub(opening::OWN)).map(|u| u.id).collect(),
        tokens: opened.tokens,
    };
    let prefix = match &o.target {
        Target::Local(_) => "compra".to_owned(),
        // keys that no earlier run had there
        Target::Url(..) => format!("lab-{}", chrono::Utc::now().timestamp_millis()),
    };
    let load = Load::new(market.clone(), Arc::clone(&recorder), Arc::clone(&meter), plan, prefix)?;
    let screen = Screen::new(o.length);
    let customers = tokio::spawn(Arc::clone(&load).run());
    let lab = Lab {
        site: local.clone().map(Site::Local).or(cluster.clone().map(Site::Cluster)),
        seed: o.seed,
        load: Arc::clone(&load),
        meter: Arc::clone(&meter),
        usuarios: usuarios.clone(),
        spare,
        screen: &screen,
        stop,
        end: Instant::now() + o.length,
        length: o.length,
    };
    let story = tokio::select! {
        story = what.script(&lab) => story,
        never = screen::watch(&screen, &meter) => match never {},
    };
    load.stop();
    let calm = match &lab.site {
        Some(site) => site.calm().await,
        None => Ok(()),
    };
    let mut story = story?;
    last(&load, &screen);
    tokio::select! {
        ended = customers => ended.map_err(|e| format!("load: {e}"))??,
        never = screen::watch(&screen, &meter) => match never {},
    }
    tokio::time::sleep(REST).await;
    let (end, mut verdict) = judge(o, local.as_deref(), &client, &market, &usuarios, &tokens).await?;
    recorder.flush()?;
    screen.done();
    let text = serde_json::to_vec(&end.as_ref().ok()).map_err(|e| format!("final.json: {e}"))?;
    std::fs::write(o.dir.join("final.json"), text).map_err(|e| failed(&o.dir, &e))?;
    let history = History::load(&file)?;
    verdict.extend(checker::check(&history, end.as_ref().ok()));
    let measured = meter.measured();
    what.told(&mut story, &measured);
    story.figures.extend(market.people.iter().flat_map(|people| people.figures()));
    story.rules.push(keys(&load, &history));
    let title = what.title();
    let place = match &o.target {
        Target::Local(_) => t!("esta máquina", "this machine"),
        Target::Url(url, _) => cluster.as_ref().map_or_else(|| url.clone(), |c| c.place()),
    };
    let run = Run {
        experiment: what.name(),
        title,
        naive,
        place,
        seed: o.seed,
        command: o.command.clone(),
        began,
        interrupted: stop.heard(),
    };
    let of = Outcomes {
        history: &history,
        end: end.as_ref().map_err(String::as_str),
        verdict: &verdict,
        measured: &measured,
    };
    let report = Report::new(&run, &of, story);
    let written = report.write(&measured, &o.report).map(|_| ());
    Ok(Ended { report, written, calm })
}

/// Says who is waited for.
fn last(load: &Load, screen: &Screen) {
    screen.next(t!("terminan los últimos clientes", "the last customers end"));
    let (n, most) = (load.busy(), load::TAIL.as_secs());
    if n > 0 {
        screen.event(&t!(
            "clientes que aún esperan respuesta: {n}; quien en {most} s no tenga turno se queda sin ella",
            "customers who still wait for an answer: {n}; who has no turn within {most} s gets none"
        ));
    }
}

/// A market, where customers find it, and what is in it.
type Place = (Option<Arc<Local>>, Addresses, Opened);

/// A market that is started for the experiment.
async fn started(
    o: &Options,
    what: &Experiment,
    programs: &Programs,
    wanted: Opened,
    recorder: &Arc<Recorder>,
) -> Result<Place, String> {
    opening::seed(&o.dir, &wanted)?;
    let setup = Setup {
        programs: programs.clone(),
        dir: o.dir.clone(),
        store: None,
        replicas: what.replicas(matches!(programs, Programs::Naive(_))),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        extra: None,
        clocks: None,
        recorder: Some(Arc::clone(recorder)),
        accounts: o.accounts,
    };
    let local = Local::start(setup).await?;
    let mut market = Addresses::one(&local.gateway.url());
    if let Some(password) = &local.office {
        let people = People::of_office(&market.usuarios, password).await?;
        people.open(&wanted.usuarios, "comprador").await?;
        market.people = Some(Arc::new(people));
    }
    Ok((Some(local), market, wanted))
}

/// A market that is there already: the experiment has users and tokens of its own in it.
async fn found(
    url: &str,
    api_key: Option<&str>,
    wanted: Opened,
    client: &reqwest::Client,
    guests: &mut Option<Arc<People>>,
) -> Result<Place, String> {
    let mut market = Addresses::one(url.trim_end_matches('/'));
    if let Some(key) = api_key {
        market.people = Some(Arc::new(People::by_key(&market.usuarios, key.to_owned()).await?));
        guests.clone_from(&market.people);
    }
    let opened = opening::create(client, &market, wanted).await?;
    if let Some(people) = &market.people {
        people.open(&opened.usuarios, &format!("lab-{}", chrono::Utc::now().timestamp_millis())).await?;
    }
    Ok((None, market, opened))
}

/// The market at the end or why it cannot be read, and what is wrong with it before anybody compares it.
async fn judge(
    o: &Options,
    local: Option<&Local>,
    client: &reqwest::Client,
    market: &Addresses,
    usuarios: &[Usuario],
    tokens: &[Token],
) -> Result<(Result<Final, String>, Verdict), String> {
    let mut verdict = Verdict::default();
    let Some(local) = local else {
        // others' holds may be pending for ever
        let _ = reading::settled(client, market, SETTLING_OF_OTHERS).await;
        return Ok((reading::own(client, market, usuarios, tokens).await, verdict));
    };
    let mut end = reading::recovered(client, market, SETTLING, &mut verdict).await;
    let numbers = match &market.people {
        Some(people) if end.is_ok() => people.numbers().await?,
        _ => BTreeMap::new(),
    };
    let stopped = local.stop().await;
    if let (Target::Local(Programs::Market(_)), Ok(end)) = (&o.target, &mut end) {
        if let Err(e) = stopped {
            verdict.add("disk", e);
        }
        let mut disco = reading::disk(&local.data)?;
        people::translate(&mut disco, &numbers);
        end.disco = Some(disco);
    }
    Ok((end, verdict))
}

/// Every key ends.
fn keys(load: &Load, history: &History) -> Rule {
    let endless = load.endless();
    Rule {
        regla: "claves".to_owned(),
        dice: t!("Toda clave llega a una respuesta definitiva", "Every key comes to an answer for good"),
        correcto: endless.is_empty(),
        unchecked: history
            .requests
            .iter()
            .all(|p| p.clave.is_none())
            .then(|| t!("nadie compró", "nobody bought")),
        veces: endless.len() as u64,
        hallazgos: endless.into_iter().take(20).collect(),
    }
}
