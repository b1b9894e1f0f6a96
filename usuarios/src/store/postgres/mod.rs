//! In a database: each operation is one statement, which the schema's constraints hold to the law where two of them meet.
//! Why they are written so: `docs/SCALE.md`.

mod asiento;
mod siembra;

use super::Hecho;
use crate::domain::{Movimiento, Tipo, Usuario};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use market::contract::{PAGE, PedidoCargo, Try};
use market::domain::{Clave, Intento, Monto, UsuarioId};
use pg::{Schema, broken, read, run, written};
use sqlx::{Error as SqlError, PgConnection};

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store(Schema);

/// A row of the ledger.
struct Fila {
    usuario_id: i64,
    id: i64,
    tipo: String,
    efecto: i64,
    fecha: DateTime<Utc>,
    clave: Option<String>,
    numero: Option<i64>,
    confirmado: bool,
}

impl Fila {
    fn movimiento(self) -> Result<Movimiento, SqlError> {
        let tipo = match (self.tipo.as_str(), self.clave, self.numero) {
            ("apertura", ..) => Tipo::Apertura,
            ("ajusteAlza", ..) => Tipo::AjusteAlza,
            ("ajusteBaja", ..) => Tipo::AjusteBaja,
            ("abono", Some(clave), _) => Tipo::Abono { clave: market::columns::clave(&clave)? },
            ("cargo", Some(clave), Some(numero)) => Tipo::Cargo {
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
    fn cargo(self) -> Result<Option<Try>, SqlError> {
        let Movimiento { usuario_id, monto, fecha: desde, tipo, .. } = self.movimiento()?;
        let Tipo::Cargo { intento, .. } = tipo else { return Ok(None) };
        Ok(Some(Try { intento, usuario_id, token_id: None, monto, desde }))
    }
}

fn cargos(filas: Vec<Fila>) -> Result<Vec<Try>, SqlError> {
    filas.into_iter().filter_map(|fila| fila.cargo().transpose()).collect()
}

fn rows(limit: usize) -> i64 {
    written(limit as u64)
}

impl Store {
    /// It posts from now on.
    pub(super) fn new(schema: Schema) -> Self {
        let store = Self(schema);
        store.begin_posting();
        store
    }

    pub(super) async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        let found = run!(self.0.repeatable(), |c, _| usuario(c, id).await)?;
        found.ok_or(Error::UsuarioNoEncontrado(id))
    }

    pub(super) async fn usuarios(
        &self,
        despues: Option<UsuarioId>,
        limite: usize,
    ) -> Result<Page<Usuario>, Error> {
        let behind = despues.map_or(0, |id| written(id.get()));
        let (filas, total) = run!(self.0.repeatable(), |c, _| {
            let filas = sqlx::query!(
                "select id, nombre, saldo from usuarios.usuarios where id > $1 order by id limit $2",
                behind,
                rows(limite + 1)
            )
            .try_map(|f| {
                let (id, saldo) = (read(f.id, UsuarioId::new)?, read(f.saldo, Monto::new)?);
                Ok(Usuario { id, nombre: f.nombre, saldo })
            })
            .fetch_all(&mut *c)
            .await?;
            let total = sqlx::query_scalar!(r#"select count(*) as "n!" from usuarios.usuarios"#);
            Ok((filas, total.fetch_one(c).await?))
        })?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Page::new(filas, limite, total, |u: &Usuario| u.id.to_string()))
    }

    pub(super) async fn movimientos(
        &self,
        de: UsuarioId,
        despues: u64,
        limite: usize,
    ) -> Result<Page<Movimiento>, Error> {
        let id = written(de.get());
        let page = run!(self.0.repeatable(), |c, _| {
            let total = sqlx::query_scalar!(
                r#"select (select count(*) from usuarios.movimientos where usuario_id = u.id) as "n!"
                       from usuarios.usuarios u where id = $1"#,
                id
            );
            let Some(total) = total.fetch_optional(&mut *c).await? else { return Ok(None) };
            let filas = sqlx::query_as!(
                    Fila,
                    "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                     where usuario_id = $1 and id > $2 order by id limit $3",
                    id,
                    written(despues),
                    rows(limite + 1)
                )
                .try_map(Fila::movimiento)
                .fetch_all(c)
                .await?;
            Ok(Some((filas, total)))
        })?;
        let (filas, total) = page.ok_or(Error::UsuarioNoEncontrado(de))?;
        let total = usize::try_from(total).unwrap_or_default();
        Ok(Page::new(filas, limite, total, |m: &Movimiento| m.id.to_string()))
    }

    pub(super) async fn crear(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        let id = run!(self.0.once(), |c, _| {
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
            match made.fetch_one(c).await {
                Ok(id) => read(id, UsuarioId::new).map(Some),
                Err(e) if is_exhausted(&e) => Ok(None),
                Err(e) => Err(e),
            }
        })?;
        Ok(Usuario { id: id.ok_or(Error::SinIds)?, nombre, saldo })
    }

    pub(super) async fn renombrar(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        let saldo = run!(self.0.repeatable(), |c, _| {
            sqlx::query!(
                "update usuarios.usuarios set nombre = $2 where id = $1 returning saldo",
                written(id.get()),
                nombre
            )
            .try_map(|fila| read(fila.saldo, Monto::new))
            .fetch_optional(c)
            .await
        })?;
        Ok(Usuario { id, nombre, saldo: saldo.ok_or(Error::UsuarioNoEncontrado(id))? })
    }

    pub(super) async fn abonar(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Hecho<Movimiento>, Error> {
        run!(self.0.repeatable(), |c, _| {
            loop {
                // where the row was locked by somebody else, what he did under this key is not seen: the index sees it
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
                    Ok(Some(fila)) => {
                        let tipo = Tipo::Abono { clave: clave.clone() };
                        let (n, fecha) = (read(fila.id, Some)?, fila.fecha);
                        let valor = Movimiento { id: n, usuario_id: id, monto, fecha, tipo };
                        return Ok(Ok(Hecho { valor, nuevo: true }));
                    }
                    Ok(None) => {}
                    Err(e) if broken(&e) == Some("movimientos_abono") => {}
                    Err(e) => return Err(e),
                }
                if let Some(valor) = abono(c, &clave).await? {
                    let same = valor.responde_a(id, monto, &clave);
                    return Ok(same.map(|()| Hecho { valor, nuevo: false }));
                }
                let Some(usuario) = usuario(c, id).await? else {
                    return Ok(Err(Error::UsuarioNoEncontrado(id)));
                };
                if let Err(no) = usuario.con(monto) {
                    return Ok(Err(no));
                }
                // it changed between the two looks
            }
        })?
    }

    pub(super) async fn cargar(&self, intento: Intento, pedido: PedidoCargo) -> Result<bool, Error> {
        let PedidoCargo { usuario_id: id, monto } = pedido;
        run!(self.0.repeatable(), |c, _| {
            loop {
                let made = sqlx::query!(
                        "with cargado as (
                             update usuarios.usuarios set saldo = saldo - $2
                             where id = $1 and saldo >= $2
                               and not exists (
                                   select 1 from usuarios.movimientos where tipo = 'cargo' and clave = $3 and numero = $4
                               )
                             returning id
                         )
                         insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado)
                         select id, nextval('usuarios.movimientos_id'), 'cargo', - $2,
                                date_trunc('milliseconds', statement_timestamp()), $3, $4, false
                         from cargado",
                        written(id.get()),
                        written(monto.get()),
                        intento.clave.as_str(),
                        i64::from(intento.numero)
                    );
                match made.execute(&mut *c).await {
                    Ok(done) if done.rows_affected() == 1 => return Ok(Ok(true)),
                    Ok(_) => {}
                    Err(e) if broken(&e) == Some("movimientos_cargo") => {}
                    Err(e) => return Err(e),
                }
                if let Some(hecho) = cargo(c, &intento).await? {
                    return Ok(hecho.responde_a(id, monto, &intento).map(|()| false));
                }
                let Some(usuario) = usuario(c, id).await? else {
                    return Ok(Err(Error::UsuarioNoEncontrado(id)));
                };
                if let Err(no) = usuario.sin(monto) {
                    return Ok(Err(no));
                }
                // it changed between the two looks
            }
        })?
    }

