//! Posting: settled lines are counted in balances and in the digest of the audit, in lots. Why so: `docs/SCALE.md`.

use super::{Fila, Store};
use crate::error::Error;
use market::contract::{Digest, Try};
use market::domain::Resumen;
use pg::{Posting, read, run, written};
use sqlx::{Error as SqlError, PgConnection};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks of the background task for lines to post.
const ASENTAR: Duration = Duration::from_secs(1);

impl Store {
    /// Starts the background task that posts. It waits for the tables first.
    pub(super) fn begin_posting(&self) {
        let schema = self.0.clone();
        self.0.every(ASENTAR, "the ledger is not posted", move || {
            let schema = schema.clone();
            async move { schema.post::<Ledger>().await }
        });
    }

    /// Posts what is not posted first, so that the digest counts all that was confirmed before the call.
    pub(in crate::store) async fn resumen(&self) -> Result<Digest, Error> {
        self.0.post::<Ledger>().await?;
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
}

/// Lines of the ledger that are settled, into `usuarios.asentado` and `usuarios.cierre`.
struct Ledger;

impl Posting for Ledger {
    async fn is_due(c: &mut PgConnection) -> Result<bool, SqlError> {
        let some = sqlx::query_scalar!(
            r#"select exists (select 1 from usuarios.movimientos where confirmado and not asentado) as "some!""#
        );
        some.fetch_one(c).await
    }

    async fn post_lot(c: &mut PgConnection, limit: i64) -> Result<usize, SqlError> {
        let cierre = sqlx::query!(
            r#"select cuenta, suma::text as "suma!", huella::text as "huella!" from usuarios.cierre for update"#
        )
        .fetch_one(&mut *c)
        .await?;
        let mut resumen = Resumen::of_columns(cierre.cuenta, &cierre.suma, &cierre.huella)?;
        let filas = sqlx::query_as!(
            Fila,
            "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where confirmado and not asentado order by usuario_id, id limit $1",
            limit
        )
        .fetch_all(&mut *c)
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
        .execute(&mut *c)
        .await?;
        sqlx::query!(
            "update usuarios.usuarios u set asentado = u.asentado + s.suma
         from unnest($1::bigint[], $2::bigint[]) as s (id, suma) where u.id = s.id",
            &sumas.keys().copied().collect::<Vec<_>>(),
            &sumas.values().copied().collect::<Vec<_>>()
        )
        .execute(&mut *c)
        .await?;
        close(c, &resumen).await?;
        Ok(lineas.len())
    }
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
