//! Posting: settled lines are counted in balances and in the digest of the audit, in lots. Why so: `docs/SCALE.md`.

use super::{Row, Store};
use crate::error::Error;
use market::contract::{Digest, Hold, PAGE};
use market::domain::RunningDigest;
use pg::Link;
use pg::{Posting, read, row_limit, run, written};
use sqlx::Error as SqlError;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks of the background task for lines to post.
const POST_EVERY: Duration = Duration::from_secs(1);

impl Store {
    /// Starts the background task that posts. It waits for the tables first.
    pub(super) fn begin_posting(&self) {
        let schema = self.schema.clone();
        self.schema.every(POST_EVERY, "the ledger is not posted", move || {
            let schema = schema.clone();
            async move { schema.post::<Ledger>().await }
        });
    }

    /// Posts what is not posted first, so that the digest counts all that was confirmed before the call.
    pub(in crate::store) async fn digest(&self) -> Result<Digest, Error> {
        self.schema.post::<Ledger>().await?;
        let digest = run!(self.schema.repeatable(), |c, _| {
            let row = sqlx::query!(
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
                           where u.saldo <> u.asentado + coalesce(a.suma, 0)) as "descuadrados!",
                          -- what cierre does not count: of one moment with it, so in one statement
                          (select coalesce(json_agg(json_build_object(
                                      'intento', m.clave || '#' || m.numero::text, 'usuarioId', m.usuario_id,
                                      'monto', -m.efecto, 'desde', m.fecha)), '[]')::text
                           from (select clave, numero, usuario_id, efecto, fecha from usuarios.movimientos
                                     where not confirmado
                                 union all
                                 select clave, numero, usuario_id, efecto, fecha from usuarios.movimientos
                                     where confirmado and not asentado and tipo = 'cargo'
                                 limit $1) m) as "en_vuelo!"
                   from usuarios.cierre"#,
                row_limit(PAGE)
            );
            let row = row.fetch_one(c).await?;
            Ok(Digest {
                confirmados: RunningDigest::of_columns(row.cuenta, &row.suma, &row.huella)?,
                pendientes: read(row.pendientes, Some)?,
                descuadrados: read(row.descuadrados, Some)?,
                in_flight: serde_json::from_str(&row.en_vuelo).map_err(|e| SqlError::Decode(e.into()))?,
                oldest: None,
            })
        });
        Ok(digest?)
    }
}

/// Lines of the ledger that are settled, into `usuarios.asentado` and `usuarios.cierre`.
struct Ledger;

impl Posting for Ledger {
    async fn is_due(c: &mut Link<'_>) -> Result<bool, SqlError> {
        let some = sqlx::query_scalar!(
            r#"select exists (select 1 from usuarios.movimientos where confirmado and not asentado) as "some!""#
        );
        some.fetch_one(c).await
    }

    async fn post_lot(c: &mut Link<'_>, limit: i64) -> Result<usize, SqlError> {
        let closing = sqlx::query!(
            r#"select cuenta, suma::text as "suma!", huella::text as "huella!" from usuarios.cierre for update"#
        )
        .fetch_one(&mut *c)
        .await?;
        let mut digest = RunningDigest::of_columns(closing.cuenta, &closing.suma, &closing.huella)?;
        let rows = sqlx::query_as!(
            Row,
            "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where confirmado and not asentado order by usuario_id, id limit $1",
            limit
        )
        .fetch_all(&mut *c)
        .await?;
        let mut sums = BTreeMap::<i64, i64>::new();
        let (mut owners, mut lines) = (Vec::new(), Vec::new());
        for row in rows {
            owners.push(row.usuario_id);
            lines.push(row.id);
            *sums.entry(row.usuario_id).or_default() += row.efecto;
            if let Some(Hold { intento, usuario_id, monto, .. }) = row.cargo()? {
                digest.add(&intento, usuario_id, None, monto);
            }
        }
        sqlx::query!(
            "update usuarios.movimientos m set asentado = true
         from unnest((select $1::bigint[]), (select $2::bigint[])) as l (usuario_id, id)
         where m.usuario_id = l.usuario_id and m.id = l.id",
            &owners,
            &lines
        )
        .execute(&mut *c)
        .await?;
        close(c, &digest).await?;
        // Last, and in the order of charges: from here to the commit, charges of these users wait.
        sqlx::query!(
            "with abierto as (
                 select s.id, s.suma from unnest((select $1::bigint[]), (select $2::bigint[])) as s (id, suma)
                 cross join lateral (select id from usuarios.usuarios where id = s.id for update) t
                 where t.id = s.id
             )
             update usuarios.usuarios u set asentado = u.asentado + a.suma from abierto a where u.id = a.id",
            &sums.keys().copied().collect::<Vec<_>>(),
            &sums.values().copied().collect::<Vec<_>>()
        )
        .execute(&mut *c)
        .await?;
        Ok(lines.len())
    }
}

/// Writes the digest of what is posted.
pub(super) async fn close(c: &mut Link<'_>, total: &RunningDigest) -> Result<(), SqlError> {
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
