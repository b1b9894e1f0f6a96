//! In a database: each operation is one statement. Where two of them meet, the schema's constraints hold them to the law.
//! What purchases ask for goes in batches (`holds`).
//! Why the statements are written so: `docs/SCALE.md`.

mod accounts;
mod holds;
mod posting;
mod tables;

use crate::domain::{Movimiento, MovimientoKind, Usuario};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use holds::{Charging, Confirming, Looking, Refunding};
use http_kit::paging::Page;
use market::contract::{CargoRequest, Hold, PAGE};
use market::domain::{Clave, Intento, Monto, UsuarioId};
use market::participant::Recorded;
use pg::Link;
use pg::{Batcher, Schema, broken, is_exhausted, read, row_limit, run, written};
use sqlx::Error as SqlError;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    schema: Schema,
    looking: Batcher<Looking>,
    charging: Batcher<Charging>,
    confirming: Batcher<Confirming>,
    refunding: Batcher<Refunding>,
}

/// A row of the ledger.
struct Row {
    usuario_id: i64,
    id: i64,
    tipo: String,
    efecto: i64,
    fecha: DateTime<Utc>,
    clave: Option<String>,
    numero: Option<i64>,
    confirmado: bool,
}

impl Row {
    fn movimiento(self) -> Result<Movimiento, SqlError> {
        let tipo = match (self.tipo.as_str(), self.clave, self.numero) {
            ("apertura", ..) => MovimientoKind::Opening,
            ("ajusteAlza", ..) => MovimientoKind::AdjustmentUp,
            ("ajusteBaja", ..) => MovimientoKind::AdjustmentDown,
            ("abono", Some(clave), _) => MovimientoKind::Abono { clave: market::columns::clave(&clave)? },
            ("cargo", Some(clave), Some(numero)) => MovimientoKind::Cargo {
                intento: market::columns::intento(&clave, numero)?,
                confirmado: self.confirmado,
            },
            (tipo, ..) => return Err(SqlError::Decode(format!("a line of type {tipo}").into())),
        };
        let monto = read(self.efecto.saturating_abs(), Monto::new)?;
        let (id, usuario_id) = (read(self.id, Some)?, read(self.usuario_id, UsuarioId::new)?);
        Ok(Movimiento { id, usuario_id, monto, fecha: self.fecha, tipo })
    }

    /// Where it is a debit.
    fn cargo(self) -> Result<Option<Hold>, SqlError> {
        let Movimiento { usuario_id, monto, fecha: desde, tipo, .. } = self.movimiento()?;
        let MovimientoKind::Cargo { intento, .. } = tipo else { return Ok(None) };
        Ok(Some(Hold { intento, usuario_id, token_id: None, monto, desde }))
    }
}

/// Whether the number that the sequence gave is some row's already.
fn is_taken(e: &SqlError) -> bool {
    matches!(broken(e), Some("usuarios_pkey" | "movimientos_pkey"))
}

fn cargos(rows: Vec<Row>) -> Result<Vec<Hold>, SqlError> {
    rows.into_iter().filter_map(|row| row.cargo().transpose()).collect()
}

impl Store {
    /// It posts from now on.
    pub(super) fn new(schema: Schema) -> Self {
        let store = Self {
            looking: Batcher::new(&schema),
            charging: Batcher::new(&schema),
            confirming: Batcher::new(&schema),
            refunding: Batcher::new(&schema),
            schema,
        };
        store.begin_posting();
        store
    }

