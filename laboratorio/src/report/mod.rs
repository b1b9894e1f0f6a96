//! What a run says of itself: the model that its JSON is, and how it is made of a history, a verdict and measurements.
//! `docs/REPORT.md` describes the fields. [`html`] draws it, [`compare`] holds two side by side.

pub mod compare;
pub mod html;
mod money;
pub mod rules;
pub mod series;
pub mod svg;
#[cfg(test)]
mod tests;

use crate::checker::Verdict;
use crate::history::{Final, History};
use crate::measure::{End, Kind, Measured};
use crate::t;
use crate::words::lang;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub use series::{Bucket, Percentile, Share};

/// The version of the model. A field may be added under the same one; nothing is renamed or taken away.
pub const SCHEMA: &str = "laboratorio-1";
/// Findings of a rule that are told; all are counted.
const OF_EACH: usize = 20;

/// A name and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Figure {
    pub nombre: String,
    pub valor: String,
}

impl Figure {
    /// Of these.
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers alike, as they come")]
    pub fn new(nombre: impl Into<String>, valor: impl ToString) -> Self {
        Self { nombre: nombre.into(), valor: valor.to_string() }
    }
}

/// What must hold, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Rule {
    pub regla: String,
    pub dice: String,
    pub correcto: bool,
    /// How often it was broken.
    pub veces: u64,
    /// The first of them, in words.
    pub hallazgos: Vec<String>,
}

impl Rule {
    /// How many findings there are besides the first so many.
    pub fn more(&self, told: usize) -> u64 {
        // a rule of an experiment may put many into one finding
        let all = if self.hallazgos.len() < OF_EACH { self.hallazgos.len() as u64 } else { self.veces };
        all.saturating_sub(told as u64)
    }
}

/// Operations of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Operations {
    pub tipo: String,
    pub nombre: String,
    pub hechas: u64,
    pub rechazadas: u64,
    pub fallidas: u64,
    pub sin_respuesta: u64,
    pub p50_micros: u64,
    pub p90_micros: u64,
    pub p99_micros: u64,
    pub p999_micros: u64,
    pub max_micros: u64,
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Phase {
    pub nombre: String,
    pub desde_micros: u64,
    pub hasta_micros: u64,
    pub lecturas_por_segundo: f64,
    pub compras_por_segundo: f64,
    pub fallidas: u64,
    pub p50_micros: u64,
    pub p99_micros: u64,
    pub reparto: Vec<Share>,
}

/// What was done to the market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Happening {
    pub desde_micros: u64,
    pub hasta_micros: u64,
    pub que: String,
    pub falla: bool,
}

/// The money, in credits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Money {
    pub antes: i64,
    pub abonado: i64,
    pub pagado: i64,
    pub despues: i64,
    /// Beyond what any purchase or abono explains.
    pub diferencia: i64,
    pub compras: u64,
    pub tokens_vendidos_de_mas: u64,
    pub creditos_vendidos_de_mas: i64,
    pub compras_perdidas: u64,
    pub creditos_perdidos: i64,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Report {
    pub esquema: String,
    pub experimento: String,
    pub titulo: String,
    pub pregunta: String,
    pub idioma: String,
    pub correcto: bool,
    pub interrumpido: bool,
    pub veredicto: String,
    pub ingenuo: bool,
    pub donde: String,
    pub cuando: String,
    pub segundos: f64,
    pub semilla: u64,
    pub comando: String,
    pub cifras: Vec<Figure>,
    pub fases: Vec<Phase>,
    pub operaciones: Vec<Operations>,
    pub errores: Vec<Figure>,
    pub marcas: Vec<Happening>,
    pub paso_segundos: u64,
    pub serie: Vec<Bucket>,
    pub latencia: Vec<Percentile>,
    pub dinero: Money,
    pub reglas: Vec<Rule>,
    pub entorno: Vec<Figure>,
}

