//! What the clients saw, one JSON line for each request, and what the market is at the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own words")]
pub enum Op {
    Comprar { usuario: u64, token: u64, precio: Option<u64> },
    Abonar { usuario: u64, monto: u64 },
    Renombrar { usuario: u64, nombre: String },
    CambiarPrecio { token: u64, precio: u64 },
    CrearToken { nombre: String, precio: u64 },
    VerToken { token: u64 },
    VerUsuario { usuario: u64 },
}

/// One request and what came of it. Times are microseconds of one monotonic clock, from the start of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peticion {
    /// Who sent it.
    pub cliente: u64,
    /// What.
    #[serde(flatten)]
    pub op: Op,
    /// The `Idempotency-Key`.
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
}

/// What an answer means for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fin {
    /// 2xx: it is done.
    Hecho,
    /// 4xx: it is not done, and will not be unless it is sent again.
    Rechazado,
    /// 5xx or no answer: anything may have happened.
    Abierto,
}

impl Peticion {
    /// What it came to.
    pub fn fin(&self) -> Fin {
        match self.estado {
            Some(200..=299) => Fin::Hecho,
            Some(400..=499) => Fin::Rechazado,
            _ => Fin::Abierto,
        }
    }

    /// A number of the answer's body.
    pub fn numero(&self, campo: &str) -> Option<u64> {
        self.cuerpo.get(campo)?.as_u64()
    }

    /// How a finding names it.
    pub fn nombre(&self) -> String {
        match &self.clave {
            Some(clave) => format!("key {clave}"),
            None => format!("client {}'s request of {} µs", self.cliente, self.desde),
        }
    }
}

/// A user, as the API and the file show one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Usuario {
    pub id: u64,
    pub nombre: String,
    pub saldo: i64,
}

/// A token, as the API and the file show one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Token {
    pub id: u64,
    pub nombre: String,
    pub precio: u64,
    pub vendido: bool,
}

/// A purchase, as the API and the file show one; the file names the attempt that bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Transaccion {
    pub id: u64,
    pub usuario_id: u64,
    pub token_id: u64,
    pub fecha: String,
    pub precio: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intento: Option<String>,
}

impl Transaccion {
    /// The key that it was bought under, where the store tells.
    pub fn clave(&self) -> Option<&str> {
        Some(self.intento.as_deref()?.rsplit_once('#')?.0)
    }
}

/// A line of a ledger. The API signs the amount, the file does not; the file alone names keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Movimiento {
    pub id: u64,
    pub usuario_id: u64,
    pub tipo: String,
    pub monto: i64,
    #[serde(default)]
    pub confirmado: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clave: Option<String>,
}

/// The market's own verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Auditoria {
    pub correcto: bool,
    pub transacciones: u64,
    pub pendientes: u64,
    pub diferencias: Vec<Value>,
}

/// The arrays on disk after a clean stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the files' own names")]
pub struct Disco {
    pub usuarios: Vec<Usuario>,
    pub movimientos: Vec<Movimiento>,
    pub tokens: Vec<Token>,
    pub transacciones: Vec<Transaccion>,
}

/// The market at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Final {
    /// Over the API.
    pub usuarios: Vec<Usuario>,
    /// Over the API; a shop without ledgers has none.
    pub movimientos: Option<Vec<Movimiento>>,
    /// Over the API.
    pub tokens: Vec<Token>,
    /// Over the API.
    pub transacciones: Vec<Transaccion>,
    /// Over the API; a shop without an audit has none.
    pub auditoria: Option<Auditoria>,
    /// The files; a shop that keeps other ones has none.
    pub disco: Option<Disco>,
}

/// A line of the history file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "linea", rename_all = "camelCase")]
pub enum Linea {
    /// The market before the first request.
    Apertura {
        /// Its users.
        usuarios: Vec<Usuario>,
        /// Its catalogue.
        tokens: Vec<Token>,
    },
    /// A request.
    Peticion(Peticion),
    /// While this lasted, a purchase could lie in front of the service, unread: a frozen process's socket, a slow
    /// network. Requests may have overtaken each other.
    Demora {
        /// Microseconds.
        desde: u64,
        /// Microseconds.
        hasta: u64,
    },
    /// A fault, for the reader.
    Falla {
        /// Microseconds.
        en: u64,
        /// In words.
        que: String,
    },
}

/// Everything that the checker knows of the past.
#[derive(Clone, Debug, Default)]
pub struct Historia {
    /// Users before the first request.
    pub usuarios: Vec<Usuario>,
    /// Catalogue before the first request.
    pub tokens: Vec<Token>,
    /// By the time of sending.
    pub peticiones: Vec<Peticion>,
    /// See [`Linea::Demora`].
    pub demoras: Vec<(u64, u64)>,
}

impl Historia {
    /// From lines in any order.
    pub fn new(lineas: impl IntoIterator<Item = Linea>) -> Self {
        let mut historia = Self::default();
        for linea in lineas {
            match linea {
                Linea::Apertura { usuarios, tokens } => {
                    (historia.usuarios, historia.tokens) = (usuarios, tokens);
                }
                Linea::Peticion(p) => historia.peticiones.push(p),
                Linea::Demora { desde, hasta } => historia.demoras.push((desde, hasta)),
                Linea::Falla { .. } => {}
            }
        }
        historia.peticiones.sort_by_key(|p| p.desde);
        historia
    }

    /// Reads a history file.
    ///
    /// # Errors
    /// With the file's name, and the line's number where one is bad.
    pub fn load(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut lineas = Vec::new();
        for (n, line) in BufReader::new(file).lines().enumerate() {
            let wrong = |e: &dyn std::fmt::Display| format!("{}:{}: {e}", path.display(), n + 1);
            let line = line.map_err(|e| wrong(&e))?;
            lineas.push(serde_json::from_str(&line).map_err(|e| wrong(&e))?);
        }
        Ok(Self::new(lineas))
    }

    /// Whether requests could overtake each other in `desde ..= hasta`.
    pub fn demorada(&self, desde: u64, hasta: u64) -> bool {
        self.demoras.iter().any(|(a, b)| *a <= hasta && *b >= desde)
    }
}

/// Writes the history file.
pub struct Registro {
    start: Instant,
    file: Mutex<BufWriter<File>>,
}

impl Registro {
    /// A new file.
    ///
    /// # Errors
    /// With the file's name.
    pub fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { start: Instant::now(), file: Mutex::new(BufWriter::new(file)) })
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Appends a line.
    ///
    /// # Errors
    /// A history with holes proves nothing: the run must end.
    pub fn write(&self, linea: &Linea) -> Result<(), String> {
        let mut line = serde_json::to_vec(linea).map_err(|e| format!("history: {e}"))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(|e| format!("history: {e}"))
    }

    /// Notes a fault.
    ///
    /// # Errors
    /// As [`Registro::write`].
    pub fn falla(&self, que: &str) -> Result<(), String> {
        self.write(&Linea::Falla { en: self.now(), que: que.to_owned() })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// As [`Registro::write`].
    pub fn flush(&self) -> Result<(), String> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush().map_err(|e| format!("history: {e}"))
    }
}
