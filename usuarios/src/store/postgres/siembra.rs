//! The tables as a whole: filled from files, and read back.

use super::Fila;
use super::asiento::close;
use crate::domain::{Movimiento, Tipo, Usuario};
use crate::store::json::{Change, Modelo};
use journal::Model;
use market::domain::{Intento, MAX_ENTERO, Monto, Resumen, UsuarioId};
use pg::{Tables, read, written};
use sqlx::migrate::Migrator;
use sqlx::{Error as SqlError, PgConnection};
use std::collections::BTreeMap;

/// Rows of one statement.
const LOTE: usize = 10_000;

impl Tables for Modelo {
    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    /// What is settled counts as posted: the first audit of a large ledger would otherwise have all of it to post.
    async fn fill(&self, c: &mut PgConnection) -> Result<(), SqlError> {
        let mut asentado = BTreeMap::<UsuarioId, i64>::new();
        for linea in self.todos().filter(|m| asentada(m)) {
            *asentado.entry(linea.usuario_id).or_default() += linea.efecto();
        }
        let usuarios: Vec<_> = self.usuarios.values().collect();
        for some in usuarios.chunks(LOTE) {
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
        let lineas: Vec<_> = self.todos().collect();
        for some in lineas.chunks(LOTE) {
            insertar(some, c).await?;
        }
        close(c, &self.resumen().confirmados).await?;
        let last = self.usuarios.get_max().map_or(0, |(id, _)| written(id.get()));
        let last_line = self.siguiente_movimiento().map_or(MAX_ENTERO, |id| id - 1);
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

    async fn read(c: &mut PgConnection) -> Result<Self, SqlError> {
        let mut modelo = Self::default();
        let mut asentado = BTreeMap::<i64, i64>::new();
        let mut behind = 0;
        loop {
            let filas = sqlx::query!(
                "select id, nombre, saldo, asentado from usuarios.usuarios where id > $1 order by id limit $2",
                behind,
                super::rows(LOTE)
            );
            let filas = filas.fetch_all(&mut *c).await?;
            let Some(last) = filas.last() else { break };
            behind = last.id;
            for f in filas {
                let (id, saldo) = (read(f.id, UsuarioId::new)?, read(f.saldo, Monto::new)?);
                modelo.apply(&Change::Usuario(Usuario { id, nombre: f.nombre, saldo }));
                asentado.insert(f.id, f.asentado);
            }
        }
        let (mut behind, mut cargos) = ((0, 0), Resumen::default());
        loop {
            let filas = sqlx::query!(
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado, asentado
                 from usuarios.movimientos where (usuario_id, id) > ($1, $2) order by usuario_id, id limit $3",
                behind.0,
                behind.1,
                super::rows(LOTE)
            );
            let filas = filas.fetch_all(&mut *c).await?;
            let Some(last) = filas.last() else { break };
            behind = (last.usuario_id, last.id);
            for f in filas {
                if f.asentado {
                    *asentado.entry(f.usuario_id).or_default() -= f.efecto;
                }
                let fila = Fila {
                    usuario_id: f.usuario_id,
                    id: f.id,
                    tipo: f.tipo,
                    efecto: f.efecto,
                    fecha: f.fecha,
                    clave: f.clave,
                    numero: f.numero,
                    confirmado: f.confirmado,
                };
                let linea = fila.movimiento()?;
                if let (true, Tipo::Cargo { intento, .. }) = (f.asentado, &linea.tipo) {
                    cargos.agregar(intento, linea.usuario_id, None, linea.monto);
                }
                modelo.apply(&Change::Movimiento(linea));
            }
        }
        if let Some((id, _)) = asentado.iter().find(|(_, rest)| **rest != 0) {
            let what = format!("usuario {id}: asentado is not the sum of the lines that are posted");
            return Err(SqlError::Decode(what.into()));
        }
        let cierre = sqlx::query!(
            r#"select cuenta, suma::text as "suma!", huella::text as "huella!" from usuarios.cierre"#
        );
        let cierre = cierre.fetch_one(&mut *c).await?;
        if Resumen::of_columns(cierre.cuenta, &cierre.suma, &cierre.huella)? != cargos {
            return Err(SqlError::Decode(
                "usuarios.cierre is not the digest of the cargos that are posted".into(),
            ));
        }
        let last =
            sqlx::query!("select last_value, is_called from usuarios.movimientos_id").fetch_one(c).await?;
        if last.is_called {
            modelo.numerados(read(last.last_value, Some)?);
        }
        Ok(modelo)
    }
}

/// Whether a line is posted as soon as somebody posts.
fn asentada(m: &Movimiento) -> bool {
    !matches!(m.tipo, Tipo::Cargo { confirmado: false, .. })
}

async fn insertar(some: &[&Movimiento], c: &mut PgConnection) -> Result<(), SqlError> {
    let columns: Vec<_> = some.iter().map(|m| columns(m)).collect();
    sqlx::query!(
        "insert into usuarios.movimientos
             (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado, asentado)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[],
                              $7::bigint[], $8::boolean[], $8::boolean[])",
        &some.iter().map(|m| written(m.usuario_id.get())).collect::<Vec<_>>(),
        &some.iter().map(|m| written(m.id)).collect::<Vec<_>>(),
        &columns.iter().map(|l| l.tipo.to_owned()).collect::<Vec<_>>(),
        &some.iter().map(|m| m.efecto()).collect::<Vec<_>>(),
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
        Tipo::Apertura => of("apertura"),
        Tipo::AjusteAlza => of("ajusteAlza"),
        Tipo::AjusteBaja => of("ajusteBaja"),
        Tipo::Abono { clave } => Columns { clave: Some(clave.to_string()), ..of("abono") },
        Tipo::Cargo { intento: Intento { clave, numero }, .. } => {
            Columns { clave: Some(clave.to_string()), numero: Some((*numero).into()), ..of("cargo") }
        }
    }
}