/// What an experiment adds to what every run has.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// One sentence of what was seen; it follows the verdict on the money.
    pub sentence: String,
    /// What it measured.
    pub figures: Vec<Figure>,
    /// Rules of its own.
    pub rules: Vec<Rule>,
    /// Names of parts of the run, with microseconds.
    pub phases: Vec<(String, u64, u64)>,
}

/// What a run was.
#[derive(Clone, Debug)]
pub struct Run {
    /// As it is typed.
    pub experiment: &'static str,
    /// Its name and the question that it answers.
    pub title: [String; 2],
    /// Against the naive shop.
    pub naive: bool,
    /// On this machine, or a URL.
    pub place: String,
    /// Of everything by chance.
    pub seed: u64,
    /// To do it again.
    pub command: String,
    /// RFC 3339.
    pub began: String,
    /// Ctrl-C.
    pub interrupted: bool,
}

/// What came of a run.
pub struct Outcomes<'a> {
    /// The answers.
    pub history: &'a History,
    /// The market at the end.
    pub end: &'a Final,
    /// The checker's word.
    pub verdict: &'a Verdict,
    /// What the customers met.
    pub measured: &'a Measured,
}

impl Report {
    /// Of a run that is over.
    pub fn new(run: &Run, of: &Outcomes<'_>, story: Story) -> Self {
        let measured = of.measured;
        let ends = measured.samples.iter().map(|s| s.at + s.took).chain(measured.marks.iter().map(|m| m.to));
        let length = ends.max().unwrap_or(0);
        let mut rules = story.rules;
        rules.extend(checked(of.verdict));
        let money = Money::of(of.history, of.end);
        let right = rules.iter().all(|r| r.correcto);
        let (step, series) = series::buckets(measured, length);
        let phases =
            story.phases.into_iter().map(|(name, from, to)| phase(measured, name, from, to)).collect();
        Self {
            esquema: SCHEMA.to_owned(),
            experimento: run.experiment.to_owned(),
            titulo: run.title[0].clone(),
            pregunta: run.title[1].clone(),
            idioma: lang().code().to_owned(),
            correcto: right,
            interrumpido: run.interrupted,
            veredicto: money::sentence(right, &money, &rules, &story.sentence),
            ingenuo: run.naive,
            donde: run.place.clone(),
            cuando: run.began.clone(),
            segundos: length as f64 / 1e6,
            semilla: run.seed,
            comando: run.command.clone(),
            cifras: story.figures,
            fases: phases,
            operaciones: [Kind::Read, Kind::Buy, Kind::Other]
                .into_iter()
                .filter(|kind| measured.samples.iter().any(|s| s.kind == *kind))
                .map(|kind| operations(measured, kind))
                .collect(),
            errores: measured
                .failures
                .iter()
                .map(|((kind, reason), n)| Figure::new(format!("{}: {reason}", name(*kind)), n))
                .collect(),
            marcas: measured
                .marks
                .iter()
                .map(|m| Happening {
                    desde_micros: m.from,
                    hasta_micros: m.to,
                    que: m.what.clone(),
                    falla: m.fault,
                })
                .collect(),
            paso_segundos: step,
            serie: series,
            latencia: series::percentiles(measured),
            dinero: money,
            reglas: rules,
            entorno: environment(),
        }
    }

    /// Writes the HTML file and its JSON beside it; where the JSON is.
    ///
    /// # Errors
    /// With the file's name.
    pub fn write(&self, measured: &Measured, file: &Path) -> Result<PathBuf, String> {
        let json = file.with_extension("json");
        let wrong = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        if let Some(dir) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|e| wrong(dir, &e))?;
        }
        let text = serde_json::to_string_pretty(self).map_err(|e| wrong(&json, &e))?;
        std::fs::write(&json, text + "\n").map_err(|e| wrong(&json, &e))?;
        std::fs::write(file, html::page(self, measured)).map_err(|e| wrong(file, &e))?;
        Ok(json)
    }

    /// Looks whether a report can be written there, before a run that would be for nothing.
    ///
    /// # Errors
    /// With the file's name.
    pub fn place(file: &Path) -> Result<(), String> {
        let wrong = |e: std::io::Error| format!("{}: {e}", file.display());
        if let Some(dir) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(wrong)?;
        }
        std::fs::File::options().create(true).append(true).open(file).map(|_| ()).map_err(wrong)
    }

    /// Reads a report's JSON.
    ///
    /// # Errors
    /// With the file's name.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let wrong = |e: serde_json::Error| {
            let path = path.display();
            t!("{path}: no es un informe del laboratorio: {e}", "{path}: not a report of the laboratory: {e}")
        };
        serde_json::from_slice(&text).map_err(wrong)
    }
}

