//! A participant in trouble: a proxy before its internal port that gives each kind of call a fault.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A call of the contract, the same for both participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reserve or charge.
    Hold,
    /// Sale or settlement.
    Confirm,
    /// Release or refund.
    Cancel,
    /// Lists and digests.
    Look,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is not delivered; the connection closes.
    Refuse,
    /// It is delivered; the connection closes without an answer.
    Lose,
    /// It is not delivered, and nothing is said.
    Hang,
    /// It is delivered, and nothing is said.
    Mute,
    /// It is not delivered, and this is said.
    Say(&'static str),
}

#[derive(Default)]
struct Faults {
    now: HashMap<Step, (Fault, usize)>,
    met: HashMap<Step, usize>,
}

/// The proxy; faultless at first.
pub struct Proxy {
    pub address: SocketAddr,
    faults: Arc<Mutex<Faults>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::<Mutex<Faults>>::default();
        let shared = Arc::clone(&faults);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, target, Arc::clone(&shared)));
            }
        });
        Self { address, faults, task }
    }

    /// From now on, each such call.
    pub fn fault(&self, step: Step, fault: Fault) {
        self.fault_times(step, fault, usize::MAX);
    }

    /// The next such calls.
    pub fn fault_times(&self, step: Step, fault: Fault, times: usize) {
        self.faults.lock().unwrap().now.insert(step, (fault, times));
    }

    /// From now on, every call.
    pub fn every(&self, fault: Fault) {
        for step in [Step::Hold, Step::Confirm, Step::Cancel, Step::Look] {
            self.fault(step, fault);
        }
    }

    /// From now on, no call.
    pub fn heal(&self) {
        self.faults.lock().unwrap().now.clear();
    }

    /// How many such calls met a fault.
    pub fn met(&self, step: Step) -> usize {
        self.faults.lock().unwrap().met.get(&step).copied().unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes calls on until a fault, or either end, closes the connection.
async fn serve(mut client: TcpStream, target: SocketAddr, faults: Arc<Mutex<Faults>>) -> std::io::Result<()> {
    let mut server: Option<TcpStream> = None;
    while let Some(request) = message(&mut client).await? {
        let fault = faults.lock().unwrap().take(step(&request));
        if let Some(Fault::Refuse) = fault {
            return Ok(());
        }
        if let Some(Fault::Say(words)) = fault {
            return client.write_all(words.as_bytes()).await;
        }
        if let Some(Fault::Hang) = fault {
            return gone(&mut client).await;
        }
        let server = match &mut server {
            Some(server) => server,
            None => server.insert(TcpStream::connect(target).await?),
        };
        server.write_all(&request).await?;
        let Some(answer) = message(server).await? else { return Ok(()) };
        match fault {
            Some(Fault::Lose) => return Ok(()),
            Some(Fault::Mute) => return gone(&mut client).await,
            _ => client.write_all(&answer).await?,
        }
    }
    Ok(())
}

/// Waits until the client gives up.
async fn gone(client: &mut TcpStream) -> std::io::Result<()> {
    client.read(&mut [0; 64]).await.map(|_| ())
}

impl Faults {
    fn take(&mut self, step: Step) -> Option<Fault> {
        let (fault, left) = self.now.get_mut(&step).filter(|(_, left)| *left > 0)?;
        *left -= 1;
        *self.met.entry(step).or_default() += 1;
        Some(*fault)
    }
}

fn step(request: &[u8]) -> Step {
    let head = String::from_utf8_lossy(request);
    let line = head.lines().next().unwrap_or_default();
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["PUT", path, _] if path.ends_with("/venta") || path.ends_with("/confirmacion") => Step::Confirm,
        ["PUT", ..] => Step::Hold,
        ["DELETE", ..] => Step::Cancel,
        _ => Step::Look,
    }
}

/// One whole message with the length that its head says; nothing at the end of the stream.
async fn message(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |n| n.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Ok(Some(bytes));
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
}
