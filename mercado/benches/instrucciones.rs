//! Fixed runs of the market, whose instructions `bench/instrucciones` counts: `instrucciones WHAT DIR N` does WHAT N times on the
//! store in DIR. The stores' writers are tasks of the one thread that buys, so that each run takes the same batches.

#![allow(clippy::unwrap_used, reason = "it measures, or says why it cannot")]

use http_kit::metrics::Metrics;
use http_kit::server::block_on;
use journal::simulation::open_driven;
use journal::{Journal, Model, Options};
use market::domain::{Clave, TokenId, UsuarioId};
use market::participant::Local;
use mercado::config::Config;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use transacciones::app::Engine;
use transacciones::config::PurchaseOptions;
use transacciones::domain::Compra;
use transacciones::service::Service;

/// As `bench/lib.sh` makes them.
const USERS: u64 = 1000;

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    let [_, what, dir, n] = args.as_slice() else {
        eprintln!("instrucciones: WHAT DIR N");
        exit(64);
    };
    let (dir, n) = (Path::new(dir), n.parse().unwrap());
    match what.as_str() {
        "compras" => alone(purchases(dir, n, 64)),
        "compra" => alone(purchases(dir, n, 1)),
        "auditoria" => alone(audits(dir, n)),
        "abrir" => {
            for _ in 0..n {
                alone(async { drop(market(dir).await) });
            }
        }
        path => requests(dir, n, path),
    }
    // the writers and the server's threads wait for nothing that counts
    exit(0);
}

fn alone(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// A store whose writer is a task; it never compacts, since a compaction is a step and no cost of one purchase.
fn store<M: Model>(dir: &Path) -> Journal<M> {
    let options = Options { compact_bytes: u64::MAX, ..Options::new(dir) };
    let (journal, writer) = open_driven(options, tokio::task::yield_now).unwrap();
    tokio::spawn(writer);
    journal
}

async fn market(dir: &Path) -> Service {
    let options = PurchaseOptions { audit_pause_ms: 0, ..PurchaseOptions::default() };
    let tokens = Arc::new(Local(tokens::store::Store::json(store(dir))));
    let usuarios = Arc::new(Local(usuarios::store::Store::json(store(dir))));
    let transacciones = transacciones::store::Store::json(store(dir));
    let metrics = Metrics::new();
    Engine::start(transacciones, tokens, usuarios, options, &metrics).unwrap().service
}

/// So many purchases by so many clients at once, each of another token and with a key of its own.
async fn purchases(dir: &Path, n: u64, clients: u64) {
    let service = market(dir).await;
    let first = service.store().last().await.unwrap().map_or(0, |id| id.get());
    let clients = (0..clients).map(|client| {
        let service = service.clone();
        tokio::spawn(async move {
            for i in (client..n).step_by(usize::try_from(clients).unwrap()) {
                let clave: Clave = format!("{i:08x}-0000-4000-8000-{i:012x}").parse().unwrap();
                let (usuario_id, token_id) = (UsuarioId::new(i % USERS + 1), TokenId::new(first + i + 1));
                let (usuario_id, token_id) = (usuario_id.unwrap(), token_id.unwrap());
                let clave_from_client = false;
                let of =
                    Compra { clave, clave_from_client, usuario_id, token_id, precio: None, session: None };
                service.buy(of).await.unwrap();
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

async fn audits(dir: &Path, n: u64) {
    let service = market(dir).await;
    for _ in 0..n {
        assert!(service.audit().await.unwrap().is_correct(), "the money is not right");
    }
}

/// So many requests over one connection, to a server in this process.
fn requests(dir: &Path, n: u64, path: &str) {
    let options = ["instrucciones", "--port=0", "--workers=1", "--rust-log=off"];
    let store = format!("--store=json:{}", dir.display());
    let args = options.into_iter().map(str::to_owned).chain([store]);
    let config: Config = http_kit::config::parse(args.map(Into::into)).unwrap();
    let (tell, address) = std::sync::mpsc::channel::<SocketAddr>();
    thread::spawn(move || {
        block_on(async {
            let serving = mercado::app::build(&config)?;
            tell.send(serving.public()).unwrap();
            serving.run(std::future::pending()).await
        })
    });
    let mut server = TcpStream::connect(address.recv().unwrap()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut answer = vec![0; 1 << 20];
    for _ in 0..n {
        server.write_all(request.as_bytes()).unwrap();
        receive(&mut server, &mut answer);
    }
}

/// Reads one answer.
fn receive(server: &mut TcpStream, answer: &mut [u8]) {
    let mut length = 0;
    loop {
        let more = server.read(&mut answer[length..]).unwrap();
        assert!(more > 0, "the server hung up");
        length += more;
        let head = &answer[..length.min(4096)];
        let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&head[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut lines = head.lines().map(str::to_ascii_lowercase);
        let body = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if length == end + 4 + body.unwrap() {
            return;
        }
    }
}
