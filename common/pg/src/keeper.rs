//! Looks once a second whether the database is there, takes writes and commits them, on a connection of its own: a pool that
//! is busy is no reason to send requests elsewhere.

use crate::connect::{Connected, Connector, leave};
use crate::fate;
use crate::link::Link;
use crate::pool::Pool;
use crate::{LOOK, PATIENCE, Word};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Error, Row, query, raw_sql};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Looks for as long as the process lives.
pub(super) async fn keep(
    connector: Arc<Connector>,
    shown: String,
    pool: Arc<Pool>,
    said: watch::Sender<Word>,
) {
    let mut keeper = Keeper { connector, pool, own: None, by_name: false, write: None };
    loop {
        let looked = timeout(PATIENCE, keeper.look()).await;
        let mut word = looked.unwrap_or_else(|_| Err("it does not answer in time".into()));
        if word.is_err() {
            keeper.pool.renew();
        } else {
            word = keeper.commits().await;
        }
        keeper.pool.look_after();
        said.send_if_modified(|before| {
            match (&before, &word) {
                (Err(old), Err(new)) if old == new => return false,
                (_, Err(why)) => log::warn!("{shown}: {why}; not ready, and looking again every second"),
                (Err(_), Ok(())) => log::info!("{shown}: connected"),
                (Ok(()), Ok(())) => return false,
            }
            *before = word;
            true
        });
        tokio::select! {
            () = sleep(LOOK) => {}
            () = keeper.pool.left_open.notified() => {}
        }
    }
}

struct Keeper {
    connector: Arc<Connector>,
    pool: Arc<Pool>,
    /// What it asks on.
    own: Option<Connected>,
    /// It asks by a prepared statement with a name, as requests do, since one of them was taken for another session's.
    by_name: bool,
    /// A write that the server has not committed yet. Its connection is another one then.
    write: Option<Write>,
}

struct Write {
    name: String,
    task: JoinHandle<(Connected, Result<(), Error>)>,
}

impl Keeper {
    /// Whether the database answers, as a server that writes, and can hold what is written.
    async fn look(&mut self) -> Word {
        self.collect().await;
        if !self.by_name && self.pool.mixed_up.load(Ordering::Relaxed) {
            (self.by_name, self.own) = (true, None);
        }
        // where this is given up half-way, the connection goes
        let mut own = match self.own.take() {
            Some(own) => own,
            None => self.connect().await?,
        };
        settings(&mut own.connection, self.by_name).await?;
        let mut open: Vec<_> = self.pool.open_ends();
        open.extend(self.write.as_ref().map(|write| write.name.clone()));
        if !open.is_empty() {
            self.end(&mut own.connection, &open).await;
        }
        self.own = Some(own);
        Ok(())
    }

    /// Makes a connection. Where it asks by name, and does not only help one whose write hangs, another session is here before
    /// it and prepares a statement under the same name: a proxy that shares sessions, and does not know of prepared statements,
    /// then gives the second session what the first one left.
    async fn connect(&self) -> Result<Connected, Arc<str>> {
        if self.by_name && self.write.is_none() {
            let mut before = self.connector.connect().await.map_err(|e| said(&e))?;
            settings(&mut before.connection, true).await?;
            leave(before.connection).await;
        }
        self.connector.connect().await.map_err(|e| said(&e))
    }

    /// Takes the connection of a write back that was committed after all.
    async fn collect(&mut self) {
        if let Some(write) = self.write.take_if(|write| write.task.is_finished())
            && let Ok((connected, Ok(()))) = write.task.await
            && let Some(helper) = self.own.replace(connected)
        {
            leave(helper.connection).await;
        }
    }

