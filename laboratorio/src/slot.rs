//! A place for one process of a service: starts it, signals it, and starts it again when it has died.

use crate::child;
use crate::history::{Line, Recorder};
use crate::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

/// How to start a process of a service.
pub struct Recipe {
    /// For people.
    pub name: String,
    /// What to run.
    pub program: PathBuf,
    /// Before its options.
    pub args: Vec<String>,
    /// All of its environment, but for its ports.
    pub environment: Vec<(String, String)>,
    /// The variable that its public port goes into.
    pub port: &'static str,
    /// Where its error output goes.
    pub log: PathBuf,
    /// What leads to its public port.
    pub public: Vec<Arc<Proxy>>,
    /// What leads to its internal port.
    pub internal: Option<Arc<Proxy>>,
    /// Where to note that requests may wait unread while a process starts; nothing where their order does not matter.
    pub delays: Option<Arc<Recorder>>,
}

/// Microseconds that a process may take to read what waits at its port, on a machine that is busy.
const STARTUP: u64 = 700_000;

enum Order {
    Start,
    Signal(Signal),
    Kill(Signal, Duration),
    Retire(Signal, oneshot::Sender<Option<ExitStatus>>),
}

/// A place for a process. Its supervisor is the only one that waits for it, and the only one that signals it: a process
/// id is never used after its process was reaped.
#[derive(Clone)]
pub struct Slot {
    /// For people.
    pub name: String,
    orders: mpsc::UnboundedSender<Order>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    starts: AtomicU64,
    kills: AtomicU64,
    public: Mutex<Option<SocketAddr>>,
}

impl Slot {
    /// Empty; [`Slot::start`] fills it.
    pub fn new(recipe: Recipe) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let tally = Arc::new(Tally::default());
        let name = recipe.name.clone();
        tokio::spawn(supervise(recipe, receiver, Arc::clone(&tally)));
        Self { name, orders, tally }
    }

    /// Runs a process from now on.
    pub fn start(&self) {
        let _ = self.orders.send(Order::Start);
    }

    /// Signals the process, if one is there.
    pub fn signal(&self, signal: Signal) {
        let _ = self.orders.send(Order::Signal(signal));
    }

    /// Ends the process by a signal that it does not survive; the next one starts after so long.
    pub fn kill(&self, signal: Signal, after: Duration) {
        let _ = self.orders.send(Order::Kill(signal, after));
    }

    /// Ends the process by a signal and leaves the place empty; how it ended, where there was one.
    pub async fn retire(&self, signal: Signal) -> Option<ExitStatus> {
        let (reply, ended) = oneshot::channel();
        let _ = self.orders.send(Order::Retire(signal, reply));
        ended.await.ok().flatten()
    }

    /// Processes that were started here.
    pub fn starts(&self) -> u64 {
        self.tally.starts.load(Ordering::Relaxed)
    }

    /// Processes that were killed here.
    pub fn kills(&self) -> u64 {
        self.tally.kills.load(Ordering::Relaxed)
    }

    /// The public port of the process that is here.
    pub fn public(&self) -> Option<SocketAddr> {
        *self.tally.public.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn here(&self, public: Option<SocketAddr>) {
        *self.public.lock().unwrap_or_else(PoisonError::into_inner) = public;
    }
}

async fn supervise(recipe: Recipe, mut orders: mpsc::UnboundedReceiver<Order>, tally: Arc<Tally>) {
    let mut wanted = false;
    loop {
        if !wanted {
            match orders.recv().await {
                None => return,
                Some(Order::Start) => wanted = true,
                Some(Order::Signal(_) | Order::Kill(..)) => {}
                Some(Order::Retire(_, reply)) => {
                    let _ = reply.send(None);
                }
            }
            continue;
        }
        let Ok((mut child, ports)) = spawn(&recipe) else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tally.starts.fetch_add(1, Ordering::Relaxed);
        tally.here(Some(ports[0]));
        if let Some(recorder) = &recipe.delays {
            let desde = recorder.now();
            // a history that cannot be written ends the run by the clients' own lines
            let _ = recorder.write(&Line::Delay { desde, hasta: desde + STARTUP });
        }
        route(&recipe, ports, true);
        let mut waiting = None;
        // one that cannot start must not spin
        let mut down = Duration::from_millis(100);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.ok(),
                order = orders.recv() => match order {
                    // the run is over: the child goes with this task, see `kill_on_drop`
                    None => return,
                    // where it is ending, the next one starts once it has ended
                    Some(Order::Start) => wanted = true,
                    Some(Order::Signal(signal)) => send(&child, signal),
                    Some(Order::Kill(signal, after)) => {
                        send(&child, signal);
                        tally.kills.fetch_add(1, Ordering::Relaxed);
                        down = after;
                        break child.wait().await.ok();
                    }
                    Some(Order::Retire(signal, reply)) => {
                        (wanted, waiting) = (false, Some(reply));
                        // no new connections before it stops to take them
                        route(&recipe, ports, false);
                        send(&child, Signal::CONT);
                        send(&child, signal);
                    }
                },
            }
        };
        tally.here(None);
        if wanted {
            route(&recipe, ports, false);
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

fn spawn(recipe: &Recipe) -> std::io::Result<(Child, [SocketAddr; 2])> {
    // ports that were free a moment ago; if one is not any more, the process ends and the next gets others
    let free = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    let [public, internal] = &free;
    let ports = [public.local_addr()?, internal.local_addr()?];
    drop(free);
    let log = File::options().create(true).append(true).open(&recipe.log)?;
    let [public, internal] = ports.map(|a| a.port().to_string());
    let child = child::command(&recipe.program)
        .args(&recipe.args)
        .env_clear()
        .envs(recipe.environment.iter().map(|(k, v)| (k, v)))
        .env(recipe.port, public)
        .env("INTERNAL_PORT", internal)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok((child, ports))
}

fn route(recipe: &Recipe, [public, internal]: [SocketAddr; 2], on: bool) {
    let switch = |proxy: &Proxy, target| {
        proxy.remove(target);
        if on {
            proxy.add(target);
        }
    };
    recipe.public.iter().for_each(|p| switch(p, public));
    if let Some(proxy) = &recipe.internal {
        switch(proxy, internal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    /// It ends by itself a while after it was asked to end, as a service that finishes what it began.
    #[tokio::test]
    async fn one_that_is_started_while_the_one_before_ends_starts_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let slot = Slot::new(Recipe {
            name: "sleeper".to_owned(),
            program: "sleep".into(),
            args: vec!["0.3".to_owned()],
            environment: Vec::new(),
            port: "PORT",
            log: dir.path().join("log"),
            public: Vec::new(),
            internal: None,
            delays: None,
        });
        let started = async |n| {
            while slot.starts() < n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        slot.start();
        timeout(Duration::from_secs(20), started(1)).await.expect("it starts");
        let (ended, ()) = tokio::join!(slot.retire(Signal::CONT), async { slot.start() });
        assert!(ended.is_some_and(|status| status.success()));
        timeout(Duration::from_secs(20), started(2)).await.expect("the next one starts");
    }
}
