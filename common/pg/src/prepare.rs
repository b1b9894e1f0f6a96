//! A service's tables: migrations, and the seed of a database that was never filled.

use crate::connect::{Connected, Connector, leave};
use crate::link::Link;
use crate::{LOOK, PATIENCE, Word};
use futures_util::future::BoxFuture;
use journal::Model;
use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Error, Row, SqlSafeStr};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// What a service keeps, as tables.
pub trait Tables: Model {
    /// All that was ever done to the schema `NAME`. A new version of the program only adds to it, in a way that the version
    /// before can live with, since both run during an update. The first migration makes `NAME.siembra`, whose row says that
    /// the schema was filled.
    fn migrations() -> Migrator;

    /// The tables of the schema that requests use, and what they do with each: privileges as PostgreSQL names them, with
    /// blanks between.
    const USES: &'static [(&'static str, &'static str)];

    /// Writes all that the service keeps into empty tables.
    ///
    /// # Errors
    /// The database's.
    fn fill(&self, connection: &mut Link<'_>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes anew what an older version of the program made of rows in another way. It runs at each start, so it must find
    /// out quickly that there is nothing to do, and several processes may do it at once.
    ///
    /// # Errors
    /// The database's.
    fn renew(connection: &mut Link<'_>) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = connection;
        async { Ok(()) }
    }

    /// Reads all that the service keeps, in batches. What the tables keep besides (digests, sums, places) is held against
    /// their rows.
    ///
    /// # Errors
    /// The database's; [`Error::Decode`] where a row or a digest is wrong.
    fn read(connection: &mut Link<'_>) -> impl Future<Output = Result<Self, Error>> + Send;

    /// The same, without what tables have no room for and nobody asks for.
    #[must_use]
    fn kept_by_tables(self) -> Self {
        self
    }
}

/// `undefined_function`: of an engine without advisory locks.
const UNDEFINED_FUNCTION: &str = "42883";
/// The advisory lock of whoever migrates, in any schema of a database: "migrates" in ASCII.
const LOCK: i64 = 0x6d69_6772_6174_6573;

/// The tables of one service, with what fills them. Without a type of the service's: what awaits it is compiled once.
pub(super) trait Seeded: Send + Sync {
    /// [`Model::NAME`].
    fn name(&self) -> &'static str;
    /// [`Tables::migrations`].
    fn migrations(&self) -> Migrator;
    /// [`Tables::USES`].
    fn uses(&self) -> &'static [(&'static str, &'static str)];
    /// [`Tables::fill`].
    fn fill<'a>(&'a self, connection: &'a mut Link<'_>) -> BoxFuture<'a, Result<(), Error>>;
    /// [`Tables::renew`].
    fn renew<'a>(&'a self, connection: &'a mut Link<'_>) -> BoxFuture<'a, Result<(), Error>>;
}

impl<M: Tables> Seeded for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn migrations(&self) -> Migrator {
        M::migrations()
    }

    fn uses(&self) -> &'static [(&'static str, &'static str)] {
        M::USES
    }

    fn fill<'a>(&'a self, connection: &'a mut Link<'_>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Tables::fill(self, connection))
    }

    fn renew<'a>(&'a self, connection: &'a mut Link<'_>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(M::renew(connection))
    }
}

/// What a schema hears of its preparation.
pub(super) struct Told {
    /// Whether requests may begin.
    pub prepared: watch::Sender<Word>,
    /// Whether what the service uses is there.
    pub whole: watch::Sender<Word>,
    /// That a request met something which may be missing.
    pub doubted: Arc<Notify>,
}

/// Tries until the schema is prepared, each time that the database is there. Then looks, whenever that is in doubt, until
/// what the service uses is there.
pub(super) fn prepare(
    connector: Connector,
    database: watch::Receiver<Word>,
    seed: Box<dyn Seeded>,
    told: Told,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        prepared(&connector, database.clone(), &*seed, &told).await;
        keep_whole(&connector, database, &*seed, &told).await;
    })
}

