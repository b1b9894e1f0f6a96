//! The command line.

use crate::attack;
use crate::experiment::Experiment;
use crate::experiment::point::{OF_NAIVE, POINTS};
use crate::plan::Service;
use crate::words::Lang;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Load, faults, and a checker that knows nothing of the product.
#[derive(Debug, Parser)]
#[command(name = "laboratorio", version)]
pub struct Cli {
    /// The language of what it says and of its reports; the locale's if left out
    #[arg(long, value_enum, global = true)]
    pub idioma: Option<Lang>,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would print it")]
    pub order: Order,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Order {
    /// Adds processes of a service and takes them away, while customers read and buy
    #[command(name = "escala")]
    Scale(Scale),
    /// Kills a process of a service every so often
    #[command(name = "caida")]
    Crash(Crash),
    /// Replaces every process while customers buy
    #[command(name = "despliegue")]
    Rollout(Common),
    /// Lets a process die at a named point of a purchase
    #[command(name = "fallo")]
    Point(Point),
    /// Lets everything go wrong while customers buy, and says whether the money is right
    #[command(name = "caos")]
    Chaos(Chaos),
    /// Does to a market what a client can do, and says whether it lives, answers and is right
    #[command(name = "ataque")]
    Attack(attack::Options),
    /// The market as it runs in a cluster, with controls in its page: break it by hand
    #[command(name = "aula")]
    Classroom(Classroom),
    /// Two reports side by side
    #[command(name = "comparar")]
    Compare {
        /// A report's JSON
        a: PathBuf,
        /// Another one's
        b: PathBuf,
    },
    /// Judges an old run again, by its directory
    #[command(name = "revisar")]
    Review {
        /// Where its historia.jsonl and final.json are
        dir: PathBuf,
    },
    /// The shop that most people would write at first, which `--ingenuo` starts
    #[command(name = "tienda-ingenua", hide = true)]
    NaiveShop,
}

/// Options of each experiment.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// On this machine: starts what it needs (the default)
    #[arg(long, conflicts_with = "url")]
    pub local: bool,
    /// In this namespace of the kubeconfig's cluster, as far as its RBAC allows; --url is its gateway
    #[arg(long, value_name = "NAMESPACE", conflicts_with_all = ["local", "ingenuo"])]
    pub k8s: Option<String>,
    /// With --url, where people log in: an API key of an account that is tesorero, publicador and auditor
    #[arg(long, env = "CLAVE_API", hide_env_values = true, value_name = "KEY")]
    pub clave_api: Option<String>,
    /// Whether people log in, in a market that is started for it
    #[arg(long, value_enum, default_value_t = Cuentas::No, conflicts_with_all = ["url", "ingenuo"])]
    pub cuentas: Cuentas,
    /// A market that is there already: only load and judgement, on users and tokens of its own
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with = "ingenuo")]
    pub url: Option<String>,
    /// Against the shop that most people would write at first
    #[arg(long)]
    pub ingenuo: bool,
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = seconds)]
    pub segundos: f64,
    /// The seed of everything by chance; the time if left out
    #[arg(long, value_name = "N", value_parser = natural)]
    pub semilla: Option<u64>,
    /// Reads a second, whatever their answers take
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = rate)]
    pub lecturas: f64,
    /// Purchases a second, whatever their answers take
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    pub compras: f64,
    /// Where the report goes, with its JSON beside it; into the directory of the run if left out
    #[arg(long, value_name = "FILE.html", value_parser = html)]
    pub informe: Option<PathBuf>,
    /// An empty directory for the data, the logs and the history; a fresh one if left out
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Options of `escala`.
#[derive(Args, Debug)]
pub struct Scale {
    /// Of which service
    #[arg(long, value_enum, default_value = "tokens")]
    pub servicio: Service,
    /// From one process to so many
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = several)]
    pub replicas: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it")]
    pub common: Common,
}

/// Options of `caida`.
#[derive(Args, Debug)]
pub struct Crash {
    /// Of which service
    #[arg(long, value_enum, default_value = "transacciones")]
    pub servicio: Service,
    /// How many processes of it there are; two if left out, and in a cluster as many as there are
    #[arg(long, value_name = "N", value_parser = replicas)]
    pub replicas: Option<usize>,
    /// Seconds between two deaths
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = seconds)]
    pub cada: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it")]
    pub common: Common,
}

