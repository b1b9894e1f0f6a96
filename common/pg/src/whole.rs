//! Schemas as a whole: read in one snapshot, or filled in one transaction. On one connection, and
//! without the haste of requests: a role's or a proxy's `statement_timeout` does not hold here.

use super::prepare::{claim, migrate, table};
use super::{PostgresUrl, Tables};
use crate::connect::{Connector, leave};
use crate::link::Link;
use chrono::{DateTime, Utc};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Error};

/// A service's schema, whatever is in it.
#[derive(Clone, Copy)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its collections, where it is in files.
    pub collections: &'static [&'static str],
    migrations: fn() -> Migrator,
}

impl Part {
    /// That of a service.
    pub fn of<M: Tables>() -> Self {
        Self { name: M::NAME, collections: M::COLLECTIONS, migrations: M::migrations }
    }
}

/// A schema's version, beside this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// There is no such schema, or nothing was ever done to it.
    None,
    /// Something has not been done to it yet.
    Older,
    /// This program's.
    Same,
    /// Something was done to it that this program does not know.
    Other,
}

/// A connection that reads or fills.
pub struct WholeDatabase(PgConnection);

impl WholeDatabase {
    /// Connects.
    ///
    /// # Errors
    /// The database's.
    pub async fn connect(url: &PostgresUrl, application: &str) -> Result<Self, Error> {
        let connector = Connector::new(url.hosts(), url.wants_read_write(), application);
        connector.connect().await.map(|connected| Self(connected.connection))
    }

    /// The processes of these services that are connected to the database: application, address, start. Some engines do not
    /// tell.
    ///
    /// # Errors
    /// The database's.
    pub async fn services(&mut self, names: &[String]) -> Result<Vec<String>, Error> {
        // after the # comes the connection's number
        let who = sqlx::query_scalar(
            "select distinct split_part(application_name, '#', 1) || coalesce(' at ' || host(client_addr), '')
             from pg_stat_activity
             where datname = current_database()
               and split_part(application_name, '@', 1) = any($1)
               and application_name like '%@%'
             order by 1",
        )
        .bind(names);
        who.fetch_all(&mut self.connection()).await
    }

    /// A schema's version.
    ///
    /// # Errors
    /// The database's.
    pub async fn version(&mut self, part: Part) -> Result<Version, MigrateError> {
        let there = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from information_schema.tables where table_schema = $1 and table_name = 'migraciones'
               ) as "it!""#,
            part.name
        );
        if !there.fetch_one(&mut self.connection()).await? {
            return Ok(Version::None);
        }
        let applied = self.0.list_applied_migrations(&table(part.name)).await?;
        let migrator = (part.migrations)();
        let known = |version, checksum: &[u8]| {
            migrator.iter().any(|m| m.version == version && *m.checksum == *checksum)
        };
        Ok(if applied.is_empty() {
            Version::None
        } else if !applied.iter().all(|a| known(a.version, &a.checksum)) {
            Version::Other
        } else if applied.len() < migrator.iter().filter(|m| m.migration_type.is_up_migration()).count() {
            Version::Older
        } else {
            Version::Same
        })
    }

    /// When a schema that has a version was filled, where it was.
    ///
    /// # Errors
    /// The database's.
    pub async fn filled(&mut self, part: Part) -> Result<Option<DateTime<Utc>>, Error> {
        let when = format!("select fecha from {}.siembra", part.name);
        sqlx::query_scalar(AssertSqlSafe(when)).fetch_optional(&mut self.connection()).await
    }

    /// Makes a schema and its tables, where they are missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&mut self, part: Part) -> Result<(), MigrateError> {
        migrate(part.name, (part.migrations)(), &mut self.0).await
    }

    /// Begins a transaction that sees one state of all schemas and changes nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_reading(&mut self) -> Result<(), Error> {
        self.run("begin isolation level repeatable read, read only").await?;
        self.unhurried().await
    }

    /// Begins a transaction that fills.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&mut self) -> Result<(), Error> {
        self.run("begin").await?;
        self.unhurried().await
    }

    async fn unhurried(&mut self) -> Result<(), Error> {
        self.run("set local statement_timeout = 0").await?;
        // the source is read while the target waits; and locks of a client that is gone end some time
        self.run("set local idle_in_transaction_session_timeout = '6h'").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(statement).execute(&mut self.connection()).await.map(drop)
    }

    /// Takes a schema, to fill it in this transaction: whether it was never filled. Waits for whoever is filling it.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(&mut self, part: Part) -> Result<bool, Error> {
        // long enough for the server to notice that a move which was killed has left
        self.run("set local lock_timeout = '30s'").await?;
        let ours = claim(part.name, &mut self.0).await?;
        self.run("set local lock_timeout = 0").await?;
        Ok(ours)
    }

    /// For the statements of a [`Tables`].
    pub fn connection(&mut self) -> Link<'_> {
        Link::of(&mut self.0)
    }

    /// Makes durable what the transaction did.
    ///
    /// # Errors
    /// The database's. Where it is none of the server's words, it is not known whether it was done.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.run("commit").await
    }

    /// Ends the transaction; nothing of it was done.
    ///
    /// # Errors
    /// The database's, which does the same by itself then.
    pub async fn rollback(&mut self) -> Result<(), Error> {
        self.run("rollback").await
    }

    /// Takes leave of the server.
    pub async fn close(self) {
        leave(self.0).await;
    }
}
