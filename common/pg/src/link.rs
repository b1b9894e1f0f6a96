//! What statements run on.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection, Either, Error, Execute, Executor, Postgres, SqlStr, Transaction};
use sqlx_core::describe::Describe;

/// A connection, or a transaction on it, as long as it is lent for statements. To sqlx it is an executor as [`PgConnection`] is.
///
/// All that runs on it goes through the few functions of this file, whose futures are boxed. The body of an async function is
/// compiled anew for each crate that waits for it, and sqlx's would be for seven
/// ([ADR 0007](../../../docs/adr/0007-containers.md)).
#[derive(Debug)]
pub struct Link<'c>(&'c mut PgConnection);

impl<'c> Link<'c> {
    pub(super) fn of(connection: &'c mut PgConnection) -> Self {
        Self(connection)
    }

    /// Begins a transaction, for statements that belong together.
    ///
    /// # Errors
    /// The database's.
    pub fn begin(&mut self) -> BoxFuture<'_, Result<Transaction<'_, Postgres>, Error>> {
        Box::pin(Connection::begin(&mut *self.0))
    }
}

/// What any statement comes to.
struct Plain {
    sql: SqlStr,
    arguments: Result<Option<PgArguments>, BoxDynError>,
    persistent: bool,
}

impl Plain {
    fn of<'q>(mut statement: impl Execute<'q, Postgres>) -> Self {
        let (arguments, persistent) = (statement.take_arguments(), statement.persistent());
        Self { sql: statement.sql(), arguments, persistent }
    }
}

impl Execute<'_, Postgres> for Plain {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

#[inline(never)]
fn many(
    connection: &mut PgConnection,
    statement: Plain,
) -> BoxStream<'_, Result<Either<PgQueryResult, PgRow>, Error>> {
    connection.fetch_many(statement)
}

#[inline(never)]
fn optional(connection: &mut PgConnection, statement: Plain) -> BoxFuture<'_, Result<Option<PgRow>, Error>> {
    connection.fetch_optional(statement)
}

impl<'e> Executor<'e> for &'e mut Link<'_> {
    type Database = Postgres;

    fn fetch_many<'f, 'q: 'f, E>(self, query: E) -> BoxStream<'f, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'e: 'f,
        E: 'q + Execute<'q, Postgres>,
    {
        many(self.0, Plain::of(query))
    }

    fn fetch_optional<'f, 'q: 'f, E>(self, query: E) -> BoxFuture<'f, Result<Option<PgRow>, Error>>
    where
        'e: 'f,
        E: 'q + Execute<'q, Postgres>,
    {
        optional(self.0, Plain::of(query))
    }

    fn prepare_with<'f>(
        self,
        sql: SqlStr,
        parameters: &'f [PgTypeInfo],
    ) -> BoxFuture<'f, Result<PgStatement, Error>>
    where
        'e: 'f,
    {
        self.0.prepare_with(sql, parameters)
    }

    fn describe<'f>(self, sql: SqlStr) -> BoxFuture<'f, Result<Describe<Postgres>, Error>>
    where
        'e: 'f,
    {
        self.0.describe(sql)
    }
}
