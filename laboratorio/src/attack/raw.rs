//! Requests as bytes, whole and broken, and answers as they come.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The most bytes of an answer that are kept.
const MOST: usize = 32 << 20;
/// Longer than any limit that is tried here.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code; 0 where the connection ended without one.
    pub status: u16,
    /// The head in lower case.
    pub head: String,
    /// The body, or what came of it.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        let value =
            |line: &'_ str| line.split_once(':').filter(|(n, _)| *n == name).map(|(n, _)| n.len() + 1);
        self.head.lines().find_map(|line| value(line).map(|start| line[start..].trim())).unwrap_or_default()
    }

    /// The `codigo` of an error.
    pub fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["codigo"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request without a body.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    text.into_bytes()
}

/// A request with a JSON body.
pub fn json(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut all = vec![("Content-Type", "application/json"), ("Content-Length", &length)];
    all.extend_from_slice(headers);
    let mut bytes = request(method, path, &all);
    bytes.extend_from_slice(body);
    bytes
}

/// GET on a connection of its own.
///
/// # Errors
/// The connection's.
pub async fn get(to: SocketAddr, path: &str) -> Result<Reply> {
    exchange(to, &request("GET", path, &[("Connection", "close")])).await
}

/// One request on a connection of its own; the answer up to its end.
///
/// # Errors
/// The connection's.
pub async fn exchange(to: SocketAddr, bytes: &[u8]) -> Result<Reply> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    // a server that has refused already need not read the rest
    let written = stream.write_all(bytes).await;
    let reply = read(&mut stream).await?;
    if reply.status == 0 { written.and(Err(ErrorKind::UnexpectedEof.into())) } else { Ok(reply) }
}

/// The next answer; its status is 0 where the connection ends before it.
///
/// # Errors
/// The connection's, where nothing of an answer came.
pub async fn read(stream: &mut TcpStream) -> Result<Reply> {
    tokio::time::timeout(PATIENCE, read_reply(stream)).await.map_err(|_| Error::from(ErrorKind::TimedOut))?
}

async fn read_reply(stream: &mut TcpStream) -> Result<Reply> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let mut reply = Reply::default();
    // the body's place, and its length where the head says it
    let mut body: Option<(usize, Option<usize>)> = None;
    loop {
        if body.is_none()
            && let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n")
        {
            reply.head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
            reply.status = reply.head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default();
            let none = matches!(reply.status, 204 | 304).then_some(0);
            body = Some((at + 4, none.or_else(|| reply.header("content-length").parse().ok())));
        }
        if let Some((start, length)) = body {
            let came = bytes.len() - start;
            // chunks end with an empty one
            let last = reply.header("transfer-encoding") == "chunked" && bytes.ends_with(b"0\r\n\r\n");
            if length.is_some_and(|length| came >= length) || last || bytes.len() > MOST {
                break;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(e) if bytes.is_empty() => return Err(e),
            Err(_) => break,
        }
    }
    reply.body = body.map_or_else(Vec::new, |(start, _)| bytes.split_off(start));
    Ok(reply)
}

/// A connection at whose end only a few bytes wait to be read.
///
/// # Errors
/// The connection's.
pub async fn narrow(to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(to).await
}
