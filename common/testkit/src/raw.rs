//! A connection whose bytes a test writes itself.

use std::io::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection to a server.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    /// What was read beyond the last answer.
    ahead: Vec<u8>,
}

/// One whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// The head in lower case, without its last blank line.
    pub head: String,
    /// The body as it came.
    pub body: String,
}

impl RawAnswer {
    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        let of = |line: &'_ str| line.split_once(':').is_some_and(|(n, _)| n == name);
        self.head.lines().find(|line| of(line)).map_or("", |line| line[name.len() + 1..].trim())
    }

    /// Whether the connection ends with this answer.
    pub fn closes(&self) -> bool {
        self.header("connection") == "close"
    }
}

impl RawConnection {
    /// To `host:port`.
    ///
    /// # Errors
    /// Where nothing takes it.
    pub async fn open(address: &str) -> Result<Self> {
        Ok(Self { stream: TcpStream::connect(address).await?, ahead: Vec::new() })
    }

    /// To `host:port`, from where so few bytes of an answer wait to be read.
    ///
    /// # Errors
    /// Where nothing takes it.
    pub async fn narrow(address: &str, bytes: u32) -> Result<Self> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(bytes)?;
        let address = address.parse().map_err(Error::other)?;
        Ok(Self { stream: socket.connect(address).await?, ahead: Vec::new() })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// Where the other end has closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Says that nothing more will be sent; answers can still be read.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn finish(&mut self) -> Result<()> {
        self.stream.shutdown().await
    }

    /// Asks for a path, and reads the answer.
    ///
    /// # Errors
    /// Where the connection ends before the answer does.
    pub async fn get(&mut self, path: &str) -> Result<RawAnswer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await?;
        self.answer().await
    }

    /// Posts JSON to a path, and reads the answer.
    ///
    /// # Errors
    /// Where the connection ends before the answer does.
    pub async fn post(&mut self, path: &str, json: &str) -> Result<RawAnswer> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json");
        self.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{json}", json.len())).await?;
        self.answer().await
    }

    /// Reads one whole answer, which says its length.
    ///
    /// # Errors
    /// Where the connection ends before the answer does.
    pub async fn answer(&mut self) -> Result<RawAnswer> {
        let mut bytes = std::mem::take(&mut self.ahead);
        loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let status = head.get(9..12).and_then(|s| s.parse().ok());
                let status = status.ok_or_else(|| Error::other(format!("no status: {head}")))?;
                let mut answer = RawAnswer { status, head, body: String::new() };
                let length: usize = answer.header("content-length").parse().unwrap_or_default();
                let whole = end + 4 + length;
                if bytes.len() >= whole {
                    self.ahead = bytes.split_off(whole);
                    answer.body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
                    return Ok(answer);
                }
            }
            if self.stream.read_buf(&mut bytes).await? == 0 {
                return Err(Error::other(format!("the end after {} bytes", bytes.len())));
            }
        }
    }

    /// Reads so many bytes at most, and gives them; none at the end.
    ///
    /// # Errors
    /// Where the other end resets the connection.
    pub async fn some(&mut self, most: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let n = self.stream.read(&mut bytes).await?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Everything until the other end closes, which it does politely.
    ///
    /// # Errors
    /// Where it resets the connection.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.ahead);
        self.stream.read_to_end(&mut rest).await?;
        Ok(rest)
    }
}
