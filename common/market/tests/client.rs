//! Calls to a service that fails in every way that we know.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it goes wrong")]

use http_kit::client::Client;
use http_kit::context::Context;
use market::contract::Answer;
use market::contract::{CargoRequest, HeldToken, Refusal};
use market::domain::{Monto, UsuarioId};
use reqwest::Method;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const TOKEN: &str = "0123456789abcdef";

/// How the stub treats one request.
#[derive(Clone, Debug)]
enum Act {
    Hang,
    HangUp,
    Say(String),
}

fn response(status: &str, kind: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

fn json(status: &str, body: &str) -> Act {
    response(status, "application/json", body)
}

/// A service that goes through a list of acts, one for each request, and stays with the last.
struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), acts)
    }

    fn on(listener: TcpListener, acts: impl IntoIterator<Item = Act>) -> Self {
        let (address, acts) = (listener.local_addr().unwrap(), acts.into_iter().collect::<Vec<_>>());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, acts.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut connection: TcpStream, acts: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    while connection.read_buf(&mut bytes).await.is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.to_lowercase().lines().find_map(|l| Some(l.strip_prefix("content-length:")?.trim().parse()));
        if body.len() < length.map_or(0, |n: Result<usize, _>| n.unwrap()) {
            continue;
        }
        bytes.clear();
        let act = {
            let mut seen = seen.lock().unwrap();
            seen.push(text.clone());
            acts[(seen.len() - 1).min(acts.len() - 1)].clone()
        };
        match act {
            Act::Hang => std::future::pending().await,
            Act::HangUp => return,
            Act::Say(text) => {
                if connection.write_all(text.as_bytes()).await.is_err() || !text.starts_with("HTTP") {
                    return;
                }
            }
        }
    }
}

async fn call(address: SocketAddr, within: Duration) -> Answer<HeldToken> {
    let url = format!("http://{address}").parse().unwrap();
    let client = Client::new("prueba", &url, &TOKEN.parse().unwrap()).unwrap();
    let body = CargoRequest {
        usuario_id: UsuarioId::new(7).unwrap(),
        monto: Monto::new(50).unwrap(),
        session: None,
    };
    let path = ["interno", "cargos", "a/b#1"];
    client.call(Method::PUT, &path, &[("q", "ñ&".to_owned())], Some(&body), Instant::now() + within).await
}

const RIGHT: &str = r#"{"precio":50}"#;

fn reservado() -> HeldToken {
    HeldToken { precio: Monto::new(50).unwrap() }
}

/// What no service of ours says; the client must ask again.
fn nonsense() -> Vec<Act> {
    let problem = r#"{"type":"urn:mercado:error:error-interno","status":500,"codigo":"error-interno"}"#;
    vec![
        Act::HangUp,
        Act::Say("SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
        Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"precio\"".to_owned()),
        json("200 OK", "{\"precio\":"),
        json("200 OK", "{\"precio\":-1}"),
        json("200 OK", &format!("{{\"precio\":50,\"x\":\"{}\"}}", "x".repeat(2 << 20))),
        response("200 OK", "text/html", "<html>a login page</html>"),
        json("204 No Content", ""),
        json("302 Found", ""),
        json("401 Unauthorized", r#"{"codigo":"saldo-insuficiente"}"#),
        response("404 Not Found", "text/html", "<h1>nginx</h1>"),
        json("404 Not Found", r#"{"message":"no Route matched with those values"}"#),
        json("404 Not Found", r#"{"codigo":"ruta-no-encontrada"}"#),
        json("409 Conflict", r#"{"codigo":"algo-nuevo"}"#),
        response("500 Internal Server Error", "application/problem+json", problem),
        response("503 Service Unavailable", "application/problem+json", r#"{"codigo":"saldo-insuficiente"}"#),
    ]
}

#[tokio::test]
async fn it_asks_until_there_is_an_answer() {
    for act in nonsense() {
        let stub = Stub::new([act.clone(), json("200 OK", RIGHT)]).await;
        let answer = call(stub.address, Duration::from_secs(20)).await;
        assert_eq!(answer, Ok(Ok(reservado())), "{act:.120?}");
        assert_eq!(stub.requests().len(), 2, "{act:.120?}");
    }
}

#[tokio::test]
async fn nonsense_alone_is_no_answer() {
    for act in nonsense() {
        let stub = Stub::new([act.clone()]).await;
        let start = Instant::now();
        let failed = call(stub.address, Duration::from_millis(150)).await.expect_err("no answer");
        assert_eq!(failed.service, "prueba");
        assert_ne!(failed.cause, "");
        assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
    }
}

/// Where nobody listens. On an address that no connection begins at, so that none takes the port meanwhile.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.2:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_service_that_is_down_then_hangs_then_comes_back() {
    let address = free_address().await;
    let calling = tokio::spawn(call(address, Duration::from_secs(20)));
    // the first try has failed by the time that another client's would have
    assert!(TcpStream::connect(address).await.is_err());
    let stub = Stub::on(TcpListener::bind(address).await.unwrap(), [Act::Hang, json("201 Created", RIGHT)]);
    assert_eq!(calling.await.unwrap(), Ok(Ok(reservado())));
    assert_eq!(stub.requests().len(), 2, "one that hung, and one that was answered");
}

#[tokio::test]
async fn the_deadline_is_kept() {
    let hanging = Stub::new([Act::Hang]).await;
    let down = free_address().await;
    for address in [hanging.address, down] {
        let (start, within) = (Instant::now(), Duration::from_millis(400));
        call(address, within).await.expect_err("no answer");
        let took = start.elapsed();
        assert!(took <= within + Duration::from_millis(300), "{took:?}");
    }
    assert_eq!(hanging.requests().len(), 1);
    // a deadline that is over already
    call(hanging.address, Duration::ZERO).await.expect_err("no answer");
}

#[tokio::test]
async fn a_refusal_is_an_answer_at_once() {
    for (status, codigo, refusal) in [
        ("404 Not Found", "usuario-no-encontrado", Refusal::UsuarioNotFound),
        ("409 Conflict", "saldo-insuficiente", Refusal::SaldoTooLow),
        ("422 Unprocessable Entity", "clave-reutilizada", Refusal::ClaveReused),
    ] {
        let body = format!(r#"{{"type":"urn:mercado:error:{codigo}","title":"x","codigo":"{codigo}"}}"#);
        let stub = Stub::new([response(status, "application/problem+json", &body)]).await;
        assert_eq!(call(stub.address, Duration::from_secs(20)).await, Ok(Err(refusal)));
        assert_eq!(stub.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_call_carries_its_credential_and_its_trace() {
    let stub = Stub::new([json("200 OK", RIGHT)]).await;
    let context = Context::new();
    let (id, trace) = (context.id().to_owned(), context.trace.id());
    context.scope(call(stub.address, Duration::from_secs(20))).await.unwrap().unwrap();
    let request = stub.requests().remove(0);
    assert!(request.starts_with("PUT /interno/cargos/a%2Fb%231?q=%C3%B1%26 HTTP/1.1\r\n"), "{request}");
    let request = request.to_lowercase();
    for line in [
        format!("\r\nauthorization: bearer {TOKEN}\r\n"),
        format!("\r\nx-request-id: {id}\r\n"),
        format!("\r\ntraceparent: 00-{trace}-"),
        "\r\ncontent-type: application/json\r\n".to_owned(),
        "\r\n\r\n{\"usuarioid\":7,\"monto\":50}".to_owned(),
    ] {
        assert!(request.contains(&line), "{line} is not in {request}");
    }
}
