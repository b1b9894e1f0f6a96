//! How a connection is made: to which of the hosts, with which limits, and under which name.

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Error, Row, raw_sql};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// How long one of several hosts may take to answer, before the next one is tried.
const ONE_HOST: Duration = Duration::from_millis(700);
/// PostgreSQL cuts an application's name after 63 bytes. What tells connections apart, at its end, must not be cut.
const LONGEST_NAME: usize = 46;

/// The ways to one database.
pub(super) struct Connector {
    hosts: Vec<PgConnectOptions>,
    read_write: bool,
    application: String,
    /// The host that was right the last time.
    right: AtomicUsize,
    /// Tells its connections from those of other processes, which may have the same application's name.
    mark: u32,
    made: AtomicU64,
}

/// A new connection.
pub(super) struct Connected {
    pub connection: PgConnection,
    /// Its name in `pg_stat_activity`, which no other connection has.
    pub name: String,
}

impl Connector {
    /// Of hosts in the order in which they are tried. Where `read_write`, a host is right only if its sessions can write.
    pub fn new(hosts: Vec<PgConnectOptions>, read_write: bool, application: &str) -> Self {
        let application = application.chars().filter(|c| c.is_ascii_graphic()).take(LONGEST_NAME).collect();
        let (right, made) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { hosts, read_write, application, right, mark: rand::random_range(0..=0xff_ffff), made }
    }

    /// The same ways, with other options.
    pub fn with(&self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        let hosts = self.hosts.iter().cloned().map(change).collect();
        Self::new(hosts, self.read_write, &self.application)
    }

    /// One that no other connection has: its statements can be ended by this name.
    fn name(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{}#{:06x}.{number}", self.application, self.mark)
    }

    /// Connects to the first host that answers and is right.
    ///
    /// # Errors
    /// Of the last host that was tried.
    pub fn connect(&self) -> BoxFuture<'_, Result<Connected, Error>> {
        // boxed for the reason of `link`
        Box::pin(self.connect_to_any())
    }

    async fn connect_to_any(&self) -> Result<Connected, Error> {
        let name = self.name();
        let (count, first) = (self.hosts.len(), self.right.load(Ordering::Relaxed));
        let mut last = Error::Configuration("no host is named".into());
        for n in (0..count).map(|n| (first + n) % count) {
            let options = self.hosts[n].clone().application_name(&name);
            let connecting = self.connect_to(&options);
            let connected = if count > 1 {
                let late = |_| Error::Io(ErrorKind::TimedOut.into());
                timeout(ONE_HOST, connecting).await.map_err(late).flatten()
            } else {
                connecting.await
            };
            match connected {
                Ok(connection) => {
                    self.right.store(n, Ordering::Relaxed);
                    return Ok(Connected { connection, name });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, options: &PgConnectOptions) -> Result<PgConnection, Error> {
        let mut connection = options.connect().await?;
        if self.read_write && is_read_only(&mut connection).await? {
            leave(connection).await;
            return Err(Error::Configuration("none of its hosts takes writes".into()));
        }
        Ok(connection)
    }
}

/// Whether the sessions of this server are read-only: it is a standby, or somebody set it so, as some do where a disk is
/// nearly full. By a simple query, which needs nothing of the session.
pub(super) async fn is_read_only(connection: &mut PgConnection) -> Result<bool, Error> {
    let row = raw_sql("select current_setting('transaction_read_only')").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "on")
}

/// Takes leave of a server; one that is gone already needs none.
pub(super) fn leave(connection: PgConnection) -> BoxFuture<'static, ()> {
    Box::pin(async {
        if let Err(e) = connection.close().await {
            log::debug!("a connection did not close: {e}");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_connections_have_one_name_and_none_is_cut() {
        let connectors: Vec<_> =
            (0..20).map(|_| Connector::new(Vec::new(), false, &"x".repeat(99))).collect();
        let names: HashSet<_> = connectors.iter().flat_map(|c| [c.name(), c.name(), c.name()]).collect();
        assert_eq!(names.len(), 60);
        assert!(names.iter().all(|name| name.len() <= 63 - 8), "there is room for many more");
    }
}
