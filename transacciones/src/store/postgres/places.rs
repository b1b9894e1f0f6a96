//! Posting: purchases get their places in the order of commits, and are counted in the digest of the audit, in lots.

use super::{Row, Store, closing};
use crate::store::Closing;
use journal::StoreError;
use pg::Link;
use pg::{Posting, run, written};
use sqlx::Error as SqlError;
use std::time::Duration;

/// Between two looks of the background task for purchases without a place. An event can be as late as this.
const GIVE_EVERY: Duration = Duration::from_millis(200);

impl Store {
    /// Starts the background task that gives places. It waits for the tables first.
    pub(super) fn begin_giving_places(&self) {
        let store = self.clone();
        self.schema.every(GIVE_EVERY, "no places are given", move || {
            let store = store.clone();
            async move { store.tell().await }
        });
    }

    /// Gives places, and tells of them and of those that other processes gave.
    async fn tell(&self) -> Result<(), StoreError> {
        self.schema.post::<Places>().await?;
        if self.changed.receiver_count() > 0 {
            let places = run!(self.schema.repeatable(), |c, _| {
                sqlx::query_scalar!("select asientos from transacciones.cierre").fetch_one(c).await
            })?;
            let now = places.unsigned_abs();
            self.changed.send_if_modified(|before| std::mem::replace(before, now) != now);
        }
        Ok(())
    }
}

/// Purchases without a place get one each, in the order of their ids.
pub(super) struct Places;

impl Posting for Places {
    async fn is_due(c: &mut Link<'_>) -> Result<bool, SqlError> {
        let some = sqlx::query_scalar!(
            r#"select exists (select 1 from transacciones.claves where id is not null and asiento is null) as "some!""#
        );
        some.fetch_one(c).await
    }

    async fn post_lot(c: &mut Link<'_>, limit: i64) -> Result<usize, SqlError> {
        sqlx::query!("select una from transacciones.cierre for update").fetch_one(&mut *c).await?;
        let mut total = closing(c).await?;
        let unplaced = rows!("where id is not null and asiento is null order by id limit $1", limit);
        let unplaced = unplaced.fetch_all(&mut *c).await?;
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for t in &unplaced {
            total.add(t);
            ids.push(written(t.id.get()));
            places.push(written(total.transacciones));
        }
        sqlx::query!(
            "update transacciones.claves c set asiento = n.asiento
         from unnest($1::bigint[], $2::bigint[]) as n (id, asiento) where c.id = n.id",
            &ids,
            &places
        )
        .execute(&mut *c)
        .await?;
        close(c, &total).await?;
        Ok(unplaced.len())
    }
}

/// Writes the last place and the digests.
pub(super) async fn close(c: &mut Link<'_>, total: &Closing) -> Result<(), SqlError> {
    sqlx::query!(
        "update transacciones.cierre set asientos = $1, cuenta = $2, suma = $3::text::numeric,
                cargos = $4::text::numeric, ventas = $5::text::numeric",
        written(total.transacciones),
        written(total.cargos.cuenta),
        total.cargos.suma.to_string(),
        total.cargos.huella.to_string(),
        total.ventas.huella.to_string()
    )
    .execute(c)
    .await
    .map(drop)
}
