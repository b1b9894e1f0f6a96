//! `salud`: whether the process that serves here is ready, asked by another run of the same binary. It is the health check
//! of a container whose image has no shell and no `curl`.

use crate::exit::{EX_USAGE, StartError, unread};
use clap::{Command, Parser};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The subcommand's name.
pub const NAME: &str = "salud";
/// How long an answer may take. Docker and Kubernetes wait for longer; a healthy process needs less.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of an answer that are read: a problem is a tenth of it.
const MOST: usize = 8192;

/// The subcommand. It has the `--host` and `--port` of serving, and no other option that somebody could get wrong.
pub fn command<T: Parser>() -> Command {
    let serving = T::command();
    let mine = serving.get_arguments().filter(|a| matches!(a.get_id().as_str(), "host" | "port")).cloned();
    Command::new(NAME)
        .about("Ask the process that serves here whether it is ready; exit code 0 or 1")
        .args(mine)
}

/// Asks, with the arguments that follow `salud` on the command line.
///
/// # Errors
/// Always, since the process ends here: exit code 0 where it is ready, 1 where not, 64 for a bad option; a line says why.
pub fn run<T: Parser>(args: impl IntoIterator<Item = OsString>) -> StartError {
    let name = T::command().get_name().to_owned();
    let mut command = command::<T>().bin_name(format!("{name} {NAME}"));
    let matches = match command.try_get_matches_from_mut(args) {
        Ok(matches) => matches,
        Err(e) => return unread(&e, &command),
    };
    let (Some(host), Some(port)) = (matches.get_one::<String>("host"), matches.get_one::<u16>("port")) else {
        return StartError::new(70, format!("{name} has no --host or no --port: a bug"));
    };
    match near(host, *port) {
        Some(address) => match ask(address, PATIENCE) {
            Ok(()) => StartError::new(0, format!("ready: http://{address}")),
            Err(why) => StartError::new(1, format!("not ready: http://{address}/readyz {why}")),
        },
        None => StartError::new(EX_USAGE, format!("--host (HOST): {host} is not an address of this machine")),
    }
}

/// Where a process that listens on this host can be called from the same machine.
fn near(host: &str, port: u16) -> Option<SocketAddr> {
    let mut address = (host, port).to_socket_addrs().ok()?.next()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address)
}

/// The part of a problem document that the check's line repeats.
#[derive(Deserialize)]
struct NotReady {
    codigo: String,
    detail: String,
}

/// `GET /readyz`; why it is not ready, as the end of a sentence.
fn ask(address: SocketAddr, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    let late = |e: Error| match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("did not answer within {patience:?}"),
        _ => format!("cannot be asked: {e}"),
    };
    let answer = exchange(address, deadline).map_err(late)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("gave no HTTP answer")?;
    let status = head.split(' ').nth(1).ok_or("gave no HTTP answer")?;
    if status == "200" {
        return Ok(());
    }
    Err(match serde_json::from_str(body) {
        Ok(NotReady { codigo, detail }) => format!("answered {status} {codigo}: {detail}"),
        Err(_) => format!("answered {status}"),
    })
}

/// One request and its whole answer. HTTP/1.0: the answer ends with its connection and comes in no chunks.
fn exchange(address: SocketAddr, deadline: Instant) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(
        format!("GET /readyz HTTP/1.0\r\nhost: {address}\r\naccept-language: en\r\n\r\n").as_bytes(),
    )?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while answer.len() < MOST {
        // again for each read: a peer that drips would be waited for without end
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What is said of a peer that answers so, and then does not close.
    fn of(answer: &'static str) -> Result<(), String> {
        let peer = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = peer.local_addr().unwrap();
        let talk = std::thread::spawn(move || {
            let (mut stream, _) = peer.accept().unwrap();
            let mut request = [0; 256];
            let n = stream.read(&mut request).unwrap();
            assert!(request[..n].starts_with(b"GET /readyz HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
            // holds the connection until the other end has gone
            let _ = stream.read(&mut request);
        });
        let said = ask(address, Duration::from_millis(200));
        talk.join().unwrap();
        said
    }

    #[test]
    fn a_peer_that_is_silent_or_never_ends_is_not_waited_for() {
        for answer in ["", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(of(answer).unwrap_err(), "did not answer within 200ms");
        }
    }

    #[test]
    fn a_process_that_listens_on_all_addresses_is_asked_on_the_loopback_one() {
        assert_eq!(near("0.0.0.0", 1).unwrap(), "127.0.0.1:1".parse().unwrap());
        assert_eq!(near("::", 1).unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(near("127.0.0.3", 1).unwrap(), "127.0.0.3:1".parse().unwrap());
    }
}
