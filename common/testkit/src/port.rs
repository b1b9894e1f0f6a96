//! Ports for servers that must be told one before they start, and that come back on it after they were killed.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what Linux gives to connections and to port 0 (`ip_local_port_range`, 32768 by default): a port of those could be
/// taken by anybody's connection between the moment in which a test finds it free and the one in which the server binds it.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

/// A port of the loopback address that nobody listens on, and that no connection takes by chance. Each call of one process
/// gives another one, and another process begins elsewhere.
///
/// # Panics
///
/// Where all of them are taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // processes that run at once have neighbouring ids: far from each other
    let first = std::process::id().wrapping_mul(7919);
    (0..COUNT)
        .map(|_| FIRST + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice_nor_one_that_a_connection_could_take() {
        let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a range");
        let lowest: u16 =
            ephemeral.split_whitespace().next().and_then(|n| n.parse().ok()).expect("its beginning");
        let ports: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| *port < lowest), "{ports:?} reach into {ephemeral}");
    }

    #[test]
    fn one_that_is_taken_is_passed_over() {
        let taken = TcpListener::bind(("127.0.0.1", free_port())).expect("a free one");
        let taken = taken.local_addr().expect("its address").port();
        assert!((0..10).all(|_| free_port() != taken));
    }
}