async fn prepared(
    connector: &Connector,
    mut database: watch::Receiver<Word>,
    seed: &dyn Seeded,
    told: &Told,
) {
    let said = &told.prepared;
    loop {
        if database.wait_for(Result::is_ok).await.is_err() {
            return; // it is being closed
        }
        match once(connector, seed).await {
            Ok(whole) => {
                tell(seed, told, whole);
                said.send_modify(|word| *word = Ok(()));
                return;
            }
            Err(e) => {
                let why = e.to_string();
                let news = said.borrow().as_ref().is_err_and(|before| **before != *why);
                if news {
                    log::warn!(
                        "{}: its tables cannot be prepared: {why}; trying again every second",
                        seed.name()
                    );
                }
                said.send_modify(|word| *word = Err(why.into()));
            }
        }
        sleep(LOOK).await;
    }
}

async fn keep_whole(
    connector: &Connector,
    mut database: watch::Receiver<Word>,
    seed: &dyn Seeded,
    told: &Told,
) {
    loop {
        let is_whole = told.whole.borrow().is_ok();
        if is_whole {
            told.doubted.notified().await;
        }
        if database.wait_for(Result::is_ok).await.is_err() {
            return; // it is being closed
        }
        let look = async {
            let Connected { mut connection, .. } = connector.connect().await?;
            let whole = whole(seed, &mut connection).await?;
            leave(connection).await;
            Ok::<_, Error>(whole)
        };
        // without an answer, the task that looks for the database knows more
        if let Ok(Ok(whole)) = timeout(PATIENCE, look).await {
            tell(seed, told, whole);
        }
        sleep(LOOK).await;
    }
}

fn tell(seed: &dyn Seeded, told: &Told, whole: Word) {
    told.whole.send_if_modified(|before| {
        match (&before, &whole) {
            (Err(old), Err(new)) if old == new => return false,
            (_, Err(why)) => {
                log::warn!("{}: {why}; not ready, and looking again every second", seed.name());
            }
            (Err(_), Ok(())) => log::info!("{}: its tables are there, and may be used", seed.name()),
            (Ok(()), Ok(())) => return false,
        }
        *before = whole;
        true
    });
}

/// Whether the tables are there, and the role has the privileges on them. An engine that cannot tell is taken at its word.
async fn whole(seed: &dyn Seeded, connection: &mut PgConnection) -> Result<Word, Error> {
    let uses = seed.uses().iter().flat_map(|(table, privileges)| {
        privileges.split(' ').map(move |privilege| format!("('{}.{table}', '{privilege}')", seed.name()))
    });
    // a simple query, as all that prepares: it needs nothing of the session
    let ask = format!(
        "select tabla, derecho, to_regclass(tabla) is null from (values {}) as u (tabla, derecho)
         where not coalesce(has_table_privilege(to_regclass(tabla), derecho), false)",
        uses.collect::<Vec<_>>().join(", ")
    );
    let rows = match sqlx::raw_sql(AssertSqlSafe(ask)).fetch_all(connection).await {
        Ok(rows) => rows,
        Err(e) if matches!(code(&e).as_deref(), Some("42883" | "0A000")) => return Ok(Ok(())),
        // the role may not even look into the schema
        Err(e) if code(&e).as_deref() == Some("42501") => return Ok(Err(e.to_string().into())),
        Err(e) => return Err(e),
    };
    if rows.is_empty() {
        return Ok(Ok(()));
    }
    let mut said = BTreeSet::new();
    for row in rows {
        let (table, privilege): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        said.insert(match row.try_get(2)? {
            true => format!("{table} is missing"),
            false => format!("its role may not {privilege} in {table}"),
        });
    }
    Ok(Err(said.into_iter().collect::<Vec<_>>().join(", ").into()))
}

async fn once(connector: &Connector, seed: &dyn Seeded) -> Result<Word, MigrateError> {
    // No statement timeout: a migration may take long, and a process that waits for another one's waits for its lock.
    let Connected { mut connection, .. } = connector.connect().await?;
    migrate(seed.name(), seed.migrations(), &mut connection).await?;
    // At a higher level a process that waited here for another one's commit would get a conflict, and try again a second later.
    let mut tx = connection.begin_with("begin isolation level read committed").await?;
    if claim(seed.name(), &mut tx).await? {
        seed.fill(&mut Link::of(&mut tx)).await?;
        tx.commit().await?;
        log::info!("{}: its tables were empty and have been filled", seed.name());
    } else {
        tx.rollback().await?;
    }
    seed.renew(&mut Link::of(&mut connection)).await?;
    let whole = whole(seed, &mut connection).await?;
    leave(connection).await;
    Ok(whole)
}

