//! What can be ordered, as the controls send it.

use crate::plan::Service;
use crate::t;
use serde::Deserialize;
use std::time::Duration;

/// Processes of a service.
pub const MOST: usize = 8;
/// Arrivals a second: a classroom's machine does something else as well.
pub const MOST_RATE: f64 = 500.0;
/// How much later each piece comes over a slow network.
pub const SLOW: Duration = Duration::from_millis(150);

/// An order.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "orden", rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the controls' own words")]
pub enum Order {
    #[serde(rename = "matar")]
    Kill { proceso: String },
    #[serde(rename = "terminar")]
    Terminate { proceso: String },
    #[serde(rename = "congelar")]
    Freeze { proceso: String },
    #[serde(rename = "reanudar")]
    Resume { proceso: String },
    #[serde(rename = "iniciar")]
    Start { proceso: String },
    #[serde(rename = "cortar")]
    Cut { proceso: String },
    #[serde(rename = "demorar")]
    Slow { proceso: String },
    #[serde(rename = "sanar")]
    Heal { proceso: String },
    #[serde(rename = "replicas")]
    Replicas { servicio: Service, n: usize },
    #[serde(rename = "reemplazar")]
    Roll { servicio: Service },
    #[serde(rename = "carga")]
    Load { lecturas: f64, compras: f64 },
    #[serde(rename = "disco")]
    Disk { lleno: bool },
    #[serde(rename = "reloj")]
    Clock { servicio: Service, segundos: i32 },
    #[serde(rename = "experimento")]
    Experiment { nombre: Name, ingenuo: bool },
    #[serde(rename = "informe")]
    Report,
}

/// The words of all of them, for the controls.
pub const ALL: [&str; 15] = [
    "matar",
    "terminar",
    "congelar",
    "reanudar",
    "iniciar",
    "cortar",
    "demorar",
    "sanar",
    "replicas",
    "reemplazar",
    "carga",
    "disco",
    "reloj",
    "experimento",
    "informe",
];

/// An experiment that a button starts.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the experiments' own words")]
pub enum Name {
    #[serde(rename = "escala")]
    Scale,
    #[serde(rename = "caida")]
    Crash,
    #[serde(rename = "despliegue")]
    Rollout,
    #[serde(rename = "fallo")]
    Point,
    #[serde(rename = "caos")]
    Chaos,
}

impl Name {
    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scale => "escala",
            Self::Crash => "caida",
            Self::Rollout => "despliegue",
            Self::Point => "fallo",
            Self::Chaos => "caos",
        }
    }
}

impl Order {
    /// In words, as it will be told.
    pub fn said(&self) -> String {
        match self {
            Self::Kill { proceso } => t!("kill -9 a {proceso}", "kill -9 of {proceso}"),
            Self::Terminate { proceso } => t!("SIGTERM a {proceso}", "SIGTERM to {proceso}"),
            Self::Freeze { proceso } => t!("{proceso} congelado", "{proceso} frozen"),
            Self::Resume { proceso } => t!("{proceso} reanudado", "{proceso} resumed"),
            Self::Start { proceso } => t!("{proceso} iniciado", "{proceso} started"),
            Self::Cut { proceso } => t!("red de {proceso} cortada", "network of {proceso} cut"),
            Self::Slow { proceso } => t!("red de {proceso} lenta", "network of {proceso} slow"),
            Self::Heal { proceso } => t!("red de {proceso} reparada", "network of {proceso} repaired"),
            Self::Replicas { servicio, n } => {
                let name = servicio.name();
                t!("{n} procesos de {name}", "{n} processes of {name}")
            }
            Self::Roll { servicio } => {
                let name = servicio.name();
                t!("todo {name} reemplazado", "all of {name} replaced")
            }
            Self::Load { lecturas, compras } => t!(
                "carga: {lecturas} lecturas y {compras} compras por segundo",
                "load: {lecturas} reads and {compras} purchases a second"
            ),
            Self::Disk { lleno: true } => t!("disco lleno", "disk full"),
            Self::Disk { lleno: false } => t!("disco con espacio", "space on the disk"),
            Self::Clock { servicio, segundos } => {
                let name = servicio.name();
                t!("reloj de {name} a {segundos:+} s", "clock of {name} at {segundos:+} s")
            }
            Self::Experiment { nombre, .. } => nombre.name().to_owned(),
            Self::Report => t!("informe", "report"),
        }
    }

    /// Whether something is out of order from then on.
    pub const fn fault(&self) -> bool {
        matches!(
            self,
            Self::Kill { .. }
                | Self::Terminate { .. }
                | Self::Freeze { .. }
                | Self::Cut { .. }
                | Self::Slow { .. }
                | Self::Disk { lleno: true }
        )
    }
}
