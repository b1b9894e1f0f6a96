//! What is kept of a name besides the name (`plegado`, `orden`) is made anew where other rules made it: those of an older
//! version of the program, also while both run.

use super::{Store, step};
use crate::collation::{RULES, fold, sort_key};
use pg::Link;
use pg::{row_limit, run};
use sqlx::Error as SqlError;
use std::time::Duration;

/// Rows of one statement.
const BATCH: usize = 5_000;

/// Between two looks for rows that an older version wrote while this one ran. Without such rows a look reads an empty index.
const EVERY: Duration = Duration::from_secs(60);

impl Store {
    /// Starts the background task that looks for them.
    pub(super) fn begin_renewing(&self) {
        let schema = self.schema.clone();
        self.schema.every(EVERY, "names are not searched and sorted by the new rules", move || {
            let schema = schema.clone();
            async move { run!(schema.repeatable(), |c, _| renew(c).await) }
        });
    }
}

const _: () = assert!(RULES == 2, "new rules need a migration with their index, and their number below");

/// Makes it anew in all rows of older rules, in batches: each its own transaction, so that nobody waits long for a row.
pub(super) async fn renew(c: &mut Link<'_>) -> Result<(), SqlError> {
    let mut renewed = 0_u64;
    let mut behind = 0;
    loop {
        // the number is written out because the index `tokens_sin_orden` has it
        let rows = sqlx::query!(
            "select id, nombre from tokens.tokens where reglas < 2 and id > $1 order by id limit $2",
            behind,
            row_limit(BATCH)
        );
        let rows = rows.fetch_all(&mut *c).await?;
        let Some(last) = rows.last() else { break };
        behind = last.id;
        // a name that was changed meanwhile has been folded by who changed it
        let done = sqlx::query!(
            "update tokens.tokens t set plegado = n.plegado, orden = n.orden, reglas = $5
             from unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) as n (id, nombre, plegado, orden)
             where t.id = n.id and t.nombre = n.nombre",
            &rows.iter().map(|r| r.id).collect::<Vec<_>>(),
            &rows.iter().map(|r| r.nombre.clone()).collect::<Vec<_>>(),
            &rows.iter().map(|r| fold(&r.nombre)).collect::<Vec<_>>(),
            &rows.iter().map(|r| sort_key(&r.nombre).to_vec()).collect::<Vec<_>>(),
            RULES
        );
        renewed += done.execute(&mut *c).await?.rows_affected();
    }
    if renewed > 0 {
        // lists show something else now
        sqlx::query!("update tokens.cuentas set version = version + $1::bigint where parte = 0", step())
            .execute(c)
            .await?;
        log::info!("tokens: {renewed} names are searched and sorted by new rules");
    }
    Ok(())
}
