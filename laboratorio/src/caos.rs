//! A run from its beginning to its verdict.

use crate::azar::Azar;
use crate::checker::{self, Veredicto};
use crate::clientes::Publico;
use crate::history::{Fin, Final, Historia, Linea, Op, Registro, Token, Usuario};
use crate::mundo::{Almacen, Mundo, Tienda};
use crate::plan::Plan;
use crate::{http, lectura};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Longer than a purchase that nobody waits for any more can still take (its deadline is 3 s).
const REPOSO: Duration = Duration::from_millis(4500);
/// Longer than recovery can take for what is left: its age, a pass, and a full backlog.
const LIQUIDACION: Duration = Duration::from_secs(60);

/// Findings of a rule that are told; all are counted.
const OF_EACH: usize = 5;

/// What to do.
#[derive(Clone, Debug)]
pub struct Opciones {
    /// How long.
    pub duracion: Duration,
    /// Or until so many processes were killed.
    pub kills: Option<u64>,
    /// Of the schedule and of the customers.
    pub semilla: u64,
    /// Customers.
    pub clientes: u64,
    /// Against whom.
    pub tienda: Tienda,
    /// A fresh directory for everything.
    pub dir: PathBuf,
}

/// What came of it.
pub struct Informe {
    /// The checker's.
    pub veredicto: Veredicto,
    /// Everything that was asked.
    pub historia: Historia,
    /// What was done to the market.
    pub cuenta: BTreeMap<&'static str, u64>,
    /// What was bought in the end.
    pub transacciones: usize,
    /// The history's file.
    pub archivo: PathBuf,
}

/// Runs it.
///
/// # Errors
/// Why it could not be run; the verdict is neither red nor green.
pub async fn run(o: &Opciones) -> Result<Informe, String> {
    let io = |e: std::io::Error| format!("{}: {e}", o.dir.display());
    std::fs::create_dir_all(&o.dir).map_err(io)?;
    if std::fs::read_dir(&o.dir).map_err(io)?.next().is_some() {
        return Err(format!(
            "{}: not empty; what an earlier run left would be held against this one",
            o.dir.display()
        ));
    }
    let (usuarios, tokens) = seed(o)?;
    let archivo = o.dir.join("historia.jsonl");
    let registro = Arc::new(Registro::create(&archivo)?);
    registro.write(&Linea::Apertura { usuarios: usuarios.clone(), tokens: tokens.clone() })?;

    let mundo = Arc::new(Mundo::start(&o.tienda, &o.dir, Arc::clone(&registro)).await?);
    let to = mundo.direcciones();
    let reader = http::client(false)?;
    lectura::up(&reader, &to, Duration::from_secs(20))
        .await
        .map_err(|e| format!("the market did not start: {e}; its logs are in {}", o.dir.display()))?;

    let ids = usuarios.iter().map(|u| u.id).collect();
    let publico = Arc::new(Publico::new(to.clone(), Arc::clone(&registro), ids, &tokens));
    let mut clientes = publico.start(o.clientes, o.semilla)?;
    trouble(o, &mundo).await?;
    publico.stop();
    while let Some(ended) = clientes.join_next().await {
        ended.map_err(|e| format!("a client: {e}"))??;
    }
    tokio::time::sleep(REPOSO).await;
    let mut veredicto = Veredicto::default();
    if let Err(e) = lectura::settled(&reader, &to, LIQUIDACION).await {
        veredicto.add("audit", e);
    }
    registro.flush()?;
    let mut end = match lectura::public(&reader, &to).await {
        Ok(end) => end,
        Err(e) => {
            veredicto.add("audit", format!("the market cannot be read at the end: {e}"));
            Final::default()
        }
    };
    let stopped = mundo.stop().await;
    if let Tienda::Mercado(..) = o.tienda {
        if let Err(e) = stopped {
            veredicto.add("disk", e);
        }
        end.disco = Some(match &mundo.base {
            Some(base) => lectura::tables(base).await?,
            None => lectura::disk(&mundo.datos)?,
        });
    }
    let text = serde_json::to_vec(&end).map_err(|e| format!("final.json: {e}"))?;
    std::fs::write(o.dir.join("final.json"), text).map_err(io)?;
    let historia = Historia::load(&archivo)?;
    let checked = checker::check(&historia, &end);
    veredicto.hallazgos.extend(checked.hallazgos);
    veredicto.rezagadas = checked.rezagadas;
    let cuenta = mundo.cuenta();
    if let Ok(mundo) = Arc::try_unwrap(mundo).map_err(|_| ()) {
        mundo.close().await;
    }
    Ok(Informe { veredicto, historia, cuenta, transacciones: end.transacciones.len(), archivo })
}

