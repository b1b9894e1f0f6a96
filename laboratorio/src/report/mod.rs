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
use crate::history::History;
use crate::measure::{End, Kind, Measured};
use crate::shown::Final;
use crate::t;
use crate::words::{failed, lang};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// Nothing was found against it.
    pub correcto: bool,
    /// Why it could not be checked; nothing where it was.
    #[serde(default, rename = "noComprobado", skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
    /// How often it was broken.
    pub veces: u64,
    /// The first of them, in words.
    pub hallazgos: Vec<String>,
}

impl Rule {
    /// Kept, broken or not checked, in words.
    pub fn state(&self) -> String {
        match (self.correcto, &self.unchecked, self.veces) {
            (false, _, ..=1) => t!("se rompió", "broken"),
            (false, _, n) => t!("se rompió × {n}", "broken × {n}"),
            (true, None, _) => t!("se cumplió", "kept"),
            (true, Some(_), _) => t!("no se comprobó", "not checked"),
        }
    }

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
    /// Reads that were to begin; older reports have none.
    #[serde(default)]
    pub lecturas_pedidas_por_segundo: Option<f64>,
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
    /// Nothing where the market could not be read.
    pub dinero: Option<Money>,
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

/// A run that came to its verdict.
pub struct Ended {
    /// What it says.
    pub report: Report,
    /// Whether that could be written to its files.
    pub written: Result<(), String>,
    /// Whether the market is as it was.
    pub calm: Result<(), String>,
}

/// What came of a run.
pub struct Outcomes<'a> {
    /// The answers.
    pub history: &'a History,
    /// The market at the end, or why it could not be read.
    pub end: Result<&'a Final, &'a str>,
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
        rules.extend(rules::checked(run, of));
        let money = of.end.map(|end| Money::of(of.history, end));
        let (step, series) = series::buckets(measured, length);
        let phases =
            story.phases.into_iter().map(|(name, from, to)| phase(measured, name, from, to)).collect();
        Self {
            esquema: SCHEMA.to_owned(),
            experimento: run.experiment.to_owned(),
            titulo: run.title[0].clone(),
            pregunta: run.title[1].clone(),
            idioma: lang().code().to_owned(),
            correcto: money.is_ok() && rules.iter().all(|r| r.correcto),
            interrumpido: run.interrupted,
            veredicto: money::sentence(money.as_ref(), &rules, &story.sentence),
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
            dinero: money.ok(),
            reglas: rules,
            entorno: environment(),
        }
    }

    /// Whether all is right; nothing where no rule is broken and most could not be checked.
    pub fn right(&self) -> Option<bool> {
        (self.correcto || self.reglas.iter().any(|rule| !rule.correcto)).then_some(self.correcto)
    }

    /// Its operations of this kind; nothing where there were none.
    pub fn of(&self, kind: Kind) -> Option<&Operations> {
        self.operaciones.iter().find(|o| o.tipo == word(kind))
    }

    /// The word that stands before the verdict.
    pub fn light(&self) -> String {
        let light = match self.right() {
            Some(true) => t!("VERDE", "GREEN"),
            Some(false) => t!("ROJO", "RED"),
            None => t!("SIN VEREDICTO", "NO VERDICT"),
        };
        match self.interrumpido {
            true => t!("{light} (se interrumpió antes de su fin)", "{light} (interrupted before its end)"),
            false => light,
        }
    }

    /// Writes the HTML file and its JSON beside it; where the JSON is.
    ///
    /// # Errors
    /// With the file's name.
    pub fn write(&self, measured: &Measured, file: &Path) -> Result<PathBuf, String> {
        let json = file.with_extension("json");
        if let Some(dir) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
            std::fs::create_dir_all(dir).map_err(|e| failed(dir, &e))?;
        }
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(&json, &e.into()))?;
        std::fs::write(&json, text + "\n").map_err(|e| failed(&json, &e))?;
        std::fs::write(file, html::page(self, measured)).map_err(|e| failed(file, &e))?;
        Ok(json)
    }

    /// Looks whether a report and its JSON can be written there, before a run that would be for nothing. It leaves nothing there:
    /// the run may not start, and its own directory must be empty.
    ///
    /// # Errors
    /// With the file's name.
    pub fn place(file: &Path) -> Result<(), String> {
        let dirs = file.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
        let new: Vec<_> = dirs.take_while(|dir| !dir.exists()).collect();
        let tried = [file.to_owned(), file.with_extension("json")].iter().try_for_each(|path| {
            if let Some(dir) = new.first() {
                std::fs::create_dir_all(dir).map_err(|e| (path.clone(), e))?;
            }
            let there = path.exists();
            std::fs::File::options().create(true).append(true).open(path).map_err(|e| (path.clone(), e))?;
            if there { Ok(()) } else { std::fs::remove_file(path).map_err(|e| (path.clone(), e)) }
        });
        for dir in new {
            let _ = std::fs::remove_dir(dir);
        }
        tried.map_err(|(path, e)| failed(&path, &e))
    }

    /// Reads a report's JSON.
    ///
    /// # Errors
    /// With the file's name.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|e| failed(path, &e))?;
        let wrong = |e: serde_json::Error| {
            let path = path.display();
            t!("{path}: no es un informe del laboratorio: {e}", "{path}: not a report of the laboratory: {e}")
        };
        let report: Value = serde_json::from_slice(&text).map_err(wrong)?;
        match report.get("esquema").and_then(Value::as_str) {
            Some(SCHEMA) | None => serde_json::from_value(report).map_err(wrong),
            Some(other) => {
                let path = path.display();
                Err(t!(
                    "{path}: este laboratorio lee informes {SCHEMA}, y éste es {other}: compárelo con el laboratorio que lo hizo",
                    "{path}: this laboratory reads reports {SCHEMA}, and this one is {other}: compare it by the laboratory that made it"
                ))
            }
        }
    }
}

