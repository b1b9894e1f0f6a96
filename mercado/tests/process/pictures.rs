//! Large pictures, and the memory that they take.

use crate::helpers::Process;
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LENGTH: usize = 8 << 20;
const CLIENTS: usize = 12;

/// Asks and reads the head, and the first bytes of the body behind it.
async fn begin(market: &Process, path: &str) -> (TcpStream, String, usize) {
    let mut stream = TcpStream::connect(market.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap();
        assert_ne!(n, 0, "the answer ended in its head");
        read.extend_from_slice(&piece[..n]);
        if let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
            return (stream, head, read.len() - end - 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_picture_is_never_in_memory_as_a_whole() {
    let dir = Arc::new(TempDir::new().unwrap());
    let pictures = dir.path().join("imagenes");
    std::fs::create_dir(&pictures).unwrap();
    let bytes: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
    std::fs::write(pictures.join("grande.png"), &bytes).unwrap();
    let market =
        Process::on(dir, &["--imagenes", pictures.to_str().unwrap(), "--client-seconds", "60"]).await;
    market.api.patch("/tokens/101").json(json!({"imagen": "grande.png"})).await.expect(200);
    let path = "/tokens/101/imagen";
    let before = market.peak_memory();

    // some read at once, and the others wait with their whole answer before them
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        waiting.push(begin(&market, path).await);
    }
    for _ in 0..2 {
        assert_eq!(market.api.get(path).await.expect(200).body.len(), LENGTH);
    }
    for (mut stream, head, some) in waiting {
        assert!(head.contains(&format!("content-length: {LENGTH}")), "{head}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(some + rest.len(), LENGTH);
        assert_eq!(rest, bytes[some..]);
    }
    let more = market.peak_memory() - before;
    assert!(more < 2 * LENGTH as u64, "{CLIENTS} clients took {more} bytes");

    // its ETag is that of the file: it holds until the file is another one
    let first = market.api.get(path).await.expect(200);
    let again = market.api.get(path).header("if-none-match", first.header("etag")).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = market.api.head(path).await.expect(200);
    assert_eq!((head.header("etag"), head.header("content-length")), (first.header("etag"), "8388608"));
    std::fs::write(pictures.join("grande.png"), "otra").unwrap();
    let other = market.api.get(path).header("if-none-match", first.header("etag")).await.expect(200);
    assert_eq!(other.text(), "otra");
}