    pub(super) async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        self.looking.ask(id).await?
    }

    pub(super) async fn usuarios(
        &self,
        after: Option<UsuarioId>,
        limit: usize,
    ) -> Result<Page<Usuario>, Error> {
        let behind = after.map_or(0, |id| written(id.get()));
        // the total counts all rows
        let _turn = self.schema.scan().await?;
        let (rows, total) = run!(self.schema.repeatable(), |c, _| {
            let rows = sqlx::query!(
                "select id, nombre, saldo from usuarios.usuarios where id > $1 order by id limit $2",
                behind,
                row_limit(limit + 1)
            )
            .try_map(|f| {
                let (id, saldo) = (read(f.id, UsuarioId::new)?, read(f.saldo, Monto::new)?);
                Ok(Usuario { id, nombre: f.nombre, saldo })
            })
            .fetch_all(&mut *c)
            .await?;
            let total = sqlx::query_scalar!(r#"select count(*) as "n!" from usuarios.usuarios"#);
            Ok((rows, total.fetch_one(c).await?))
        })?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Page::new(rows, limit, total, |u: &Usuario| u.id.to_string()))
    }

    pub(super) async fn movimientos(
        &self,
        usuario: UsuarioId,
        after: u64,
        limit: usize,
    ) -> Result<Page<Movimiento>, Error> {
        let id = written(usuario.get());
        // the total counts the user's lines
        let _turn = self.schema.scan().await?;
        let page = run!(self.schema.repeatable(), |c, _| {
            let total = sqlx::query_scalar!(
                r#"select (select count(*) from usuarios.movimientos where usuario_id = u.id) as "n!"
                       from usuarios.usuarios u where id = $1"#,
                id
            );
            let Some(total) = total.fetch_optional(&mut *c).await? else { return Ok(None) };
            let rows = sqlx::query_as!(
                    Row,
                    "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                     where usuario_id = $1 and id > $2 order by id limit $3",
                    id,
                    written(after),
                    row_limit(limit + 1)
                )
                .try_map(Row::movimiento)
                .fetch_all(c)
                .await?;
            Ok(Some((rows, total)))
        })?;
        let (rows, total) = page.ok_or(Error::UsuarioNotFound(usuario))?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Page::new(rows, limit, total, |m: &Movimiento| m.id.to_string()))
    }

    pub(super) async fn create(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        let id = run!(self.schema.once(), |c, _| {
            loop {
                let made = sqlx::query_scalar!(
                    "with nuevo as (
                         insert into usuarios.usuarios (nombre, saldo) values ($1, $2) returning id, saldo
                     )
                     insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha)
                     select id, nextval('usuarios.movimientos_id'), 'apertura', saldo,
                            date_trunc('milliseconds', statement_timestamp())
                     from nuevo returning usuario_id",
                    nombre,
                    written(saldo.get())
                );
                return match made.fetch_one(&mut *c).await {
                    Ok(id) => read(id, UsuarioId::new).map(Some),
                    Err(e) if is_exhausted(&e) => Ok(None),
                    // somebody has put rows in by hand, past the sequence: the next number may be free
                    Err(e) if is_taken(&e) => continue,
                    Err(e) => Err(e),
                };
            }
        })?;
        Ok(Usuario { id: id.ok_or(Error::NoIdsLeft)?, nombre, saldo })
    }

    pub(super) async fn rename(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        let saldo = run!(self.schema.repeatable(), |c, _| {
            sqlx::query!(
                "update usuarios.usuarios set nombre = $2 where id = $1 returning saldo",
                written(id.get()),
                nombre
            )
            .try_map(|row| read(row.saldo, Monto::new))
            .fetch_optional(c)
            .await
        })?;
        Ok(Usuario { id, nombre, saldo: saldo.ok_or(Error::UsuarioNotFound(id))? })
    }

    pub(super) async fn credit(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Recorded<Movimiento>, Error> {
        run!(self.schema.repeatable(), |c, _| {
            loop {
                // Where somebody else had locked the row, this statement does not see what he did under this key. The index
                // does.
                let made = sqlx::query!(
                        "with abonado as (
                             update usuarios.usuarios set saldo = saldo + $2
                             where id = $1 and saldo <= $3::bigint - $2
                               and not exists (select 1 from usuarios.movimientos where tipo = 'abono' and clave = $4)
                             returning id
                         )
                         insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave)
                         select id, nextval('usuarios.movimientos_id'), 'abono', $2,
                                date_trunc('milliseconds', statement_timestamp()), $4
                         from abonado returning id, fecha",
                        written(id.get()),
                        written(monto.get()),
                        written(Monto::MAX.get()),
                        clave.as_str()
                    );
                match made.fetch_optional(&mut *c).await {
                    Ok(Some(row)) => {
                        let tipo = MovimientoKind::Abono { clave: clave.clone() };
                        let (n, fecha) = (read(row.id, Some)?, row.fecha);
                        let value = Movimiento { id: n, usuario_id: id, monto, fecha, tipo };
                        return Ok(Ok(Recorded { value, is_new: true }));
                    }
                    Ok(None) => {}
                    Err(e) if broken(&e) == Some("movimientos_abono") => {}
                    Err(e) if is_taken(&e) => continue,
                    Err(e) => return Err(e),
                }
                if let Some(value) = abono(c, &clave).await? {
                    let same = value.answers(id, monto, &clave);
                    return Ok(same.map(|()| Recorded { value, is_new: false }));
                }
                let Some(usuario) = usuario(c, id).await? else {
                    return Ok(Err(Error::UsuarioNotFound(id)));
                };
                if let Err(no) = usuario.saldo_plus(monto) {
                    return Ok(Err(no));
                }
                // it changed between the two looks
            }
        })?
    }

    pub(super) async fn hold(&self, intento: Intento, request: CargoRequest) -> Result<bool, Error> {
        self.charging.ask((intento, request)).await?
    }

    pub(super) async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        self.confirming.ask(intento).await?
    }

    pub(super) async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        self.refunding.ask(intento).await?
    }

    pub(super) async fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Hold>, Error> {
        let age = TimeDelta::milliseconds(age.num_milliseconds().clamp(0, 1_000 * 86_400_000));
        let start = (DateTime::UNIX_EPOCH, String::new(), 0);
        let (desde, clave, numero) =
            after.map_or(start, |(desde, i)| (desde, i.clave.to_string(), i.numero.into()));
        let found = run!(self.schema.repeatable(), |c, _| {
            let rows = sqlx::query_as!(
                Row,
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                 where not confirmado and (fecha, clave, numero) > ($1, $2, $3)
                   and (fecha <= date_trunc('milliseconds', statement_timestamp()) - $4::float8 * interval '1 second'
                        or fecha > statement_timestamp())
                 order by fecha, clave, numero limit $5",
                desde,
                clave,
                numero,
                age.as_seconds_f64(),
                row_limit(PAGE)
            );
            cargos(rows.fetch_all(c).await?)
        });
        Ok(found?)
    }

    pub(super) async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        run!(self.schema.repeatable(), |c, _| {
            let (clave, numero) = match &after {
                None => ("", 0),
                Some(intento) if cargo(c, intento).await?.is_none() => {
                    return Ok(Err(Error::IntentoNotFound(intento.clone())));
                }
                Some(intento) => (intento.clave.as_str(), i64::from(intento.numero)),
            };
            let rows = sqlx::query_as!(
                Row,
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                 where tipo = 'cargo' and confirmado and (clave, numero) > ($1, $2) order by clave, numero limit $3",
                clave,
                numero,
                row_limit(PAGE)
            );
            cargos(rows.fetch_all(c).await?).map(Ok)
        })?
    }
}

async fn usuario(c: &mut Link<'_>, id: UsuarioId) -> Result<Option<Usuario>, SqlError> {
    sqlx::query!("select nombre, saldo from usuarios.usuarios where id = $1", written(id.get()))
        .try_map(|row| Ok(Usuario { id, nombre: row.nombre, saldo: read(row.saldo, Monto::new)? }))
        .fetch_optional(c)
        .await
}

async fn cargo(c: &mut Link<'_>, intento: &Intento) -> Result<Option<Movimiento>, SqlError> {
    sqlx::query_as!(
        Row,
        "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where tipo = 'cargo' and clave = $1 and numero = $2",
        intento.clave.as_str(),
        i64::from(intento.numero)
    )
    .try_map(Row::movimiento)
    .fetch_optional(c)
    .await
}

async fn abono(c: &mut Link<'_>, clave: &Clave) -> Result<Option<Movimiento>, SqlError> {
    sqlx::query_as!(
        Row,
        "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where tipo = 'abono' and clave = $1",
        clave.as_str()
    )
    .try_map(Row::movimiento)
    .fetch_optional(c)
    .await
}