/// What people call it.
pub fn name(kind: Kind) -> String {
    match kind {
        Kind::Read => t!("lecturas", "reads"),
        Kind::Buy => t!("peticiones de compra", "purchase requests"),
        Kind::Other => t!("otras peticiones", "other requests"),
    }
}

/// What the JSON calls it.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "lectura",
        Kind::Buy => "compra",
        Kind::Other => "otra",
    }
}

fn operations(m: &Measured, kind: Kind) -> Operations {
    let times = m.times(kind, 0, u64::MAX);
    let at = |q| times.value_at_quantile(q);
    Operations {
        tipo: word(kind).to_owned(),
        nombre: name(kind),
        hechas: m.count(kind, |e| e == End::Done),
        rechazadas: m.count(kind, |e| e == End::Refused),
        fallidas: m.count(kind, |e| e == End::Failed),
        sin_respuesta: m.count(kind, |e| matches!(e, End::Silent | End::Left)),
        p50_micros: at(0.5),
        p90_micros: at(0.9),
        p99_micros: at(0.99),
        p999_micros: at(0.999),
        max_micros: times.max(),
    }
}

/// Whether fewer were answered than were to be: more than what the edges of a part explain.
pub fn short(answered: f64, wanted: f64) -> bool {
    answered < wanted * 0.95 && wanted - answered >= 1.0
}

/// A part of the run. Answers are of the part in which they came, times of those that were to begin in it.
fn phase(m: &Measured, nombre: String, from: u64, to: u64) -> Phase {
    let came = || m.samples.iter().filter(|s| (from..to).contains(&s.ended()));
    let times = m.times(Kind::Read, from, to);
    Phase {
        nombre,
        desde_micros: from,
        hasta_micros: to,
        lecturas_por_segundo: m.answered(Kind::Read, from, to),
        lecturas_pedidas_por_segundo: Some(m.offered(Kind::Read, from, to)),
        compras_por_segundo: m.answered(Kind::Buy, from, to),
        fallidas: came().filter(|s| matches!(s.end, End::Failed | End::Silent)).count() as u64,
        p50_micros: times.value_at_quantile(0.5),
        p99_micros: times.value_at_quantile(0.99),
        reparto: series::shares(m, came().filter(|s| s.kind == Kind::Read)),
    }
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
        Figure::new(t!("memoria", "memory"), gib(&after(&file("/proc/meminfo"), "MemTotal"))),
        Figure::new(t!("núcleo de Linux", "kernel"), file("/proc/sys/kernel/osrelease").trim()),
        Figure::new("laboratorio", env!("CARGO_PKG_VERSION")),
        Figure::new(t!("compilado", "built"), if cfg!(debug_assertions) { "debug" } else { "release" }),
    ]
}

/// What the kernel says in kB.
fn gib(kernels: &str) -> String {
    match kernels.trim_end_matches(" kB").parse::<f64>() {
        Ok(kb) => format!("{:.1} GiB", kb / f64::from(1 << 20)),
        Err(_) => kernels.to_owned(),
    }
}
