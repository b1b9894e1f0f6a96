//! What can be ordered, as the controls send it.

use crate::plan::Service;
use crate::t;
use crate::words::counted;
use serde::Deserialize;
use std::time::Duration;

/// Processes of a service.
const MOST: i64 = 8;
/// Arrivals a second: a classroom's machine does something else as well.
const MOST_RATE: f64 = 500.0;
/// Seconds that a clock may be off: a day.
const MOST_OFF: i64 = 86_400;
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
    Replicas { servicio: Service, n: i64 },
    #[serde(rename = "reemplazar")]
    Roll { servicio: Service },
    #[serde(rename = "carga")]
    Load { lecturas: f64, compras: f64 },
    #[serde(rename = "disco")]
    Disk { lleno: bool },
    #[serde(rename = "reloj")]
    Clock { servicio: Service, segundos: i64 },
    #[serde(rename = "experimento")]
    Experiment { nombre: Name, ingenuo: bool },
    #[serde(rename = "informe")]
    Report,
}

/// What an order is on, and of which process it is; the disk is of none.
pub type Thing = (&'static str, String);

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

/// Processes of a service, where it may have so many.
///
/// # Errors
/// The bounds.
pub fn replicas(n: i64) -> Result<usize, String> {
    let refused = || t!("un servicio tiene de 1 a {MOST} procesos", "a service has 1 to {MOST} processes");
    usize::try_from(n).ok().filter(|_| (1..=MOST).contains(&n)).ok_or_else(refused)
}

/// Arrivals a second, where so many may come.
///
/// # Errors
/// The bounds.
pub fn rates(reads: f64, purchases: f64) -> Result<[f64; 2], String> {
    let rates = [reads, purchases];
    if rates.iter().all(|rate| (0.0..=MOST_RATE).contains(rate)) {
        return Ok(rates);
    }
    Err(t!(
        "de 0 a {MOST_RATE} lecturas por segundo, y de 0 a {MOST_RATE} compras",
        "0 to {MOST_RATE} reads a second, and 0 to {MOST_RATE} purchases"
    ))
}

/// Seconds that a clock is off, where it may be.
///
/// # Errors
/// The bounds.
pub fn offset(seconds: i64) -> Result<i64, String> {
    let refused = || {
        t!(
            "un reloj se mueve de -{MOST_OFF} a {MOST_OFF} segundos: un día",
            "a clock moves by -{MOST_OFF} to {MOST_OFF} seconds: a day"
        )
    };
    Some(seconds).filter(|s| (-MOST_OFF..=MOST_OFF).contains(s)).ok_or_else(refused)
}

/// So many, in words.
pub fn processes(n: i64) -> String {
    counted(n, ["proceso", "procesos"], ["process", "processes"])
}

fn clock_said(name: &str, seconds: i64) -> String {
    let by = span(seconds.saturating_abs());
    match seconds {
        0 => t!("el reloj de {name}, de nuevo en hora", "the clock of {name}, right again"),
        1.. => t!("el reloj de {name}, {by} adelantado", "the clock of {name}, {by} ahead"),
        _ => t!("el reloj de {name}, {by} atrasado", "the clock of {name}, {by} behind"),
    }
}

/// In the largest unit that has it without a rest.
fn span(seconds: i64) -> String {
    match seconds {
        3600 => t!("una hora", "an hour"),
        s if s % 3600 == 0 => counted(s / 3600, ["hora", "horas"], ["hour", "hours"]),
        s if s % 60 == 0 => counted(s / 60, ["minuto", "minutos"], ["minute", "minutes"]),
        s => counted(s, ["segundo", "segundos"], ["second", "seconds"]),
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
                let (name, n) = (servicio.name(), processes(*n));
                t!("{n} de {name}", "{n} of {name}")
            }
            Self::Roll { servicio } => {
                let name = servicio.name();
                t!("todos los procesos de {name}, reemplazados", "every process of {name} replaced")
            }
            Self::Load { lecturas, compras } => {
                let reads = counted(*lecturas, ["lectura", "lecturas"], ["read", "reads"]);
                let purchases = counted(*compras, ["compra", "compras"], ["purchase", "purchases"]);
                t!("carga: {reads} y {purchases} por segundo", "load: {reads} and {purchases} a second")
            }
            Self::Disk { lleno: true } => t!("disco lleno", "disk full"),
            Self::Disk { lleno: false } => t!("disco con espacio", "space on the disk"),
            Self::Clock { servicio, segundos } => clock_said(servicio.name(), *segundos),
            Self::Experiment { nombre, .. } => nombre.name().to_owned(),
            Self::Report => t!("informe", "report"),
        }
    }

    /// What it breaks or mends: another order on the same ends what was wrong before.
    pub fn thing(&self) -> Option<Thing> {
        match self {
            Self::Kill { proceso }
            | Self::Terminate { proceso }
            | Self::Freeze { proceso }
            | Self::Resume { proceso }
            | Self::Start { proceso } => Some(("proceso", proceso.clone())),
            Self::Cut { proceso } | Self::Slow { proceso } | Self::Heal { proceso } => {
                Some(("red", proceso.clone()))
            }
            Self::Disk { .. } => Some(("disco", String::new())),
            Self::Replicas { .. }
            | Self::Roll { .. }
            | Self::Load { .. }
            | Self::Clock { .. }
            | Self::Experiment { .. }
            | Self::Report => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_with_the_bounds() {
        assert_eq!([replicas(1), replicas(8)], [Ok(1), Ok(8)]);
        for n in [i64::MIN, 0, 9] {
            assert!(replicas(n).unwrap_err().contains("1 a 8"), "{n}");
        }
        assert_eq!(rates(0.0, 500.0), Ok([0.0, 500.0]));
        for [reads, purchases] in [[99_999.0, 5.0], [20.0, -1.0], [f64::NAN, 5.0]] {
            assert!(rates(reads, purchases).unwrap_err().contains("0 a 500"), "{reads} {purchases}");
        }
        assert_eq!(offset(-86_400), Ok(-86_400));
        assert!(offset(86_401).unwrap_err().contains("-86400 a 86400"));
    }

    #[test]
    fn one_is_not_several_and_a_clock_is_ahead_behind_or_right() {
        let said = |order: &str| serde_json::from_str::<Order>(order).unwrap().said();
        let replicas = |n| said(&format!(r#"{{"orden": "replicas", "servicio": "tokens", "n": {n}}}"#));
        assert_eq!([replicas(1), replicas(2)], ["1 proceso de tokens", "2 procesos de tokens"]);
        let load = said(r#"{"orden": "carga", "lecturas": 1, "compras": 0.5}"#);
        assert_eq!(load, "carga: 1 lectura y 0.5 compras por segundo");
        for (seconds, words) in [
            (0, "de nuevo en hora"),
            (3600, "una hora adelantado"),
            (-7200, "2 horas atrasado"),
            (60, "1 minuto adelantado"),
            (-61, "61 segundos atrasado"),
        ] {
            let clock =
                said(&format!(r#"{{"orden": "reloj", "servicio": "tokens", "segundos": {seconds}}}"#));
            assert_eq!(clock, format!("el reloj de tokens, {words}"));
        }
    }
}
