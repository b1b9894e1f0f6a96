//! The market under test: its processes, the network between them, its disk, and what goes wrong with them.

use crate::disco::Disco;
use crate::history::{Linea, Registro};
use crate::http::Direcciones;
use crate::plan::{Falla, Servicio, Via};
use crate::proxy::{Modo, Proxy};
use crate::slot::{Receta, Slot};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long purchases may still lie unread after a delay is over, in microseconds.
const RESACA: u64 = 500_000;

/// The shop that everybody writes, or ours.
#[derive(Clone, Debug)]
pub enum Tienda {
    /// The three binaries of this directory.
    Mercado(PathBuf),
    /// This executable's hidden subcommand.
    Ingenua(PathBuf),
}

/// A running market.
pub struct Mundo {
    /// Where its files are.
    pub datos: PathBuf,
    clientes: BTreeMap<Servicio, Arc<Proxy>>,
    internas: BTreeMap<Servicio, Arc<Proxy>>,
    slots: BTreeMap<(Servicio, bool), Slot>,
    disco: Option<Disco>,
    registro: Arc<Registro>,
    relojes: Option<PathBuf>,
    cuenta: Mutex<BTreeMap<&'static str, u64>>,
}

impl Mundo {
    /// Starts all processes on an empty store with this seed.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(tienda: &Tienda, dir: &Path, registro: Arc<Registro>) -> Result<Self, String> {
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        let datos = dir.join("datos");
        std::fs::create_dir_all(&datos).map_err(io)?;
        let disco = Disco::mount(&datos).await.map_err(|e| println!("skipped: full disk ({e})")).ok();
        let faketime = faketime();
        if faketime.is_none() {
            println!(
                "skipped: jumping clock (Debian's package faketime is not installed, LIBFAKETIME names no library)"
            );
        }
        let (mut clientes, mut internas, mut slots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for servicio in Servicio::ALL {
            clientes.insert(servicio, Proxy::start().await.map_err(io)?);
            internas.insert(servicio, Proxy::start().await.map_err(io)?);
        }
        let mut add = |key: (Servicio, bool), receta| slots.insert(key, Slot::new(receta));
        match tienda {
            Tienda::Ingenua(programa) => {
                let receta = Receta {
                    nombre: "tienda ingenua".to_owned(),
                    programa: programa.clone(),
                    args: vec!["tienda-ingenua".to_owned()],
                    entorno: vec![
                        ("DATOS".to_owned(), datos.display().to_string()),
                        ("SEED_DIR".to_owned(), dir.join("semilla").display().to_string()),
                    ],
                    registro: dir.join("ingenua.log"),
                    publico: clientes.values().cloned().collect(),
                    interno: None,
                    demoras: None,
                };
                add((Servicio::Transacciones, false), receta);
            }
            Tienda::Mercado(bin) => {
                for servicio in Servicio::ALL {
                    for segunda in [false, true] {
                        if segunda && servicio == Servicio::Usuarios {
                            continue;
                        }
                        let nombre = format!("{}-{}", servicio.nombre(), if segunda { 2 } else { 1 });
                        let (usuarios, tokens) =
                            (internas.get(&Servicio::Usuarios), internas.get(&Servicio::Tokens));
                        let url = |p: Option<&Arc<Proxy>>| p.map(|p| p.url()).unwrap_or_default();
                        let mut entorno = vec![
                            ("HOST", "127.0.0.1".to_owned()),
                            ("INTERNAL_TOKEN", "laboratorio-0123456789".to_owned()),
                            ("STORE", format!("json:{}", datos.join(servicio.nombre()).display())),
                            ("SEED_DIR", dir.join("semilla").display().to_string()),
                            ("WORKERS", "2".to_owned()),
                            ("DRAIN_SECONDS", "0".to_owned()),
                            ("GRACE_SECONDS", "5".to_owned()),
                            ("HOSTNAME", nombre.clone()),
                            ("RUST_LOG", "warn".to_owned()),
                        ];
                        if servicio == Servicio::Transacciones {
                            entorno.push(("USUARIOS_URL", url(usuarios)));
                            entorno.push(("TOKENS_URL", url(tokens)));
                            // above the deadline (3 s): recovery and customers who insist must meet
                            entorno.push(("ORPHAN_AGE_MS", "4000".to_owned()));
                        }
                        if let Some(library) = &faketime {
                            let reloj = dir.join(format!("reloj-{}", servicio.nombre()));
                            std::fs::write(&reloj, "+0s").map_err(io)?;
                            entorno.push(("LD_PRELOAD", library.display().to_string()));
                            entorno.push(("FAKETIME_TIMESTAMP_FILE", reloj.display().to_string()));
                            entorno.push(("FAKETIME_CACHE_DURATION", "1".to_owned()));
                            entorno.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()));
                        }
                        let receta = Receta {
                            programa: bin.join(servicio.nombre()),
                            args: Vec::new(),
                            entorno: entorno.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
                            registro: dir.join(format!("{nombre}.log")),
                            publico: clientes.get(&servicio).cloned().into_iter().collect(),
                            interno: internas.get(&servicio).cloned(),
                            demoras: (servicio == Servicio::Transacciones).then(|| Arc::clone(&registro)),
                            nombre,
                        };
                        add((servicio, segunda), receta);
                    }
                }
            }
        }
        slots.iter().filter(|((_, segunda), _)| !segunda).for_each(|(_, s)| s.start());
        let relojes = faketime.map(|_| dir.to_owned());
        Ok(Self { datos, clientes, internas, slots, disco, registro, relojes, cuenta: Mutex::default() })
    }

    /// Where clients find it.
    pub fn direcciones(&self) -> Direcciones {
        let url = |s| self.clientes.get(&s).map(|p| p.url()).unwrap_or_default();
        Direcciones {
            usuarios: url(Servicio::Usuarios),
            tokens: url(Servicio::Tokens),
            transacciones: url(Servicio::Transacciones),
        }
    }

    /// Processes that were killed so far.
    pub fn kills(&self) -> u64 {
        self.slots.values().map(Slot::kills).sum()
    }

    /// What happened, by kind.
    pub fn cuenta(&self) -> BTreeMap<&'static str, u64> {
        let mut cuenta = self.cuenta.lock().unwrap_or_else(PoisonError::into_inner).clone();
        cuenta.insert("kill -9", self.kills());
        cuenta.insert("processes started", self.slots.values().map(Slot::starts).sum());
        cuenta
    }

    fn count(&self, what: &'static str) {
        *self.cuenta.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// The replica where it runs, else the first; the naive shop is one process for all.
    fn slot(&self, servicio: Servicio, segunda: bool) -> Option<&Slot> {
        let second = self.slots.get(&(servicio, true)).filter(|s| segunda && s.up());
        second.or_else(|| self.slots.get(&(servicio, false))).or_else(|| self.slots.values().next())
    }

    fn via(&self, via: Via) -> Option<&Arc<Proxy>> {
        match via {
            Via::Clientes(s) => self.clientes.get(&s),
            Via::Interna(s) => self.internas.get(&s),
        }
    }

    /// Lets it go wrong, and makes it good again where that is part of it.
    ///
    /// # Errors
    /// Where the history or the disk cannot be written.
    pub async fn apply(&self, falla: Falla) -> Result<(), String> {
        self.registro.falla(&format!("{falla:?}"))?;
        let desde = self.registro.now();
        let mut retrasa = false;
        match falla {
            Falla::Mata { servicio, segunda, abajo } => {
                self.slot(servicio, segunda).inspect(|s| s.kill(abajo));
            }
            Falla::Reinicia(servicio, segunda) => {
                self.count("SIGTERM");
                self.slot(servicio, segunda).inspect(|s| s.signal(Signal::TERM));
            }
            Falla::Congela(servicio, segunda, time) => {
                self.count("SIGSTOP");
                if let Some(slot) = self.slot(servicio, segunda) {
                    slot.signal(Signal::STOP);
                    tokio::time::sleep(time).await;
                    slot.signal(Signal::CONT);
                }
                retrasa = servicio == Servicio::Transacciones;
            }
            Falla::Corta(via, time) => {
                self.count("network cut");
                self.network(via, Modo::Corta, time).await;
            }
            Falla::Demora(via, by, time) => {
                self.count("network slow");
                self.network(via, Modo::Demora(by), time).await;
                retrasa = via == Via::Clientes(Servicio::Transacciones);
            }
            Falla::Retiene(via, time) => {
                self.count("network held");
                self.network(via, Modo::Retiene, time).await;
                retrasa = via == Via::Clientes(Servicio::Transacciones);
            }
            Falla::Replica(servicio, time) => {
                if let Some(slot) = self.slots.get(&(servicio, true)) {
                    self.count("second replica");
                    slot.start();
                    tokio::time::sleep(time).await;
                    slot.retire().await;
                }
            }
            Falla::Disco(time) => {
                if let Some(disco) = &self.disco {
                    self.count("disk full");
                    // a store has some space ahead; one that was just compacted has less
                    self.slots.values().for_each(|s| s.signal(Signal::TERM));
                    disco.fill().await?;
                    tokio::time::sleep(time).await;
                    disco.free().await?;
                    // a store that lost its disk takes writes again when it is opened again
                    self.slots.values().for_each(|s| s.signal(Signal::TERM));
                }
            }
            Falla::Reloj(servicio, by) => {
                if let Some(dir) = &self.relojes {
                    self.count("clock jump");
                    let reloj = dir.join(format!("reloj-{}", servicio.nombre()));
                    std::fs::write(reloj, format!("{by:+}s")).map_err(|e| format!("clock: {e}"))?;
                }
            }
        }
        if retrasa {
            self.registro.write(&Linea::Demora { desde, hasta: self.registro.now() + RESACA })?;
        }
        Ok(())
    }

    async fn network(&self, via: Via, modo: Modo, time: Duration) {
        if let Some(proxy) = self.via(via) {
            proxy.set(modo);
            tokio::time::sleep(time).await;
            proxy.set(Modo::Pasa);
        }
    }

    /// Ends every process cleanly.
    ///
    /// # Errors
    /// Which did not end well.
    pub async fn stop(&self) -> Result<(), String> {
        for slot in self.slots.values() {
            match slot.retire().await {
                Some(status) if !status.success() => {
                    return Err(format!("{} ended with {status} on SIGTERM", slot.nombre));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the disk back: what was on it stays, as files.
    pub async fn close(mut self) {
        if let Some(disco) = self.disco.take() {
            disco.unmount().await;
        }
    }
}

/// `LIBFAKETIME`, or where Debian's package puts the library.
fn faketime() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LIBFAKETIME") {
        return Some(path.into());
    }
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    machines.flatten().map(|m| m.path().join("faketime/libfaketimeMT.so.1")).find(|p| p.exists())
}