    pub(super) async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        let there = run!(self.0.repeatable(), |c, _| {
            let done = sqlx::query!(
                "update usuarios.movimientos set confirmado = true
                     where tipo = 'cargo' and clave = $1 and numero = $2 and not confirmado",
                intento.clave.as_str(),
                i64::from(intento.numero)
            );
            Ok(done.execute(&mut *c).await?.rows_affected() == 1 || cargo(c, &intento).await?.is_some())
        })?;
        if there { Ok(()) } else { Err(Error::IntentoNoEncontrado(intento)) }
    }

    pub(super) async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        run!(self.0.repeatable(), |c, _| {
            loop {
                let done = sqlx::query!(
                        "with quitado as (
                             delete from usuarios.movimientos
                             where tipo = 'cargo' and clave = $1 and numero = $2 and not confirmado
                             returning usuario_id, efecto
                         )
                         update usuarios.usuarios u set saldo = u.saldo - q.efecto from quitado q where u.id = q.usuario_id",
                        intento.clave.as_str(),
                        i64::from(intento.numero)
                    );
                let full = match done.execute(&mut *c).await {
                    Ok(done) if done.rows_affected() == 1 => return Ok(Ok(())),
                    Ok(_) => false,
                    Err(e) if broken(&e) == Some("usuarios_saldo") => true,
                    Err(e) => return Err(e),
                };
                let Some(hecho) = cargo(c, &intento).await? else { return Ok(Ok(())) };
                if matches!(hecho.tipo, Tipo::Cargo { confirmado: true, .. }) {
                    return Ok(Err(Error::IntentoConfirmado(intento.clone())));
                }
                if full
                    && let Some(usuario) = usuario(c, hecho.usuario_id).await?
                    && let Err(no) = usuario.con(hecho.monto)
                {
                    return Ok(Err(no));
                }
                // it changed between the two looks
            }
        })?
    }

    pub(super) async fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        let edad = TimeDelta::milliseconds(edad.num_milliseconds().clamp(0, 1_000 * 86_400_000));
        let start = (DateTime::UNIX_EPOCH, String::new(), 0);
        let (desde, clave, numero) =
            despues.map_or(start, |(desde, i)| (desde, i.clave.to_string(), i.numero.into()));
        let found = run!(self.0.repeatable(), |c, _| {
            let filas = sqlx::query_as!(
                Fila,
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                 where not confirmado and (fecha, clave, numero) > ($1, $2, $3)
                   and (fecha <= date_trunc('milliseconds', statement_timestamp()) - $4::float8 * interval '1 second'
                        or fecha > statement_timestamp())
                 order by fecha, clave, numero limit $5",
                desde,
                clave,
                numero,
                edad.as_seconds_f64(),
                rows(PAGE)
            );
            cargos(filas.fetch_all(c).await?)
        });
        Ok(found?)
    }

    pub(super) async fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        let (clave, numero) = despues.map_or((String::new(), 0), |i| (i.clave.to_string(), i.numero.into()));
        let found = run!(self.0.repeatable(), |c, _| {
            let filas = sqlx::query_as!(
                Fila,
                "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
                 where tipo = 'cargo' and confirmado and (clave, numero) > ($1, $2) order by clave, numero limit $3",
                clave,
                numero,
                rows(PAGE)
            );
            cargos(filas.fetch_all(c).await?)
        });
        Ok(found?)
    }
}

async fn usuario(c: &mut PgConnection, id: UsuarioId) -> Result<Option<Usuario>, SqlError> {
    sqlx::query!("select nombre, saldo from usuarios.usuarios where id = $1", written(id.get()))
        .try_map(|fila| Ok(Usuario { id, nombre: fila.nombre, saldo: read(fila.saldo, Monto::new)? }))
        .fetch_optional(c)
        .await
}

async fn cargo(c: &mut PgConnection, intento: &Intento) -> Result<Option<Movimiento>, SqlError> {
    sqlx::query_as!(
        Fila,
        "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where tipo = 'cargo' and clave = $1 and numero = $2",
        intento.clave.as_str(),
        i64::from(intento.numero)
    )
    .try_map(Fila::movimiento)
    .fetch_optional(c)
    .await
}

async fn abono(c: &mut PgConnection, clave: &Clave) -> Result<Option<Movimiento>, SqlError> {
    sqlx::query_as!(
        Fila,
        "select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
         where tipo = 'abono' and clave = $1",
        clave.as_str()
    )
    .try_map(Fila::movimiento)
    .fetch_optional(c)
    .await
}

/// `sequence_generator_limit_exceeded`.
fn is_exhausted(e: &SqlError) -> bool {
    e.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "2200H")
}