/// Options of `fallo`.
#[derive(Args, Debug)]
pub struct Point {
    /// Where in a purchase; each of them in turn if left out
    #[arg(long, value_name = "POINT", value_parser = PossibleValuesParser::new(POINTS))]
    pub en: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it")]
    pub common: Common,
}

/// Options of `caos`.
#[derive(Args, Debug)]
pub struct Chaos {
    /// On this machine: starts the services itself (the default)
    #[arg(long, conflicts_with = "url")]
    pub local: bool,
    /// In this namespace of the kubeconfig's cluster, as far as its RBAC allows; --url is its gateway
    #[arg(long, value_name = "NAMESPACE", conflicts_with_all = ["local", "ingenuo", "store", "kills"])]
    pub k8s: Option<String>,
    /// With --url, where people log in: an API key of an account that is tesorero, publicador and auditor
    #[arg(long, env = "CLAVE_API", hide_env_values = true, value_name = "KEY")]
    pub clave_api: Option<String>,
    /// Whether people log in: each customer then buys with a session of their own, and some try to buy with somebody else's
    #[arg(long, value_enum, default_value_t = Cuentas::No, conflicts_with_all = ["url", "ingenuo"])]
    pub cuentas: Cuentas,
    /// A market that is there already: only load and judgement, as in any experiment
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with_all = ["ingenuo", "store", "kills"])]
    pub url: Option<String>,
    /// How long, in minutes
    #[arg(long, value_name = "N", value_parser = seconds, conflicts_with = "segundos")]
    pub minutos: Option<f64>,
    /// How long; a minute if left out
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub segundos: Option<f64>,
    /// Instead: until so many processes were killed
    #[arg(long, value_name = "N", value_parser = natural)]
    pub kills: Option<u64>,
    /// The seed of the schedule of faults; the time if left out
    #[arg(long, value_name = "N", value_parser = natural)]
    pub semilla: Option<u64>,
    /// Customers at once, each of whom waits for an answer before the next request
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = customers)]
    pub clientes: u64,
    /// Besides, reads a second, whatever their answers take
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    pub lecturas: f64,
    /// Besides, purchases a second, whatever their answers take
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    pub compras: f64,
    /// What the services keep their data in: files, or PostgreSQL, which is started for it: a primary, a synchronous
    /// standby, and three replicas of each service
    #[arg(long, value_enum, default_value_t = Store::Json)]
    pub store: Store,
    /// With --store postgres: transactions are SERIALIZABLE, as some engines' always are
    #[arg(long)]
    pub serializable: bool,
    /// Against the shop that most people would write at first
    #[arg(long, conflicts_with_all = ["store", "serializable"])]
    pub ingenuo: bool,
    /// Where the report goes, with its JSON beside it; into the directory of the run if left out
    #[arg(long, value_name = "FILE.html", value_parser = html)]
    pub informe: Option<PathBuf>,
    /// An empty directory for the data, the logs and the history; a fresh one if left out
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Options of `aula`.
#[derive(Args, Debug)]
pub struct Classroom {
    /// Port of the page, on 127.0.0.1
    #[arg(long, value_name = "N", default_value_t = 8080, value_parser = port)]
    pub port: u16,
    /// What the services keep their data in: files, or PostgreSQL, which is started for it
    #[arg(long, value_enum, default_value_t = Store::Json)]
    pub store: Store,
    /// The controls act on this namespace of the kubeconfig's cluster, as far as its RBAC allows; --url is its gateway
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "store")]
    pub k8s: Option<String>,
    /// With --k8s: where the cluster's gateway can be reached
    #[arg(long, value_name = "URL", value_parser = url, requires = "k8s")]
    pub url: Option<String>,
    /// With --k8s, where people log in: an API key of an account that is tesorero, publicador and auditor
    #[arg(long, env = "CLAVE_API", hide_env_values = true, value_name = "KEY")]
    pub clave_api: Option<String>,
    /// Opens no browser
    #[arg(long)]
    pub sin_navegador: bool,
    /// The seed of what customers ask for; the time if left out
    #[arg(long, value_name = "N", value_parser = natural)]
    pub semilla: Option<u64>,
    /// An empty directory for the data, the logs and the reports; a fresh one if left out
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// What was typed, with the seed that makes it the same again. Without an API key: reports are sent around. Without the
/// directory: it is not empty any more.
pub fn again(typed: impl Iterator<Item = String>, seed: Option<u64>) -> Vec<String> {
    let mut words = Vec::new();
    let mut value = false;
    for word in typed {
        let dropped = ["--clave-api", "--dir"].iter().any(|o| word == *o);
        let joined = ["--clave-api=", "--dir="].iter().any(|o| word.starts_with(o));
        if !(dropped || joined || value) {
            words.push(word);
        }
        value = dropped;
    }
    if let Some(seed) = seed {
        words.extend(["--semilla".to_owned(), seed.to_string()]);
    }
    words
}