    /// Has the server end what these connections do, and tells the pool which of them do nothing any more.
    async fn end(&mut self, own: &mut PgConnection, names: &[String]) {
        let busy = match end(own, names).await {
            Ok(busy) => busy,
            // an engine that does not tell: then their places are free
            Err(Error::Database(e)) => {
                log::debug!("it is not known what left statements do: {e}");
                HashSet::new()
            }
            // it is asked again at the next look
            Err(_) => return,
        };
        for name in names.iter().filter(|name| !busy.contains(*name)) {
            self.pool.ended(name);
            if let Some(write) = self.write.take_if(|write| write.name == *name) {
                write.task.abort();
            }
        }
    }

    /// Whether a write commits. There is never more than one such write under way, however long it takes.
    async fn commits(&mut self) -> Word {
        if self.write.is_none() {
            let Some(Connected { mut connection, name }) = self.own.take() else { return Ok(()) };
            let named = name.clone();
            let task = tokio::spawn(async move {
                let written = write(&mut connection).await;
                (Connected { connection, name: named }, written)
            });
            let write = self.write.insert(Write { name, task });
            match timeout(PATIENCE, &mut write.task).await {
                Err(_) => {}
                Ok(done) => {
                    self.write = None;
                    let (connected, written) = done.map_err(|e| Arc::from(e.to_string()))?;
                    written.map_err(|e| said(&e))?;
                    self.own = Some(connected);
                    return Ok(());
                }
            }
        }
        Err("what is written does not commit (its standby does not answer, or its disk)".into())
    }
}

fn said(e: &Error) -> Arc<str> {
    fate::said(e).into()
}

/// In recovery the first one is "on", too; and where a disk is nearly full some operators set it. By a simple query, which
/// needs nothing of the session; or by a statement with a name, which whichever server answers must know.
async fn settings(connection: &mut PgConnection, by_name: bool) -> Word {
    let ask = "select current_setting('transaction_read_only'), current_setting('server_encoding')";
    let row = match by_name {
        false => raw_sql(ask).fetch_one(connection).await,
        true => query(ask).fetch_one(&mut Link::of(connection)).await,
    };
    let row = row.map_err(|e| said(&e))?;
    let read = |n: usize| row.try_get::<String, _>(n).map_err(|e| said(&e));
    if read(0)? == "on" {
        return Err("it takes no writes (a standby, or read-only)".into());
    }
    let encoding = read(1)?;
    if !matches!(encoding.to_ascii_uppercase().as_str(), "UTF8" | "UTF-8") {
        let why = format!(
            "its encoding must be UTF8, and is {encoding}; make another database (create database … encoding 'UTF8' \
             template template0)"
        );
        return Err(why.into());
    }
    Ok(())
}

/// A transaction that writes some bytes of WAL and no table, so it waits for what every commit waits for: the disk, and the
/// standbys where they are synchronous. An engine without this function is taken at its word.
async fn write(connection: &mut PgConnection) -> Result<(), Error> {
    let written = raw_sql("select pg_logical_emit_message(true, 'ready', '')").execute(connection).await;
    match written {
        Err(Error::Database(e)) if matches!(e.code().as_deref(), Some("42883" | "0A000" | "42501")) => Ok(()),
        written => written.map(drop),
    }
}

/// Ends the statements of connections that nobody waits for any more: the names of those that are still at work.
///
/// A commit that waits for its standby is left alone. To cancel it would not undo it: it would show it to everybody although
/// the standby does not have it, and a failover could then lose what somebody was told.
async fn end(connection: &mut PgConnection, names: &[String]) -> Result<HashSet<String>, Error> {
    let names: Vec<_> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
    let sql = format!(
        "select application_name,
                case when wait_event = 'SyncRep' then 'commits'
                     when state like 'idle%' then 'idle ' || pg_terminate_backend(pid)
                     else 'works ' || pg_cancel_backend(pid)
                end
         from pg_stat_activity where application_name in ({}) and pid <> pg_backend_pid()",
        names.join(", ")
    );
    let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    let mut busy = HashSet::new();
    for row in rows {
        let (name, does): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if !does.starts_with("idle") {
            busy.insert(name);
        }
    }
    Ok(busy)
}
