//! A service's tables: migrations, and the seed of a database that was never filled.

use super::{LOOK, Word, leave};
use journal::Model;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, SqlSafeStr};
use tokio::sync::watch;
use tokio::time::sleep;

/// What a service keeps, as tables.
pub trait Tables: Model {
    /// All that was ever done to the schema `NAME`; a new version only adds to it, in a way that the version before can
    /// live with, since both run during an update. The first makes `NAME.siembra`, which says that it was filled.
    fn migrations() -> Migrator;

    /// Writes all of it into empty tables.
    ///
    /// # Errors
    /// The database's.
    fn fill(&self, connection: &mut PgConnection) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads all of it, in batches. What the tables keep besides - digests, sums, places - is held against their rows.
    ///
    /// # Errors
    /// The database's; [`Error::Decode`] where a row or a digest is wrong.
    fn read(connection: &mut PgConnection) -> impl Future<Output = Result<Self, Error>> + Send;

    /// It, without what tables have no room for and nobody asks for.
    #[must_use]
    fn kept_by_tables(self) -> Self {
        self
    }
}

/// `undefined_function`: of an engine without advisory locks.
const UNDEFINED_FUNCTION: &str = "42883";

/// Tries until it is done, each time that the database is there.
pub(super) async fn prepare<M: Tables>(
    options: PgConnectOptions,
    mut database: watch::Receiver<Word>,
    seed: M,
    said: watch::Sender<Word>,
) {
    loop {
        if database.wait_for(Result::is_ok).await.is_err() {
            return; // it is being closed
        }
        match once::<M>(&options, &seed).await {
            Ok(()) => {
                said.send_modify(|word| *word = Ok(()));
                return;
            }
            Err(e) => {
                let why = e.to_string();
                let news = said.borrow().as_ref().is_err_and(|before| **before != *why);
                if news {
                    log::warn!(
                        "{}: its tables cannot be prepared: {why}; trying again every second",
                        M::NAME
                    );
                }
                said.send_modify(|word| *word = Err(why.into()));
            }
        }
        sleep(LOOK).await;
    }
}

async fn once<M: Tables>(options: &PgConnectOptions, seed: &M) -> Result<(), MigrateError> {
    // no statement timeout: a migration may take long, and one that waits for another process's waits for its lock
    let mut connection = options.connect().await?;
    migrate(M::NAME, M::migrations(), &mut connection).await?;
    let mut tx = connection.begin().await?;
    if claim(M::NAME, &mut tx).await? {
        seed.fill(&mut tx).await?;
        tx.commit().await?;
        log::info!("{}: its tables were empty and have been filled", M::NAME);
    } else {
        tx.rollback().await?;
    }
    leave(connection).await;
    Ok(())
}

/// Whether a schema is ours to fill, in this transaction. A second process waits here for the first one's commit, and then
/// finds the row.
pub(super) async fn claim(name: &str, connection: &mut PgConnection) -> Result<bool, Error> {
    let claim = format!("insert into {name}.siembra (una) values (true) on conflict do nothing");
    Ok(sqlx::query(AssertSqlSafe(claim)).execute(connection).await?.rows_affected() == 1)
}

/// The table of what was done to a schema.
pub(super) fn table(name: &str) -> String {
    format!("{name}.migraciones")
}

/// Under sqlx's advisory lock, so that replicas which start at once do it one after another. The lock is of the session:
/// it ends with the connection, also where this process is killed.
pub(super) async fn migrate(
    name: &'static str,
    mut migrator: Migrator,
    connection: &mut PgConnection,
) -> Result<(), MigrateError> {
    migrator.dangerous_set_table_name(table(name));
    // during an update, and after one that was taken back, the tables are newer than this process
    migrator.set_ignore_missing(true);
    // `if not exists` asks for the right to make one, also where it does
    let there = sqlx::query_scalar!(
        r#"select exists (select 1 from information_schema.schemata where schema_name = $1) as "it!""#,
        name
    );
    if !there.fetch_one(&mut *connection).await? {
        migrator.create_schema(name);
    }
    let version = sqlx::query_scalar!(r#"select version() as "it!""#).fetch_one(&mut *connection).await?;
    if version.starts_with("CockroachDB") {
        migrator.migrations.to_mut().iter_mut().for_each(without_collation);
    }
    match migrator.run_direct(None, connection, false).await {
        Err(MigrateError::Execute(e)) if code(&e).is_some_and(|c| c == UNDEFINED_FUNCTION) => {
            // Replicas may then collide; the one that fails tries again, and finds it done.
            migrator.set_locking(false);
            migrator.run_direct(None, connection, false).await
        }
        done => done,
    }
}

/// Keys are compared byte by byte. PostgreSQL has to be told so: the order of its default collation changes with the
/// system's libraries, and a unique index built in the old order then lets a key in twice. CockroachDB does nothing else,
/// and refuses columns that ask for it.
fn without_collation(migration: &mut Migration) {
    let sql = migration.sql.as_str().replace(r#" collate "C""#, "");
    migration.sql = AssertSqlSafe(sql).into_sql_str();
}

fn code(e: &Error) -> Option<String> {
    Some(e.as_database_error()?.code()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::migrate::MigrationType;

    #[test]
    fn a_column_without_a_collation_is_still_one() {
        let sql = AssertSqlSafe(
            r#"create table a (k text collate "C" primary key, l text collate "C")"#.to_owned(),
        );
        let mut migration = Migration::new(1, "x".into(), MigrationType::Simple, sql.into_sql_str(), false);
        without_collation(&mut migration);
        assert_eq!(migration.sql.as_str(), "create table a (k text primary key, l text)");
    }
}
