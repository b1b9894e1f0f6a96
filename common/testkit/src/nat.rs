//! A network between a client and a server that can forget the connections which it has: both ends then believe that they are
//! connected, and nothing arrives any more.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes everything on, until it forgets.
pub struct Nat {
    /// What the client connects to.
    pub address: SocketAddr,
    forgotten: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Nat {
    /// Before a server.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (forgotten, forgets) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut forgets = forgets.clone();
                forgets.mark_unchanged();
                tokio::spawn(async move {
                    let (mut client, Ok(mut server)) = (client, TcpStream::connect(target).await) else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = forgets.changed() => {
                            // neither end is told: the sockets stay open, and nobody reads them
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { address, forgotten, task }
    }

    /// Forgets the connections that it has; new ones work.
    pub fn forget(&self) {
        self.forgotten.send_modify(|times| *times += 1);
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.task.abort();
    }
}
