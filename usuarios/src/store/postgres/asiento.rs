//! Posting: what is settled is counted in balances and in the digest of the audit behind the requests, in lots. Why so:
//! `docs/SCALE.md`.

use super::{Fila, Store, rows};
use crate::error::Error;
use market::contract::{Digest, Try};
use market::domain::Resumen;
use pg::{read, run, written};
use sqlx::{Connection, Error as SqlError, PgConnection};
use std::collections::BTreeMap;
use std::time::Duration;

/// Lines that are posted at once: their users wait for it.
const LOTE: usize = 500;
/// Between two looks for lines to post.
const ASENTAR: Duration = Duration::from_secs(1);

impl Store {
    /// Posts behind the requests, from when the tables are there.
    pub(super) fn begin_posting(&self) {
        let store = self.clone();
        self.0.every(ASENTAR, move || {
            let store = store.clone();
            async move {
                if let Err(e) = store.asentar().await {
                    log::warn!("usuarios: the ledger is not posted: {e}");
                }
            }
        });
    }

    /// Posts first what is not posted, so that the digest is that of all that was confirmed before.
    pub(in crate::store) async fn resumen(&self) -> Result<Digest, Error> {
        self.asentar().await?;
        let digest = run!(self.0.repeatable(), |c, _| {
            let fila = sqlx::query!(
                r#"with abiertos as (
                       select usuario_id, sum(efecto) as suma from (
                           select usuario_id, efecto from usuarios.movimientos where not confirmado
                           union all
                           select usuario_id, efecto from usuarios.movimientos where confirmado and not asentado
                       ) lineas group by usuario_id
                   ), dudosos as (
                       select id from usuarios.usuarios where saldo <> asentado
                       union
                       select usuario_id from abiertos
                   )
                   select cuenta as "cuenta!", suma::text as "suma!", huella::text as "huella!",
                          (select count(*) from usuarios.movimientos where not confirmado) as "pendientes!",
                          (select count(*) from dudosos d join usuarios.usuarios u on u.id = d.id
                               left join abiertos a on a.usuario_id = u.id
                           where u.saldo <> u.asentado + coalesce(a.suma, 0)) as "descuadrados!"
                   from usuarios.cierre"#
            );
            let fila = fila.fetch_one(c).await?;
            Ok(Digest {
                confirmados: Resumen::of_columns(fila.cuenta, &fila.suma, &fila.huella)?,
                pendientes: read(fila.pendientes, Some)?,
                descuadrados: read(fila.descuadrados, Some)?,
            })
        });
        Ok(digest?)
    }

    async fn asentar(&self) -> Result<(), Error> {
        while run!(self.0.repeatable(), |c, _| asentar(c).await)? == LOTE {}
        Ok(())
    }
}

/// Counts lines that are settled in the balance of what is posted and in the digest: how many. Whoever comes second waits
/// for the first one's commit, and then sees what is left.
async fn asentar(c: &mut PgConnection) -> Result<usize, SqlError> {
    let some = sqlx::query_scalar!(
        r#"select exists (select 1 from usuarios.movimientos where confirmado and not asentado) as "some!""#
    );
    if !some.fetch_one(&mut *c).await? {
        return Ok(0);
    }
    let mut tx = c.begin().await?;
    let cierre = sqlx::query!(
        r#"select cuenta, suma::text as "suma!", huella::text as "huella!" from usuarios.cierre for update"#
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut resumen = Resumen::of_columns(cierre.cuenta, &cierre.suma, &cierre.huella)?;
    let filas = sqlx::query_as!(
        Fila,
        "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where confirmado and not asentado order by usuario_id, id limit $1",
        rows(LOTE)
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut sumas = BTreeMap::<i64, i64>::new();
    let (mut de, mut lineas) = (Vec::new(), Vec::new());
    for fila in filas {
        de.push(fila.usuario_id);
        lineas.push(fila.id);
        *sumas.entry(fila.usuario_id).or_default() += fila.efecto;
        if let Some(Try { intento, usuario_id, monto, .. }) = fila.cargo()? {
            resumen.agregar(&intento, usuario_id, None, monto);
        }
    }
    sqlx::query!(
        "update usuarios.movimientos m set asentado = true
         from unnest($1::bigint[], $2::bigint[]) as l (usuario_id, id)
         where m.usuario_id = l.usuario_id and m.id = l.id",
        &de,
        &lineas
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update usuarios.usuarios u set asentado = u.asentado + s.suma
         from unnest($1::bigint[], $2::bigint[]) as s (id, suma) where u.id = s.id",
        &sumas.keys().copied().collect::<Vec<_>>(),
        &sumas.values().copied().collect::<Vec<_>>()
    )
    .execute(&mut *tx)
    .await?;
    close(&mut tx, &resumen).await?;
    tx.commit().await?;
    Ok(lineas.len())
}

/// Writes the digest of what is posted.
pub(super) async fn close(c: &mut PgConnection, total: &Resumen) -> Result<(), SqlError> {
    sqlx::query!(
        "update usuarios.cierre set cuenta = $1, suma = $2::text::numeric, huella = $3::text::numeric",
        written(total.cuenta),
        total.suma.to_string(),
        total.huella.to_string()
    )
    .execute(c)
    .await
    .map(drop)
}
