//! Posting: what requests have settled is counted afterwards, in lots. Whoever needs the totals first does it, or else a
//! background task in every process. No request waits for the row that all lots write. Why so: `docs/SCALE.md`.

use crate::link::Link;
use crate::{Schema, run};
use futures_util::future::BoxFuture;
use journal::StoreError;
use sqlx::Error;

/// Rows of one lot. Requests that want to write one of these rows wait until the lot commits.
pub const LOT: usize = 500;

/// The statements that post the rows of one service.
pub trait Posting: 'static {
    /// Whether a row is not posted yet. Runs outside of a transaction and locks nothing, so it has to be cheap.
    ///
    /// # Errors
    /// The database's.
    fn is_due(connection: &mut Link<'_>) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Posts at most `limit` rows inside the transaction of `connection`, and says how many.
    ///
    /// It first locks the row of totals (`select … for update`). So a second process waits for the commit of the first one,
    /// and then sees what the first one left.
    ///
    /// # Errors
    /// The database's; nothing of the lot is posted then.
    fn post_lot(connection: &mut Link<'_>, limit: i64) -> impl Future<Output = Result<usize, Error>> + Send;
}

impl Schema {
    /// Posts all rows that are committed when it is called, so that the totals count them.
    ///
    /// # Errors
    /// [`StoreError`]; the lots that were committed before it stay posted.
    pub fn post<P: Posting>(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.post_lots(Statements {
            is_due: |connection| Box::pin(P::is_due(connection)),
            post_lot: |connection| Box::pin(P::post_lot(connection, crate::row_limit(LOT))),
        })
    }

    fn post_lots(&self, statements: Statements) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            while run!(self.repeatable(), |connection, _| statements.run(connection).await)? == LOT {}
            Ok(())
        })
    }
}

/// A [`Posting`] without its type: what awaits it is compiled once.
#[derive(Clone, Copy)]
struct Statements {
    is_due: for<'a> fn(&'a mut Link<'_>) -> BoxFuture<'a, Result<bool, Error>>,
    post_lot: for<'a> fn(&'a mut Link<'_>) -> BoxFuture<'a, Result<usize, Error>>,
}

impl Statements {
    async fn run(self, connection: &mut Link<'_>) -> Result<usize, Error> {
        if !(self.is_due)(connection).await? {
            return Ok(0);
        }
        let mut transaction = connection.begin().await?;
        let posted = (self.post_lot)(&mut Link::of(&mut transaction)).await?;
        transaction.commit().await?;
        Ok(posted)
    }
}
