//! A TCP proxy that stands in for the network: it balances connections over replicas, and can cut, delay and hold them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It works.
    Pass,
    /// Connections end, new ones too.
    Cut,
    /// Each piece takes so long, in both directions.
    Slow(Duration),
    /// Nothing comes through until it does again.
    Hold,
}

/// A port that leads to the replicas of a service.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    targets: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    /// Listens on a free port; without a target, connections end at once.
    ///
    /// # Errors
    /// Where there is no free port.
    pub async fn start() -> std::io::Result<Arc<Self>> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let proxy = Arc::new(Self {
            address: listener.local_addr()?,
            targets: Mutex::default(),
            turn: AtomicUsize::new(0),
            mode: watch::Sender::new(Mode::Pass),
        });
        let serving = Arc::clone(&proxy);
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((client, _)) => {
                        tokio::spawn(Arc::clone(&serving).connection(client));
                    }
                    // out of file descriptors, for a moment
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Ok(proxy)
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A replica has come.
    pub fn add(&self, target: SocketAddr) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).push(target);
    }

    /// A replica has gone.
    pub fn remove(&self, target: SocketAddr) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).retain(|t| *t != target);
    }

    /// From now on, for old connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// What it does now.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    async fn connection(self: Arc<Self>, client: TcpStream) {
        if *self.mode.borrow() == Mode::Cut {
            return;
        }
        let Some(server) = self.connect().await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // one direction's end is the connection's
        tokio::select! {
            () = pump(from_client, to_server, self.mode.subscribe()) => {}
            () = pump(from_server, to_client, self.mode.subscribe()) => {}
        }
    }

    async fn connect(&self) -> Option<TcpStream> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for i in 0..targets.len() {
            let target = targets.get((first + i) % targets.len())?;
            if let Ok(server) = TcpStream::connect(target).await {
                return Some(server);
            }
        }
        None
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        if *mode.borrow_and_update() == Mode::Cut {
            return;
        }
        let n = tokio::select! {
            n = from.read(&mut buffer) => n,
            _ = mode.changed() => continue,
        };
        let Ok(n @ 1..) = n else { return };
        let now = *mode.borrow_and_update();
        match now {
            Mode::Pass => {}
            Mode::Cut => return,
            Mode::Slow(by) => tokio::time::sleep(by).await,
            Mode::Hold => {
                if mode.wait_for(|m| *m != Mode::Hold).await.is_err() {
                    return;
                }
            }
        }
        let Some(piece) = buffer.get(..n) else { return };
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut r, mut w) = stream.split();
                    tokio::io::copy(&mut r, &mut w).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn it_passes_holds_and_cuts() {
        let proxy = Proxy::start().await.unwrap();
        proxy.add(echo().await);
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        let mut back = [0; 1];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"a");

        proxy.set(Mode::Hold);
        client.write_all(b"b").await.unwrap();
        let held = tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut back)).await;
        assert!(held.is_err(), "it came through");
        proxy.set(Mode::Pass);
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"b");

        proxy.set(Mode::Cut);
        assert!(matches!(client.read(&mut back).await, Ok(0) | Err(_)));
    }
}