/// The schedule, until it is time; every fault is over when this returns.
async fn trouble(o: &Opciones, mundo: &Arc<Mundo>) -> Result<(), String> {
    let end = Instant::now() + o.duracion;
    let mut faults = JoinSet::new();
    let postgres = matches!(o.tienda, Tienda::Mercado(_, Almacen::Postgres { .. }));
    for (wait, falla) in Plan::new(o.semilla, postgres) {
        tokio::time::sleep(wait).await;
        let over = match o.kills {
            Some(kills) => mundo.kills() >= kills,
            None => Instant::now() >= end,
        };
        if over {
            break;
        }
        let mundo = Arc::clone(mundo);
        faults.spawn(async move { mundo.apply(falla).await });
        while let Some(done) = faults.try_join_next() {
            done.map_err(|e| format!("a fault: {e}"))??;
        }
    }
    while let Some(done) = faults.join_next().await {
        done.map_err(|e| format!("a fault: {e}"))??;
    }
    Ok(())
}

fn seed(o: &Opciones) -> Result<(Vec<Usuario>, Vec<Token>), String> {
    let mut azar = Azar::new(o.semilla, 0);
    let usuarios: Vec<_> =
        (1..=10).map(|id| Usuario { id, nombre: format!("Usuario {id}"), saldo: 300 }).collect();
    let tokens: Vec<_> = (1..=40)
        .map(|id| Token { id, nombre: format!("Semilla {id}"), precio: azar.between(1..=60), vendido: false })
        .collect();
    let pictured: Vec<_> = tokens
        .iter()
        .map(|t| json!({"id": t.id, "nombre": t.nombre, "imagen": "ficha.svg", "precio": t.precio, "vendido": false}))
        .collect();
    let dir = o.dir.join("semilla");
    let write = |name: &str, value: serde_json::Value| {
        std::fs::write(dir.join(name), value.to_string()).map_err(|e| format!("{}: {e}", dir.display()))
    };
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    write("usuarios.json", json!(usuarios))?;
    write("tokens.json", json!(pictured))?;
    write("transacciones.json", json!([]))?;
    Ok((usuarios, tokens))
}

/// Says what happened, in a table and in words.
pub fn print(informe: &Informe) {
    let Informe { veredicto, historia, cuenta, transacciones, archivo } = informe;
    let mut asked: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    for p in &historia.peticiones {
        let what = match p.op {
            Op::Comprar { .. } if p.clave.is_some() => "purchases with a key",
            Op::Comprar { .. } => "purchases without",
            Op::Abonar { .. } => "abonos",
            Op::Renombrar { .. } | Op::CambiarPrecio { .. } | Op::CrearToken { .. } => "changes",
            Op::VerToken { .. } | Op::VerUsuario { .. } => "readings",
        };
        let which = match (p.fin(), p.estado) {
            (Fin::Hecho, _) => 0,
            (Fin::Rechazado, _) => 1,
            (Fin::Abierto, Some(_)) => 2,
            (Fin::Abierto, None) => 3,
        };
        for row in [what, "total"] {
            if let Some(n) = asked.entry(row).or_default().get_mut(which) {
                *n += 1;
            }
        }
    }
    say!("\n{:<24}{:>10}{:>10}{:>10}{:>10}", "requests", "2xx", "4xx", "5xx", "no answer");
    for (what, [yes, no, error, none]) in asked {
        say!("{what:<24}{yes:>10}{no:>10}{error:>10}{none:>10}");
    }
    say!("");
    for (what, n) in cuenta {
        say!("{what:<24}{n:>10}");
    }
    say!("{:<24}{transacciones:>10}", "transactions in the end");
    say!("{:<24}{:>10}", "overtaken keys", veredicto.rezagadas);
    say!("");
    let n = veredicto.hallazgos.len();
    for (rule, times) in veredicto.por_regla() {
        for h in veredicto.hallazgos.iter().filter(|h| h.regla == rule).take(OF_EACH) {
            say!("{rule}: {}", h.detalle);
        }
        if times > OF_EACH {
            say!("{rule}: … and {} more", times - OF_EACH);
        }
    }
    if n == 0 {
        say!("GREEN: every answer that a client got is true.");
    } else {
        let rules: Vec<_> = veredicto.por_regla().iter().map(|(r, n)| format!("{r} {n}")).collect();
        say!("RED: {n} finding(s): {}.", rules.join(", "));
    }
    say!("history: {}", archivo.display());
}

/// Finds the three binaries beside this executable, and has cargo build them where one is missing.
///
/// # Errors
/// Where they cannot be built.
pub fn binaries(exe: &Path) -> Result<PathBuf, String> {
    let bin = exe.parent().ok_or("this executable is in no directory")?;
    let missing = |name: &&str| !bin.join(name).exists();
    if ["usuarios", "tokens", "transacciones"].iter().any(missing) {
        let release = bin.file_name().is_some_and(|name| name == "release");
        say!("building the services, which are not in {}", bin.display());
        let mut cargo = std::process::Command::new(option_env!("CARGO").unwrap_or("cargo"));
        cargo.args(["build", "-p", "usuarios", "-p", "tokens", "-p", "transacciones"]);
        cargo.args(release.then_some("--release")).arg("--target-dir").arg(bin.parent().unwrap_or(bin));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        let status = cargo.status().map_err(|e| format!("cargo: {e}"))?;
        if !status.success() {
            return Err(format!("cargo build: {status}"));
        }
    }
    Ok(bin.to_owned())
}