/// What people call it.
pub fn name(kind: Kind) -> String {
    match kind {
        Kind::Read => t!("lecturas", "reads"),
        Kind::Buy => t!("compras", "purchases"),
        Kind::Other => t!("otras", "others"),
    }
}

fn operations(m: &Measured, kind: Kind) -> Operations {
    let times = m.times(kind, 0, u64::MAX);
    let at = |q| times.value_at_quantile(q);
    Operations {
        tipo: match kind {
            Kind::Read => "lectura",
            Kind::Buy => "compra",
            Kind::Other => "otra",
        }
        .to_owned(),
        nombre: name(kind),
        hechas: m.count(kind, |e| e == End::Done),
        rechazadas: m.count(kind, |e| e == End::Refused),
        fallidas: m.count(kind, |e| e == End::Failed),
        sin_respuesta: m.count(kind, |e| e == End::Silent),
        p50_micros: at(0.5),
        p90_micros: at(0.9),
        p99_micros: at(0.99),
        p999_micros: at(0.999),
        max_micros: times.max(),
    }
}

fn phase(m: &Measured, nombre: String, from: u64, to: u64) -> Phase {
    let within = || m.samples.iter().filter(|s| (from..to).contains(&s.at));
    let rate = |kind| {
        let n = within().filter(|s| s.kind == kind && s.end == End::Done).count();
        n as f64 * 1e6 / to.saturating_sub(from).max(1) as f64
    };
    let times = m.times(Kind::Read, from, to);
    Phase {
        nombre,
        desde_micros: from,
        hasta_micros: to,
        lecturas_por_segundo: rate(Kind::Read),
        compras_por_segundo: rate(Kind::Buy),
        fallidas: within().filter(|s| matches!(s.end, End::Failed | End::Silent)).count() as u64,
        p50_micros: times.value_at_quantile(0.5),
        p99_micros: times.value_at_quantile(0.99),
        reparto: series::shares(m, within().filter(|s| s.kind == Kind::Read)),
    }
}

/// The checker's rules, kept or broken.
fn checked(verdict: &Verdict) -> Vec<Rule> {
    let rule = |name: &str| {
        let found: Vec<_> = verdict.findings.iter().filter(|f| f.rule == name).collect();
        Rule {
            regla: name.to_owned(),
            dice: rules::title(name),
            correcto: found.is_empty(),
            veces: found.len() as u64,
            hallazgos: found.iter().take(OF_EACH).map(|f| f.detail.clone()).collect(),
        }
    };
    rules::RULES.iter().map(|(name, ..)| rule(name)).collect()
}

/// The machine, as far as it says.
fn environment() -> Vec<Figure> {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|l| l.starts_with(key)).and_then(|l| l.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_else(|| "?".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    vec![
        Figure::new(t!("procesador", "processor"), after(&file("/proc/cpuinfo"), "model name")),
        Figure::new(t!("núcleos", "cores"), cores),
        Figure::new(t!("memoria", "memory"), after(&file("/proc/meminfo"), "MemTotal")),
        Figure::new(t!("núcleo de Linux", "kernel"), file("/proc/sys/kernel/osrelease").trim()),
        Figure::new("laboratorio", env!("CARGO_PKG_VERSION")),
        Figure::new(t!("compilado", "built"), if cfg!(debug_assertions) { "debug" } else { "release" }),
    ]
}
