//! Which mode a process has. Nobody gets an open market on a network without having said so.

use clap::{Args, ValueEnum};
use http_kit::exit::{EX_USAGE, StartError};
use std::net::{IpAddr, ToSocketAddrs};

/// Whether people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// They do.
    #[value(name = "si")]
    On,
    /// Whoever asks says who they are.
    #[value(name = "no")]
    Off,
}

/// Yes or no, as people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Yes.
    Si,
    /// No.
    No,
}

/// The options of accounts that every process has.
#[derive(Args, Clone, Debug)]
pub struct AccountOptions {
    /// Whether people log in (`si`), or whoever asks says who they are (`no`). Left out it is `no` on a loopback address; on
    /// any other it has to be said
    #[arg(long, env = "CUENTAS", value_enum)]
    pub cuentas: Option<Mode>,
    /// Whether only a proxy of ours reaches the public port, so that its word on a client's address and on TLS counts
    #[arg(long, env = "BEHIND_GATEWAY", value_enum, default_value_t = YesNo::No)]
    pub behind_gateway: YesNo,
}

impl AccountOptions {
    /// The mode of a process that listens on `host`.
    ///
    /// # Errors
    /// Exit code 64 where nothing was said and others than this machine can reach the port.
    pub fn mode(&self, host: &str) -> Result<Mode, StartError> {
        match self.cuentas {
            Some(mode) => Ok(mode),
            None if is_loopback(host) => Ok(Mode::Off),
            None => Err(StartError::new(
                EX_USAGE,
                format!(
                    "--cuentas (CUENTAS): other machines may reach {host} (--host, HOST); say which market this is: --cuentas=si, \
                     where people log in, or --cuentas=no, where anybody may spend anybody's balance"
                ),
            )),
        }
    }

    /// See the option.
    pub fn is_behind_gateway(&self) -> bool {
        self.behind_gateway == YesNo::Si
    }
}

/// Whether only this machine can reach what listens there. A name counts as all of its addresses.
pub fn is_loopback(host: &str) -> bool {
    let Ok(addresses) = (host, 0).to_socket_addrs() else { return false };
    let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_market_on_a_network_has_to_be_asked_for() {
        let mode = |cuentas, host| AccountOptions { cuentas, behind_gateway: YesNo::No }.mode(host);
        for host in ["127.0.0.1", "::1", "localhost", "127.0.0.7"] {
            assert_eq!(mode(None, host).unwrap(), Mode::Off, "{host}");
            assert_eq!(mode(Some(Mode::On), host).unwrap(), Mode::On, "{host}");
        }
        for host in ["0.0.0.0", "::", "10.1.2.3", "no.such.host.invalid"] {
            let refused = mode(None, host).unwrap_err();
            assert_eq!(refused.exit_code, 64);
            assert!(refused.message.contains("--cuentas=si") && refused.message.contains("--cuentas=no"));
            assert_eq!(mode(Some(Mode::Off), host).unwrap(), Mode::Off, "{host}");
        }
    }
}
