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
    let near = near(host, *port);
    let Some(address) = near.first() else {
        return StartError::new(EX_USAGE, format!("--host (HOST): {host} is not an address of this machine"));
    };
    match ask(&near, PATIENCE) {
        Ok(address) => StartError::new(0, format!("ready: http://{address}")),
        Err(why) => StartError::new(1, format!("not ready: http://{address}/readyz {why}")),
    }
}

/// Where a process that listens on this host can be called from the same machine: none where the host is none. One that
/// listens on every address does so for IPv4 as well, and alone where the machine has no IPv6.
fn near(host: &str, port: u16) -> Vec<SocketAddr> {
    let Some(address) = (host, port).to_socket_addrs().ok().and_then(|mut found| found.next()) else {
        return Vec::new();
    };
    let (four, six) = ((Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into());
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![four],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![four, six],
        _ => vec![address],
    }
}

/// The part of a problem document that the check's line repeats.
#[derive(Deserialize)]
struct NotReady {
    codigo: String,
    detail: String,
}

/// `GET /readyz` at the first address that takes a connection: that address, or why it is not ready, as the end of a sentence.
fn ask(near: &[SocketAddr], patience: Duration) -> Result<SocketAddr, String> {
    let deadline = Instant::now() + patience;
    let late = |e: Error| match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("did not answer within {patience:?}"),
        _ => format!("cannot be asked: {e}"),
    };
    let (address, answer) = exchange(near, deadline).map_err(late)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("gave no HTTP answer")?;
    let status = head.split(' ').nth(1).ok_or("gave no HTTP answer")?;
    if status == "200" {
        return Ok(address);
    }
    Err(match serde_json::from_str(body) {
        Ok(NotReady { codigo, detail }) => format!("answered {status} {codigo}: {detail}"),
        Err(_) => format!("answered {status}"),
    })
}

/// One request and its whole answer. HTTP/1.0: the answer ends with its connection and comes in no chunks.
fn exchange(near: &[SocketAddr], deadline: Instant) -> std::io::Result<(SocketAddr, String)> {
    let (address, mut stream) = connect(near, deadline)?;
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
    Ok((address, String::from_utf8_lossy(&answer).into_owned()))
}

/// A connection to the first address that takes one; else the first one's error.
fn connect(near: &[SocketAddr], deadline: Instant) -> std::io::Result<(SocketAddr, TcpStream)> {
    let mut first = None;
    for address in near {
        match left(deadline).and_then(|left| TcpStream::connect_timeout(address, left)) {
            Ok(stream) => return Ok((*address, stream)),
            Err(e) => first = first.or(Some(e)),
        }
    }
    Err(first.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
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
        let said = ask(&[address], Duration::from_secs(1)).map(|asked| assert_eq!(asked, address));
        talk.join().unwrap();
        said
    }

    #[test]
    fn a_peer_that_is_silent_or_never_ends_is_not_waited_for() {
        for answer in ["", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(of(answer).unwrap_err(), "did not answer within 1s");
        }
    }

    #[test]
    fn a_process_that_listens_on_all_addresses_is_asked_on_the_loopback_one() {
        let near = |host| near(host, 1).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(near("0.0.0.0"), ["127.0.0.1:1"]);
        assert_eq!(near("::"), ["127.0.0.1:1", "[::1]:1"]);
        assert_eq!(near("127.0.0.3"), ["127.0.0.3:1"]);
        assert_eq!(near("not an address"), [""; 0]);
    }

    #[test]
    fn the_family_that_answers_is_asked() {
        let (closed, there) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (silent, address) = (closed.local_addr().unwrap(), there.local_addr().unwrap());
        drop(closed);
        let deadline = Instant::now() + PATIENCE;
        assert_eq!(connect(&[silent, address], deadline).unwrap().0, address);
        assert_eq!(connect(&[silent], deadline).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
