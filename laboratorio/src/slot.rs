//! A place for one process of a service: starts it, signals it, and starts it again when it has died.

use crate::history::{Linea, Registro};
use crate::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

/// How to start a process of a service.
pub struct Receta {
    /// For people.
    pub nombre: String,
    /// What to run.
    pub programa: PathBuf,
    /// Before its options.
    pub args: Vec<String>,
    /// All of its environment, but for its ports.
    pub entorno: Vec<(String, String)>,
    /// The variable that its public port goes into.
    pub puerto: &'static str,
    /// Where its error output goes.
    pub registro: PathBuf,
    /// What leads to its public port.
    pub publico: Vec<Arc<Proxy>>,
    /// What leads to its internal port.
    pub interno: Option<Arc<Proxy>>,
    /// Where to note that requests may wait unread while a process starts; nothing where their order does not matter.
    pub demoras: Option<Arc<Registro>>,
}

/// Microseconds that a process may take to read what waits at its port, on a machine that is busy.
const ARRANQUE: u64 = 700_000;

enum Orden {
    Arrancar,
    Senal(Signal),
    Matar(Signal, Duration),
    Retirar(Signal, oneshot::Sender<Option<ExitStatus>>),
}

/// A place for a process. Its supervisor is the only one that waits for it, and the only one that signals it: a process
/// id is never used after its process was reaped.
#[derive(Clone)]
pub struct Slot {
    /// For people.
    pub nombre: String,
    orders: mpsc::UnboundedSender<Orden>,
    cuenta: Arc<Cuenta>,
}

#[derive(Default)]
struct Cuenta {
    starts: AtomicU64,
    kills: AtomicU64,
    public: Mutex<Option<SocketAddr>>,
}

impl Slot {
    /// Empty; [`Slot::start`] fills it.
    pub fn new(receta: Receta) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let cuenta = Arc::new(Cuenta::default());
        let nombre = receta.nombre.clone();
        tokio::spawn(supervise(receta, receiver, Arc::clone(&cuenta)));
        Self { nombre, orders, cuenta }
    }

    /// Runs a process from now on.
    pub fn start(&self) {
        let _ = self.orders.send(Orden::Arrancar);
    }

    /// Signals the process, if one is there.
    pub fn signal(&self, signal: Signal) {
        let _ = self.orders.send(Orden::Senal(signal));
    }

    /// Ends the process by a signal that it does not survive; the next one starts after so long.
    pub fn kill(&self, signal: Signal, abajo: Duration) {
        let _ = self.orders.send(Orden::Matar(signal, abajo));
    }

    /// Ends the process by a signal and leaves the place empty; how it ended, where there was one.
    pub async fn retire(&self, signal: Signal) -> Option<ExitStatus> {
        let (reply, ended) = oneshot::channel();
        let _ = self.orders.send(Orden::Retirar(signal, reply));
        ended.await.ok().flatten()
    }

    /// Processes that were started here.
    pub fn starts(&self) -> u64 {
        self.cuenta.starts.load(Ordering::Relaxed)
    }

    /// Processes that were killed here.
    pub fn kills(&self) -> u64 {
        self.cuenta.kills.load(Ordering::Relaxed)
    }

    /// The public port of the process that is here.
    pub fn public(&self) -> Option<SocketAddr> {
        *self.cuenta.public.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cuenta {
    fn here(&self, public: Option<SocketAddr>) {
        *self.public.lock().unwrap_or_else(PoisonError::into_inner) = public;
    }
}

async fn supervise(receta: Receta, mut orders: mpsc::UnboundedReceiver<Orden>, cuenta: Arc<Cuenta>) {
    let mut wanted = false;
    loop {
        if !wanted {
            match orders.recv().await {
                None => return,
                Some(Orden::Arrancar) => wanted = true,
                Some(Orden::Senal(_) | Orden::Matar(..)) => {}
                Some(Orden::Retirar(_, reply)) => {
                    let _ = reply.send(None);
                }
            }
            continue;
        }
        let Ok((mut child, ports)) = spawn(&receta) else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        cuenta.starts.fetch_add(1, Ordering::Relaxed);
        cuenta.here(Some(ports[0]));
        if let Some(registro) = &receta.demoras {
            let desde = registro.now();
            // a history that cannot be written ends the run by the clients' own lines
            let _ = registro.write(&Linea::Demora { desde, hasta: desde + ARRANQUE });
        }
        route(&receta, ports, true);
        let mut waiting = None;
        // one that cannot start must not spin
        let mut down = Duration::from_millis(100);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.ok(),
                order = orders.recv() => match order {
                    // the run is over: the child goes with this task, see `kill_on_drop`
                    None => return,
                    Some(Orden::Arrancar) => {}
                    Some(Orden::Senal(signal)) => send(&child, signal),
                    Some(Orden::Matar(signal, abajo)) => {
                        send(&child, signal);
                        cuenta.kills.fetch_add(1, Ordering::Relaxed);
                        down = abajo;
                        break child.wait().await.ok();
                    }
                    Some(Orden::Retirar(signal, reply)) => {
                        (wanted, waiting) = (false, Some(reply));
                        // no new connections before it stops to take them
                        route(&receta, ports, false);
                        send(&child, Signal::CONT);
                        send(&child, signal);
                    }
                },
            }
        };
        cuenta.here(None);
        if wanted {
            route(&receta, ports, false);
            tokio::time::sleep(down).await;
        }
        if let Some(reply) = waiting {
            let _ = reply.send(status);
        }
    }
}

fn send(child: &Child, signal: Signal) {
    // none once it was reaped
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process(pid, signal);
    }
}

fn spawn(receta: &Receta) -> std::io::Result<(Child, [SocketAddr; 2])> {
    // ports that were free a moment ago; if one is not any more, the process ends and the next gets others
    let free = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    let [public, internal] = &free;
    let ports = [public.local_addr()?, internal.local_addr()?];
    drop(free);
    let log = File::options().create(true).append(true).open(&receta.registro)?;
    let [public, internal] = ports.map(|a| a.port().to_string());
    let child = Command::new(&receta.programa)
        .args(&receta.args)
        .env_clear()
        .envs(receta.entorno.iter().map(|(k, v)| (k, v)))
        .env(receta.puerto, public)
        .env("INTERNAL_PORT", internal)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, ports))
}

fn route(receta: &Receta, [public, internal]: [SocketAddr; 2], on: bool) {
    let switch = |proxy: &Proxy, target| {
        proxy.remove(target);
        if on {
            proxy.add(target);
        }
    };
    receta.publico.iter().for_each(|p| switch(p, public));
    if let Some(proxy) = &receta.interno {
        switch(proxy, internal);
    }
}
