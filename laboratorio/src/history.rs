//! What the clients saw, one JSON line for each request, with the market before the first one and after the last.

use crate::shown::{Token, Transaccion, Usuario};
use crate::t;
use crate::words::{credits, failed, time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op")]
#[expect(missing_docs, reason = "the API's own words")]
pub enum Op {
    #[serde(rename = "comprar")]
    Buy { usuario: u64, token: u64, precio: Option<u64> },
    #[serde(rename = "abonar")]
    Credit { usuario: u64, monto: u64 },
    #[serde(rename = "renombrar")]
    Rename { usuario: u64, nombre: String },
    #[serde(rename = "cambiarPrecio")]
    ChangePrecio { token: u64, precio: u64 },
    #[serde(rename = "crearToken")]
    CreateToken { nombre: String, precio: u64 },
    #[serde(rename = "verToken")]
    ShowToken { token: u64 },
    #[serde(rename = "verUsuario")]
    ShowUsuario { usuario: u64 },
    #[serde(rename = "verTokens")]
    ListTokens,
}

/// As a finding says it.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Buy { usuario, token, precio: None } => {
                t!(
                    "comprar el token {token} para el usuario {usuario}",
                    "buying token {token} for user {usuario}"
                )
            }
            Self::Buy { usuario, token, precio: Some(precio) } => {
                t!(
                    "comprar el token {token} para el usuario {usuario} por {}",
                    "buying token {token} for user {usuario} at {}",
                    credits(*precio)
                )
            }
            Self::Credit { usuario, monto } => {
                t!("abonar {} al usuario {usuario}", "adding {} to user {usuario}", credits(*monto))
            }
            Self::Rename { usuario, nombre } => {
                t!("llamar «{nombre}» al usuario {usuario}", "renaming user {usuario} \"{nombre}\"")
            }
            Self::ChangePrecio { token, precio } => {
                t!(
                    "cambiar a {} el precio del token {token}",
                    "changing token {token}'s price to {}",
                    credits(*precio)
                )
            }
            Self::CreateToken { nombre, precio } => {
                t!("crear el token «{nombre}» a {}", "making token \"{nombre}\" at {}", credits(*precio))
            }
            Self::ShowToken { token } => t!("ver el token {token}", "looking at token {token}"),
            Self::ShowUsuario { usuario } => t!("ver al usuario {usuario}", "looking at user {usuario}"),
            Self::ListTokens => t!("ver la lista de tokens", "looking at the list of tokens"),
        })
    }
}

/// One request and what came of it. Times are microseconds of one monotonic clock, from the start of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Who sent it.
    pub cliente: u64,
    /// What.
    #[serde(flatten)]
    pub op: Op,
    /// With whose session, where people log in: that of this usuario's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sujeto: Option<u64>,
    /// The `Idempotency-Key`; where people log in, with whose it is before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clave: Option<String>,
    /// When it was sent.
    pub desde: u64,
    /// When the answer had come, or the client gave up.
    pub hasta: u64,
    /// The status; nothing where no whole answer came.
    pub estado: Option<u16>,
    /// The answer's body.
    pub cuerpo: Value,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// What an answer means for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx that can be read: it is done.
    Done,
    /// 4xx: it is not done, and will not be unless it is sent again.
    Refused,
    /// 5xx, no answer, or none that can be read: anything may have happened.
    Open,
}

impl Request {
    /// What it came to.
    pub fn outcome(&self) -> Outcome {
        match self.estado {
            Some(200..=299) if !self.cuerpo.is_null() => Outcome::Done,
            Some(400..=499) => Outcome::Refused,
            _ => Outcome::Open,
        }
    }

    /// Whether it is what no market may answer: an error of its own, or a success that cannot be read.
    pub fn is_bad(&self) -> bool {
        match self.estado {
            Some(200..=299) => self.cuerpo.is_null(),
            Some(500..=599) => !matches!(self.estado, Some(503 | 507)),
            _ => false,
        }
    }

    /// A number of the answer's body.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.cuerpo.get(field)?.as_u64()
    }

    /// How a finding names it.
    pub fn name(&self) -> String {
        let (client, at) = (self.cliente, time(self.desde));
        match &self.clave {
            Some(clave) => t!("la clave {clave}", "key {clave}"),
            None => t!("la petición del cliente {client} en {at}", "client {client}'s request at {at}"),
        }
    }

    /// The answer's body, as a finding says it.
    pub fn body(&self) -> String {
        match serde_json::from_value::<Transaccion>(self.cuerpo.clone()) {
            Ok(bought) => format!("«{bought}»"),
            Err(_) => self.cuerpo.to_string(),
        }
    }

    /// The status, as a finding says it.
    pub fn status(&self) -> String {
        self.estado.map_or_else(|| t!("nada", "nothing"), |status| status.to_string())
    }
}