/// A word as a shell takes it for one.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Whether people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cuentas {
    /// They do.
    Si,
    /// Whoever asks says who they are.
    No,
}

/// What services keep their data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// Files.
    Json,
    /// Tables.
    Postgres,
}

impl Order {
    /// The experiment, and what all have; nothing where it is another order.
    pub fn experiment(&self) -> Option<(Experiment, Common)> {
        Some(match self {
            Self::Scale(o) => (Experiment::Scale { service: o.servicio, most: o.replicas }, o.common.clone()),
            Self::Crash(o) => {
                let every = Duration::from_secs_f64(o.cada);
                (Experiment::Crash { service: o.servicio, every, replicas: o.replicas }, o.common.clone())
            }
            Self::Rollout(common) => (Experiment::Rollout, common.clone()),
            Self::Point(o) => {
                let known = if o.common.ingenuo { &OF_NAIVE[..] } else { &POINTS };
                let wanted = |p: &&str| o.en.as_deref().is_none_or(|en| en == *p);
                let points = known.iter().copied().filter(wanted).collect();
                (Experiment::Point { points }, o.common.clone())
            }
            _ => return None,
        })
    }
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(crate::t!(
            "debe ser un número de {least} a {most}",
            "must be a number from {least} to {most}"
        )),
    }
}

/// At most a day.
fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.01, 86_400.0)
}

/// As much as one machine can send.
fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.0, 20_000.0)
}

fn natural(text: &str) -> Result<u64, String> {
    let wrong =
        |_| crate::t!("debe ser un número entero, sin signo", "must be a whole number, without a sign");
    text.parse().map_err(wrong)
}

/// A whole number within these bounds.
fn within<N: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<N, String> {
    let n = natural(text)?;
    N::try_from(n)
        .ok()
        .filter(|_| (least..=most).contains(&n))
        .ok_or_else(|| crate::t!("debe estar entre {least} y {most}", "must be between {least} and {most}"))
}

fn customers(text: &str) -> Result<u64, String> {
    within(text, 1, 10_000)
}

fn port(text: &str) -> Result<u16, String> {
    within(text, 1, u16::MAX.into())
}

fn replicas(text: &str) -> Result<usize, String> {
    within(text, 1, 20)
}

/// More than the one that a scaling begins with.
fn several(text: &str) -> Result<usize, String> {
    within(text, 2, 20)
}

fn url(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(text.trim_end_matches('/').to_owned()),
        Ok(url) if url.scheme() == "https" => Err(crate::t!(
            "el laboratorio no habla TLS: use http://",
            "the laboratory speaks no TLS: use http://"
        )),
        _ => Err(crate::t!("debe ser como http://127.0.0.1:8080", "must be like http://127.0.0.1:8080")),
    }
}

fn html(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => Ok(path),
        _ => Err(crate::t!("debe terminar en .html", "must end in .html")),
    }
}

#[cfg(test)]
mod tests {
    use super::{again, quoted};
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_word_is_one_for_a_shell_as_well() {
        let words = ["--informe=/tmp/a-b_1.html", "http://127.0.0.1:1/?a=1", "a b", "it's", "$HOME", ""];
        let said = words.map(quoted).join(" ");
        let print = format!("printf '%s\\n' {said}");
        let output = std::process::Command::new("sh").args(["-c", &print]).process_group(0).output();
        let heard = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(heard.lines().collect::<Vec<_>>(), words);
        assert_eq!(quoted(words[0]), words[0]);
    }

    #[test]
    fn a_command_to_repeat_has_no_directory_and_no_key() {
        let said = |typed: &str| again(typed.split(' ').map(str::to_owned), Some(7)).join(" ");
        let kept = "caida --cada 2 --semilla 7";
        for typed in
            ["--dir /tmp/x", "--dir=/tmp/x", "--clave-api k", "--clave-api=k", "--dir d --clave-api k"]
        {
            assert_eq!(said(&format!("caida {typed} --cada 2")), kept);
        }
    }
}
