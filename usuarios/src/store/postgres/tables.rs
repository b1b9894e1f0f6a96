//! The tables as a whole: filled from files, and read back.

use super::Row;
use super::accounts::{column, record, usuario_column};
use super::posting::close;
use crate::domain::{Movimiento, MovimientoKind, Usuario};
use crate::store::state::{Change, State};
use journal::Model;
use market::domain::{Intento, MAX_INTEGER, Monto, RunningDigest, UsuarioId};
use pg::Link;
use pg::{Tables, read, row_limit, written};
use sqlx::Error as SqlError;
use sqlx::migrate::Migrator;
use std::collections::BTreeMap;

/// Rows of one statement.
const BATCH: usize = 10_000;

impl Tables for State {
    const USES: &'static [(&'static str, &'static str)] = &[
        ("usuarios", "select insert update"),
        ("movimientos", "select insert update delete"),
        ("cierre", "select update"),
        ("cuentas", "select insert update"),
        ("firmas", "select insert delete"),
    ];

    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    /// What is settled counts as posted: the first audit of a large ledger would otherwise have all of it to post.
    async fn fill(&self, c: &mut Link<'_>) -> Result<(), SqlError> {
        let mut asentado = BTreeMap::<UsuarioId, i64>::new();
        for record in self.all().filter(|m| asentada(m)) {
            *asentado.entry(record.usuario_id).or_default() += record.effect();
        }
        let usuarios: Vec<_> = self.usuarios.values().collect();
        for some in usuarios.chunks(BATCH) {
            sqlx::query!(
                "insert into usuarios.usuarios (id, nombre, saldo, asentado)
                 select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[])",
                &some.iter().map(|u| written(u.id.get())).collect::<Vec<_>>(),
                &some.iter().map(|u| u.nombre.clone()).collect::<Vec<_>>(),
                &some.iter().map(|u| written(u.saldo.get())).collect::<Vec<_>>(),
                &some.iter().map(|u| asentado.get(&u.id).copied().unwrap_or_default()).collect::<Vec<_>>()
            )
            .execute(&mut *c)
            .await?;
        }
        let lines: Vec<_> = self.all().collect();
        for some in lines.chunks(BATCH) {
            insert(some, c).await?;
        }
        for account in self.cuentas.values() {
            sqlx::query!(
                "insert into usuarios.cuentas (id, nombre, usuario_id, datos) values ($1, $2, $3, $4)",
                written(account.id),
                account.nombre.as_str(),
                usuario_column(account),
                column(account.as_ref())?
            )
            .execute(&mut *c)
            .await?;
        }
        for (n, key) in (1..).zip(self.signing_keys()) {
            sqlx::query!(
                "insert into usuarios.firmas (n, kid, datos) values ($1, $2, $3)",
                n,
                key.kid,
                column(&key)?
            )
            .execute(&mut *c)
            .await?;
        }
        close(c, &self.digest().confirmados).await?;
        let last = self.usuarios.get_max().map_or(0, |(id, _)| written(id.get()));
        let last_line = self.next_movimiento_id().map_or(MAX_INTEGER, |id| id - 1);
        sqlx::query!(
            "select setval('usuarios.usuarios_id', greatest($1::bigint, 1), $1 > 0) as usuario,
                    setval('usuarios.movimientos_id', greatest($2::bigint, 1), $2 > 0) as movimiento",
            last,
            written(last_line)
        )
        .fetch_one(c)
        .await?;
        Ok(())
    }

    async fn read(c: &mut Link<'_>) -> Result<Self, SqlError> {
        let mut state = Self::default();
        let mut asentado = BTreeMap::<i64, i64>::new();
        let mut behind = 0;
        loop {
            let rows = sqlx::query!(
                "select id, nombre, saldo, asentado from usuarios.usuarios where id > $1 order by id limit $2",
                behind,
                row_limit(BATCH)
            );
            let rows = rows.fetch_all(&mut *c).await?;
            let Some(last) = rows.last() else { break };
            behind = last.id;
            for f in rows {
                let (id, saldo) = (read(f.id, UsuarioId::new)?, read(f.saldo, Monto::new)?);
                state.apply(&Change::Usuario(Usuario { id, nombre: f.nombre, saldo }));
                asentado.insert(f.id, f.asentado);
            }
        }
        let (mut behind, mut cargos) = ((0, 0), RunningDigest::default());
        loop {
            let rows = sqlx::query!(
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado, asentado
                 from usuarios.movimientos where (usuario_id, id) > ($1, $2) order by usuario_id, id limit $3",
                behind.0,
                behind.1,
                row_limit(BATCH)
            );
            let rows = rows.fetch_all(&mut *c).await?;
            let Some(last) = rows.last() else { break };
            behind = (last.usuario_id, last.id);
            for f in rows {
                if f.asentado {
                    *asentado.entry(f.usuario_id).or_default() -= f.efecto;
                }
                let row = Row {
                    usuario_id: f.usuario_id,
                    id: f.id,
                    tipo: f.tipo,
                    efecto: f.efecto,
                    fecha: f.fecha,
                    clave: f.clave,
                    numero: f.numero,
                    confirmado: f.confirmado,
                };
                let record = row.movimiento()?;
                if let (true, MovimientoKind::Cargo { intento, .. }) = (f.asentado, &record.tipo) {
                    cargos.add(intento, record.usuario_id, None, record.monto);
                }
                state.apply(&Change::Movimiento(record));
            }
        }
        if let Some((id, _)) = asentado.iter().find(|(_, rest)| **rest != 0) {
            let what = format!("usuario {id}: asentado is not the sum of the lines that are posted");
            return Err(SqlError::Decode(what.into()));
        }
        let closing = sqlx::query!(
            r#"select cuenta, suma::text as "suma!", huella::text as "huella!" from usuarios.cierre"#
        );
        let closing = closing.fetch_one(&mut *c).await?;
        if RunningDigest::of_columns(closing.cuenta, &closing.suma, &closing.huella)? != cargos {
            return Err(SqlError::Decode(
                "usuarios.cierre is not the digest of the cargos that are posted".into(),
            ));
        }
        let accounts = sqlx::query_scalar!("select datos from usuarios.cuentas").fetch_all(&mut *c).await?;
        for datos in accounts {
            state.apply(&Change::Account(record(&datos)?));
        }
        let keys = sqlx::query_scalar!("select datos from usuarios.firmas").fetch_all(&mut *c).await?;
        for datos in keys {
            state.apply(&Change::SigningKey(record(&datos)?));
        }
        let last =
            sqlx::query!("select last_value, is_called from usuarios.movimientos_id").fetch_one(c).await?;
        if last.is_called {
            state.numbered_up_to(read(last.last_value, Some)?);
        }
        Ok(state)
    }
}