/// A line of the history file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "linea")]
pub enum Line {
    /// The market before the first request.
    #[serde(rename = "apertura")]
    Opening {
        /// Its users.
        usuarios: Vec<Usuario>,
        /// Its catalogue.
        tokens: Vec<Token>,
    },
    /// A request.
    #[serde(rename = "peticion")]
    Request(Request),
    /// While this lasted, a purchase could lie in front of the service, unread: a frozen process's socket, a slow
    /// network. Requests may have overtaken each other.
    #[serde(rename = "demora")]
    Delay {
        /// Microseconds.
        desde: u64,
        /// Microseconds.
        hasta: u64,
    },
    /// A fault, for the reader.
    #[serde(rename = "falla")]
    Fault {
        /// Microseconds.
        en: u64,
        /// In words.
        que: String,
    },
}

/// Everything that the checker knows of the past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Users before the first request.
    pub usuarios: Vec<Usuario>,
    /// Catalogue before the first request.
    pub tokens: Vec<Token>,
    /// By the time of sending.
    pub requests: Vec<Request>,
    /// See [`Line::Delay`].
    pub delays: Vec<(u64, u64)>,
}

impl History {
    /// From lines in any order.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut history = Self::default();
        for line in lines {
            match line {
                Line::Opening { usuarios, tokens } => {
                    (history.usuarios, history.tokens) = (usuarios, tokens);
                }
                Line::Request(p) => history.requests.push(p),
                Line::Delay { desde, hasta } => history.delays.push((desde, hasta)),
                Line::Fault { .. } => {}
            }
        }
        history.requests.sort_by_key(|p| p.desde);
        history
    }

    /// Reads a history file.
    ///
    /// # Errors
    /// With the file's name, and the line's number where one is bad.
    pub fn load(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| failed(path, &e))?;
        let mut lines = Vec::new();
        for (n, line) in BufReader::new(file).lines().enumerate() {
            let wrong = |e: &dyn fmt::Display| format!("{}:{}: {e}", path.display(), n + 1);
            let line = line.map_err(|e| wrong(&e))?;
            lines.push(serde_json::from_str(&line).map_err(|e| wrong(&e))?);
        }
        Ok(Self::new(lines))
    }

    /// Whether requests could overtake each other in `desde ..= hasta`.
    pub fn delayed(&self, desde: u64, hasta: u64) -> bool {
        self.delays.iter().any(|(a, b)| *a <= hasta && *b >= desde)
    }
}

/// Writes the history file.
pub struct Recorder {
    start: OnceLock<Instant>,
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// A new file.
    ///
    /// # Errors
    /// With the file's name.
    pub fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|e| failed(path, &e))?;
        Ok(Self { start: OnceLock::new(), file: Mutex::new(BufWriter::new(file)) })
    }

    /// The clock begins: the market is there, and the first customer comes. Delays before that are nobody's.
    pub fn begin(&self) {
        let _ = self.start.set(Instant::now());
    }

    /// When its clock began.
    pub fn start(&self) -> Instant {
        self.start.get().copied().unwrap_or_else(Instant::now)
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start().elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Appends a line.
    ///
    /// # Errors
    /// A history with holes proves nothing: the run must end.
    pub fn write(&self, line: &Line) -> Result<(), String> {
        if matches!(line, Line::Delay { .. }) && self.start.get().is_none() {
            return Ok(());
        }
        let mut text = serde_json::to_vec(line).map_err(|e| t!("historia: {e}", "history: {e}"))?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).map_err(|e| t!("historia: {e}", "history: {e}"))
    }

    /// Notes a fault.
    ///
    /// # Errors
    /// As [`Recorder::write`].
    pub fn fault(&self, que: &str) -> Result<(), String> {
        self.write(&Line::Fault { en: self.now(), que: que.to_owned() })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// As [`Recorder::write`].
    pub fn flush(&self) -> Result<(), String> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().map_err(|e| t!("historia: {e}", "history: {e}"))
    }
}
