//! The era, and what is forgotten in it.
//!
//! Every purchase needs the era twice, and it changes every few hours. So it is read in the background, and used while it is
//! [`FRESH`]. The difference is without danger: an abort is kept for `PARTS` eras after the last commit that its number allows,
//! which is an hour at the least, and the server ends a statement within seconds.

use super::Store;
use crate::domain::{Era, EraRecord, PARTS};
use chrono::TimeDelta;
use journal::StoreError;
use pg::Link;
use pg::{read, run};
use sqlx::Error as SqlError;
use std::time::Duration;
use tokio::time::Instant;

/// The era is used for so long without a look. Far less than what [`PARTS`] of the shortest time come to.
const FRESH: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(3);
/// Claves that one statement forgets.
const LOT: i64 = 1000;

/// The era that was read last, and when that began.
pub(super) type Known = Option<(Era, Instant)>;

impl Store {
    /// Reads the era now and then, from when the tables are there.
    pub(super) fn begin_reading_eras(&self) {
        let store = self.clone();
        let read = move || {
            let store = store.clone();
            async move { store.read_era().await.map(drop) }
        };
        self.schema.every(LOOK, "the era cannot be read", read);
    }

    async fn read_era(&self) -> Result<Era, StoreError> {
        let begun = Instant::now();
        let record = run!(self.schema.repeatable(), |c, _| record(c).await)?;
        let era = Era::new(record.map_or(0, |era| era.epoca));
        self.learn(era, begun);
        Ok(era)
    }

    /// Notes the era of a look that began then. What another look says that began later is newer.
    fn learn(&self, era: Era, begun: Instant) {
        self.era.send_if_modified(|known| {
            let newer = known.is_none_or(|(_, at)| at <= begun);
            if newer {
                *known = Some((era, begun));
            }
            newer
        });
    }

    pub(in super::super) async fn era(&self) -> Result<Era, StoreError> {
        let known = *self.era.borrow();
        match known {
            Some((era, begun)) if begun.elapsed() < FRESH => Ok(era),
            _ => self.read_era().await,
        }
    }

    pub(in super::super) async fn forget(&self, length: TimeDelta) -> Result<u64, StoreError> {
        let begun = Instant::now();
        let era = run!(self.schema.repeatable(), |c, _| advance(c, length).await)?;
        let Some(era) = era else { return Ok(0) };
        let era = Era::new(era.epoca);
        self.learn(era, begun);
        let (last, mut all) = (i64::from(era.forgotten()), 0);
        loop {
            let forgotten = run!(self.schema.repeatable(), |c, _| {
                // the outer conditions count for the row as it is when it is deleted
                let forgotten = sqlx::query!(
                    "delete from transacciones.claves where id is null and abortado <= $1 and clave in
                         (select clave from transacciones.claves where id is null and abortado <= $1 limit $2)",
                    last,
                    LOT
                );
                Ok(forgotten.execute(c).await?.rows_affected())
            })?;
            all += forgotten;
            if forgotten == 0 {
                return Ok(all);
            }
        }
    }
}

/// The era that is recorded.
pub(super) async fn record(c: &mut Link<'_>) -> Result<Option<EraRecord>, SqlError> {
    let row = sqlx::query!("select numero, desde from transacciones.epoca").fetch_optional(c).await?;
    row.map(|row| Ok(EraRecord { epoca: read(row.numero, |n| u32::try_from(n).ok())?, desde: row.desde }))
        .transpose()
}

/// Records the next era where it is time, and something is aborted. The era then, where one is recorded.
async fn advance(c: &mut Link<'_>, length: TimeDelta) -> Result<Option<EraRecord>, SqlError> {
    // the server's clock: those of replicas need not agree
    let look = sqlx::query!(
        r#"select exists (select 1 from transacciones.claves where id is null) as "any!",
                  date_trunc('milliseconds', statement_timestamp()) as "now!""#
    );
    let look = look.fetch_one(&mut *c).await?;
    if !look.any {
        return Ok(None);
    }
    let (now, before) = (look.now, record(&mut *c).await?);
    let Some(before) = before else {
        put(c, EraRecord { epoca: 0, desde: now }).await?;
        return record(c).await;
    };
    if let Some(next) = before.next(now, length) {
        // another replica may have done it meanwhile
        sqlx::query!(
            "update transacciones.epoca set numero = $1, desde = $2 where numero = $3 and desde = $4",
            i64::from(next.epoca),
            next.desde,
            i64::from(before.epoca),
            before.desde
        )
        .execute(&mut *c)
        .await?;
    }
    record(c).await
}

/// Records the first era.
pub(super) async fn put(c: &mut Link<'_>, era: EraRecord) -> Result<(), SqlError> {
    let first = sqlx::query!(
        "insert into transacciones.epoca (una, numero, desde) values (true, $1, $2) on conflict do nothing",
        i64::from(era.epoca),
        era.desde
    );
    first.execute(c).await.map(drop)
}

// an hour is the least that keys are kept for
const _: () = assert!(FRESH.as_secs() * 10 < 3600 / PARTS as u64);
