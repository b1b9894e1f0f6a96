//! `laboratorio --help` shows what it can do; [`laboratorio`] says why.

use clap::FromArgMatches;
use laboratorio::attack;
use laboratorio::chaos;
use laboratorio::checker;
use laboratorio::classroom::{self, place::Place};
use laboratorio::experiment::{self, Experiment, Target, opening, point};
use laboratorio::history::History;
use laboratorio::local::Programs;
use laboratorio::options::{Chaos, Classroom, Cli, Common, Cuentas, Order, Store};
use laboratorio::report::{Ended, Report, compare, rules};
use laboratorio::shown::Final;
use laboratorio::stop::Stop;
use laboratorio::words::{self, Lang, counted, speak, whole};
use laboratorio::world::{Shop, Storage};
use laboratorio::{complain, help, naive, options, programs, say, t};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Findings of a rule that the terminal shows; the report has more.
const OF_EACH: usize = 5;
/// `EX_USAGE` of sysexits(3).
const USAGE: u8 = 64;

/// What a run came to.
enum Word {
    Right,
    Wrong,
    /// Nothing wrong was seen, and it was stopped before its end, or the market could not be read; or something went wrong
    /// after the verdict.
    Undecided,
    /// Options that do not go together.
    BadOptions,
}

fn main() -> ExitCode {
    // before clap, so that what is wrong with the options is said in the same language
    let asked = std::env::args().skip_while(|a| a != "--idioma").nth(1);
    let asked =
        asked.or_else(|| std::env::args().find_map(|a| a.strip_prefix("--idioma=").map(str::to_owned)));
    speak(match asked.as_deref() {
        Some("en") => Lang::En,
        Some("es") => Lang::Es,
        _ => Lang::of_locale(),
    });
    let cli = match help::command().try_get_matches().and_then(|typed| Cli::from_arg_matches(&typed)) {
        Ok(cli) => cli,
        Err(e) => {
            match help::wrong(&e) {
                Some(said) => complain!("{said}"),
                None => _ = e.print(),
            }
            return if e.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match (cli.order, runtime) {
        (_, Err(e)) => Err(format!("runtime: {e}")),
        (Order::Compare { a, b }, _) => compared(&a, &b),
        (Order::Review { dir }, _) => review(&dir),
        // actix brings runtimes of its own
        (Order::NaiveShop, _) => actix_web::rt::System::new().block_on(naive::serve()).map(|()| Word::Right),
        (order, Ok(runtime)) => runtime.block_on(run(order)),
    };
    match result {
        Ok(Word::Right) => ExitCode::SUCCESS,
        Ok(Word::Wrong) => ExitCode::from(1),
        Ok(Word::Undecided) => ExitCode::from(2),
        Ok(Word::BadOptions) => ExitCode::from(USAGE),
        Err(e) => {
            complain!("{}", t!("no se pudo correr: {e}", "could not run: {e}"));
            ExitCode::from(2)
        }
    }
}

async fn run(order: Order) -> Result<Word, String> {
    let stop = Stop::listen()?;
    let run = async {
        match order {
            Order::Chaos(options) => chaos(options, &stop).await,
            Order::Classroom(options) => class(options, &stop).await,
            Order::Attack(options) => attacked(&options, &stop).await,
            order => match order.experiment() {
                Some((what, common)) => experiment(&what, common, &stop).await,
                None => Ok(Word::Right),
            },
        }
    };
    tokio::select! {
        word = run => word,
        // whoever asks twice wants neither an orderly end nor a report; what was started ends with this process
        () = stop.at_once() => Err(t!("interrumpido dos veces", "interrupted twice")),
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn fresh() -> PathBuf {
    std::env::temp_dir().join(format!("laboratorio-{}-{}", now(), std::process::id()))
}

fn this() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| t!("este programa: {e}", "this executable: {e}"))
}

/// Runs it in this directory. What has not begun leaves no new one behind.
async fn within<T>(dir: &Path, run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let new = !dir.exists();
    let done = run.await;
    if new && done.is_err() {
        opening::forget(dir);
    }
    done
}

/// As it can be typed again.
fn command(seed: Option<u64>, chosen: u64) -> String {
    let words = options::again(std::env::args().skip(1), seed.is_none().then_some(chosen));
    let words: Vec<_> = words.iter().map(|word| options::quoted(word)).collect();
    format!("cargo run --release -p laboratorio -- {}", words.join(" "))
}

async fn experiment(what: &Experiment, c: Common, stop: &Stop) -> Result<Word, String> {
    if matches!(what, Experiment::Point { points } if points.is_empty()) {
        let known = point::OF_NAIVE.join(", ");
        complain!(
            "{}",
            t!(
                "la tienda ingenua no tiene ese punto; con --ingenuo, --en puede ser: {known}",
                "the naive shop has no such point; with --ingenuo, --en may be: {known}"
            )
        );
        return Ok(Word::BadOptions);
    }
    let purchases = c.compras * c.segundos;
    if purchases > opening::MOST_PURCHASES {
        let [purchases, most] = [purchases, opening::MOST_PURCHASES].map(|n| whole(n as u64));
        complain!(
            "{}",
            t!(
                "--compras por --segundos son {purchases} compras, y un experimento tiene tokens para {most}: pida menos",
                "--compras times --segundos are {purchases} purchases, and an experiment has tokens for {most}: ask for fewer"
            )
        );
        return Ok(Word::BadOptions);
    }
    match &c.k8s {
        Some(_) if matches!(what, Experiment::Point { .. }) => {
            complain!(
                "{}",
                t!(
                    "fallo es solo para esta máquina: las imágenes no tienen puntos en que morir; en un clúster use caida",
                    "fallo is for this machine only: images have no points to die at; in a cluster use caida"
                )
            );
            return Ok(Word::BadOptions);
        }
        Some(namespace) if c.url.is_none() => return Ok(no_url(namespace, 8080)),
        Some(_) | None => {}
    }
    if let Some(file) = &c.informe {
        Report::place(file)?;
    }
    let exe = this()?;
    let target = match c.url {
        Some(url) => Target::Url(url, c.clave_api),
        None if c.ingenuo => Target::Local(Programs::Naive(exe)),
        None => Target::Local(Programs::Market(programs::services(&exe)?)),
    };
    let seed = c.semilla.unwrap_or_else(now);
    let dir = c.dir.unwrap_or_else(fresh);
    let options = experiment::Options {
        target,
        accounts: c.cuentas == Cuentas::Si,
        length: Duration::from_secs_f64(c.segundos),
        seed,
        reads: c.lecturas,
        purchases: c.compras,
        report: c.informe.unwrap_or_else(|| dir.join("informe.html")),
        command: command(c.semilla, seed),
        dir,
        namespace: c.k8s,
    };
    began(seed, &options.dir);
    let ended = within(&options.dir, Box::pin(experiment::run(&options, what, stop))).await?;
    Ok(tell(&ended, &options.report, &options.dir))
}

async fn chaos(c: Chaos, stop: &Stop) -> Result<Word, String> {
    let seconds = c.segundos.or(c.minutos.map(|m| m * 60.0)).unwrap_or(60.0);
    if let (Some(namespace), None) = (&c.k8s, &c.url) {
        return Ok(no_url(namespace, 8080));
    }
    if let Some(url) = c.url {
        let what = if c.k8s.is_some() { Experiment::Mayhem } else { Experiment::Plain };
        let common = Common {
            local: false,
            url: Some(url),
            clave_api: c.clave_api,
            cuentas: c.cuentas,
            ingenuo: false,
            segundos: seconds,
            semilla: c.semilla,
            lecturas: if c.lecturas > 0.0 { c.lecturas } else { 50.0 },
            compras: if c.compras > 0.0 { c.compras } else { 10.0 },
            informe: c.informe,
            dir: c.dir,
            k8s: c.k8s,
        };
        return experiment(&what, common, stop).await;
    }
    let storage = match c.store {
        Store::Postgres => Storage::Postgres { serializable: c.serializable },
        Store::Json if c.serializable => {
            let why = t!("--serializable va con --store postgres", "--serializable is for --store postgres");
            complain!("{why}");
            return Ok(Word::BadOptions);
        }
        Store::Json => Storage::Json,
    };
    if let Some(file) = &c.informe {
        Report::place(file)?;
    }
    let exe = this()?;
    let shop = if c.ingenuo { Shop::Naive(exe) } else { Shop::Market(programs::services(&exe)?, storage) };
    let seed = c.semilla.unwrap_or_else(now);
    let dir = c.dir.unwrap_or_else(fresh);
    let options = chaos::Options {
        duration: Duration::from_secs_f64(seconds),
        kills: c.kills,
        seed,
        customers: c.clientes,
        reads: c.lecturas,
        purchases: c.compras,
        shop,
        accounts: c.cuentas == Cuentas::Si,
        report: c.informe.unwrap_or_else(|| dir.join("informe.html")),
        command: command(c.semilla, seed),
        dir,
    };
    began(seed, &options.dir);
    let ended = within(&options.dir, Box::pin(chaos::run(&options, stop))).await?;
    Ok(tell(&ended, &options.report, &options.dir))
}

async fn class(c: Classroom, stop: &Stop) -> Result<Word, String> {
    let exe = this()?;
    let place = match (c.k8s, c.url) {
        // the page has the port that kubectl would be told
        (Some(namespace), None) => return Ok(no_url(&namespace, 8081)),
        (Some(namespace), Some(url)) => Place::Cluster { namespace, url, api_key: c.clave_api },
        (None, _) => Place::Local(programs::services(&exe)?),
    };
    let options = classroom::Options {
        place,
        exe,
        port: c.port,
        postgres: c.store == Store::Postgres,
        browser: !c.sin_navegador,
        seed: c.semilla.unwrap_or_else(now),
        dir: c.dir.unwrap_or_else(fresh),
    };
    let dir = options.dir.clone();
    within(&dir, Box::pin(classroom::run(options, stop))).await.map(|()| Word::Right)
}

/// A cluster's market is reached by its gateway, as its customers reach it. Which address that is differs from cluster to cluster.
fn no_url(namespace: &str, port: u16) -> Word {
    complain!(
        "{}",
        t!(
            "--k8s necesita --url, la dirección de la puerta de enlace: deje corriendo «kubectl -n {namespace} port-forward service/gateway {port}:80» y agregue --url http://127.0.0.1:{port}",
            "--k8s needs --url, the gateway's address: leave \"kubectl -n {namespace} port-forward service/gateway {port}:80\" running and add --url http://127.0.0.1:{port}"
        )
    );
    Word::BadOptions
}

async fn attacked(options: &attack::Options, stop: &Stop) -> Result<Word, String> {
    let bin = programs::services(&this()?)?;
    tokio::select! {
        right = attack::run(options, &bin) => Ok(if right? { Word::Right } else { Word::Wrong }),
        () = stop.stopped() => Err(t!("interrumpido", "interrupted")),
    }
}

fn began(seed: u64, dir: &Path) {
    let dir = dir.display();
    say!("{}", t!("semilla {seed}, directorio {dir}", "seed {seed}, directory {dir}"));
}

/// Says on the terminal what the report says, and then what went wrong after the verdict.
fn tell(ended: &Ended, file: &Path, dir: &Path) -> Word {
    let report = &ended.report;
    say!("");
    for figure in &report.cifras {
        say!("{:<44} {}", figure.nombre, figure.valor);
    }
    say!("");
    for o in &report.operaciones {
        let (name, failed) = (&o.nombre, whole(o.fallidas + o.sin_respuesta));
        let done = counted(o.hechas, ["hecha", "hechas"], ["done", "done"]);
        let [p50, p99] = [o.p50_micros, o.p99_micros].map(words::measured);
        let refused = counted(o.rechazadas, ["rechazada", "rechazadas"], ["refused", "refused"]);
        say!(
            "{}",
            t!(
                "{name}: {done}, {refused}, {failed} sin éxito; 50 % en {p50}, 99 % en {p99}",
                "{name}: {done}, {refused}, {failed} failed; 50 % within {p50}, 99 % within {p99}"
            )
        );
    }
    say!("");
    for rule in report.reglas.iter().filter(|r| !r.correcto) {
        say!("{}: {}", rule.dice, rule.state());
        for found in rule.hallazgos.iter().take(OF_EACH) {
            say!("  {found}");
        }
        let more = rule.more(OF_EACH);
        if more > 0 {
            say!("  {}", t!("… y {more} más", "… and {more} more"));
        }
    }
    for rule in &report.reglas {
        if let Some(why) = &rule.unchecked {
            say!("{}: {} ({why})", rule.dice, rule.state());
        }
    }
    say!("{}: {}", report.light(), report.veredicto);
    let (html, history) = (file.display(), dir.join("historia.jsonl"));
    let history = history.display();
    if ended.written.is_ok() {
        say!("{}", t!("informe: {html}", "report: {html}"));
    }
    say!("{}", t!("historia: {history}", "history: {history}"));
    if let Err(e) = &ended.written {
        let dir = options::quoted(&dir.to_string_lossy());
        complain!(
            "{}",
            t!(
                "el informe no se pudo escribir: {e}; «laboratorio revisar {dir}» juzga de nuevo esta corrida",
                "the report could not be written: {e}; \"laboratorio revisar {dir}\" judges this run again"
            )
        );
    }
    if let Err(e) = &ended.calm {
        complain!("{}", t!("el mercado no quedó como estaba: {e}", "the market is not as it was: {e}"));
    }
    if ended.written.is_err() || ended.calm.is_err() {
        return Word::Undecided;
    }
    match (report.right(), report.interrumpido) {
        (Some(false), _) => Word::Wrong,
        (None, _) | (_, true) => Word::Undecided,
        (Some(true), false) => Word::Right,
    }
}

fn compared(a: &Path, b: &Path) -> Result<Word, String> {
    let (one, other) = (Report::load(a)?, Report::load(b)?);
    let rows = compare::rows(&one, &other);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1).max(8));
    for [what, a, b] in &rows {
        say!("{what:<first$}  {a:<second$}  {b}");
    }
    Ok(Word::Right)
}

fn review(dir: &Path) -> Result<Word, String> {
    let history = History::load(&dir.join("historia.jsonl"))?;
    let path = dir.join("final.json");
    let text = std::fs::read(&path).map_err(|e| words::failed(&path, &e))?;
    let end: Option<Final> = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let verdict = checker::check(&history, end.as_ref());
    for h in &verdict.findings {
        say!("{}: {}", rules::title(h.rule), h.detail);
    }
    let (n, keys) = (verdict.findings.len(), verdict.overtaken);
    say!("{}", t!("hallazgos: {n}", "findings: {n}"));
    say!("{}: {keys}", checker::overtaken());
    if end.is_none() {
        say!("{}", t!("no se pudo leer el mercado", "the market could not be read"));
    }
    Ok(match (verdict.findings.is_empty(), end) {
        (false, _) => Word::Wrong,
        (true, Some(_)) => Word::Right,
        (true, None) => Word::Undecided,
    })
}