/// Whether a schema is ours to fill, in this transaction. A second process waits here for the first one's commit, and then
/// finds the row.
pub(super) async fn claim(name: &str, connection: &mut PgConnection) -> Result<bool, Error> {
    let claim = format!("insert into {name}.siembra (una) values (true) on conflict do nothing");
    Ok(sqlx::query(AssertSqlSafe(claim)).execute(&mut Link::of(connection)).await?.rows_affected() == 1)
}

/// The table of what was done to a schema.
pub(super) fn table(name: &str) -> String {
    format!("{name}.migraciones")
}

/// Does to a schema what was never done to it. Where there is nothing to do, nobody waits for anybody. All of it is one
/// transaction, and so is the lock that lets replicas which start at once do it one after another: nothing of it stays in
/// the session, which behind a proxy may be somebody else's in the next moment.
pub(super) fn migrate<'c>(
    name: &'static str,
    migrator: Migrator,
    connection: &'c mut PgConnection,
) -> BoxFuture<'c, Result<(), MigrateError>> {
    Box::pin(migrated(name, migrator, connection))
}

async fn migrated(
    name: &'static str,
    mut migrator: Migrator,
    connection: &mut PgConnection,
) -> Result<(), MigrateError> {
    migrator.dangerous_set_table_name(table(name));
    // During an update, and after one that was taken back, the tables are newer than this process.
    migrator.set_ignore_missing(true);
    migrator.set_locking(false);
    let mut tx = connection.begin().await?;
    let state = state(name, &migrator, &mut tx).await?;
    tx.rollback().await?;
    if !state.due {
        return Ok(());
    }
    // `create schema if not exists` asks for the right to create one, also where the schema exists.
    if !state.schema {
        migrator.create_schema(name);
    }
    if state.cockroach {
        migrator.migrations.to_mut().iter_mut().for_each(without_collation);
    }
    let migrated = run(&migrator, connection, true).await;
    match migrated {
        Err(MigrateError::Execute(e)) if code(&e).is_some_and(|c| c == UNDEFINED_FUNCTION) => {
            // Replicas may then collide. The one that fails tries again, and finds the work done.
            run(&migrator, connection, false).await
        }
        done => done,
    }
}

async fn run(migrator: &Migrator, connection: &mut PgConnection, lock: bool) -> Result<(), MigrateError> {
    // At any other level the statements after the wait would see what was there before the wait.
    let mut tx = connection.begin_with("begin isolation level read committed").await?;
    if lock {
        sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    }
    migrator.run_direct(None, &mut *tx, false).await?;
    tx.commit().await?;
    Ok(())
}

/// What a schema is like before it is migrated.
struct State {
    schema: bool,
    /// Whether something has never been done to it.
    due: bool,
    cockroach: bool,
}

async fn state(
    name: &str,
    migrator: &Migrator,
    connection: &mut PgConnection,
) -> Result<State, MigrateError> {
    let (schema, there, version): (bool, bool, String) = sqlx::query_as(
        "select exists (select 1 from information_schema.schemata where schema_name = $1),
                exists (select 1 from information_schema.tables where table_schema = $1 and table_name = 'migraciones'),
                version()",
    )
    .bind(name)
    .fetch_one(&mut *connection)
    .await?;
    let cockroach = version.starts_with("CockroachDB");
    if !there {
        return Ok(State { schema, due: true, cockroach });
    }
    if let Some(version) = connection.dirty_version(&table(name)).await? {
        return Err(MigrateError::Dirty(version));
    }
    let done = connection.list_applied_migrations(&table(name)).await?;
    let done: HashMap<_, _> = done.into_iter().map(|m| (m.version, m.checksum)).collect();
    let mut due = false;
    for migration in migrator.iter().filter(|m| m.migration_type.is_up_migration()) {
        match done.get(&migration.version) {
            // the text of a migration on CockroachDB is another, its checksum is not
            Some(checksum) if *checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
            None => due = true,
        }
    }
    Ok(State { schema, due, cockroach })
}

/// Keys are compared byte by byte. PostgreSQL has to be told so: the order of its default collation changes with the
/// system's libraries, and a unique index that was built in the old order then lets a key in twice. CockroachDB always
/// compares byte by byte, and refuses columns that ask for it.
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