/// Whether a line is posted as soon as somebody posts.
fn asentada(m: &Movimiento) -> bool {
    !matches!(m.tipo, MovimientoKind::Cargo { confirmado: false, .. })
}

async fn insert(some: &[&Movimiento], c: &mut Link<'_>) -> Result<(), SqlError> {
    let columns: Vec<_> = some.iter().map(|m| columns(m)).collect();
    sqlx::query!(
        "insert into usuarios.movimientos
             (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado, asentado)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[],
                              $7::bigint[], $8::boolean[], $8::boolean[])",
        &some.iter().map(|m| written(m.usuario_id.get())).collect::<Vec<_>>(),
        &some.iter().map(|m| written(m.id)).collect::<Vec<_>>(),
        &columns.iter().map(|l| l.tipo.to_owned()).collect::<Vec<_>>(),
        &some.iter().map(|m| m.effect()).collect::<Vec<_>>(),
        &some.iter().map(|m| m.fecha).collect::<Vec<_>>(),
        &columns.iter().map(|l| l.clave.clone()).collect::<Vec<_>>() as &[Option<String>],
        &columns.iter().map(|l| l.numero).collect::<Vec<_>>() as &[Option<i64>],
        &some.iter().map(|m| asentada(m)).collect::<Vec<_>>()
    )
    .execute(c)
    .await
    .map(drop)
}

/// What a line's type is in the table.
struct Columns {
    tipo: &'static str,
    clave: Option<String>,
    numero: Option<i64>,
}

fn columns(m: &Movimiento) -> Columns {
    let of = |tipo| Columns { tipo, clave: None, numero: None };
    match &m.tipo {
        MovimientoKind::Opening => of("apertura"),
        MovimientoKind::AdjustmentUp => of("ajusteAlza"),
        MovimientoKind::AdjustmentDown => of("ajusteBaja"),
        MovimientoKind::Abono { clave } => Columns { clave: Some(clave.to_string()), ..of("abono") },
        MovimientoKind::Cargo { intento: Intento { clave, numero }, .. } => {
            Columns { clave: Some(clave.to_string()), numero: Some((*numero).into()), ..of("cargo") }
        }
    }
}
