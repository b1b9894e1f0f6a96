//! In a database: each operation is one statement, or a look and one statement, which the schema's constraints hold to the
//! law where two of them meet. Why they are written so: `docs/SCALE.md`.

mod lista;
mod siembra;
mod version;

use super::{Alta, Cambio, Consulta, Hecho, Version, Vista};
use crate::domain::{Estado, Reserva, Token, Venta, plegar};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use market::contract::{Digest, PAGE, PedidoReserva, Reservado, Try};
use market::domain::{Intento, Monto, Resumen, TokenId, UsuarioId};
use pg::{Schema, broken, read, run, written};
use sqlx::{Error as SqlError, PgConnection};
use std::sync::Arc;
use version::Versiones;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    schema: Schema,
    versiones: Arc<Versiones>,
}

/// A row of the catalogue.
struct Fila {
    id: i64,
    nombre: String,
    imagen: String,
    precio: i64,
    estado: String,
    clave: Option<String>,
    numero: Option<i64>,
    usuario_id: Option<i64>,
    desde: Option<DateTime<Utc>>,
}

impl Fila {
    fn token(self) -> Result<Token, SqlError> {
        let attempt = match (self.clave, self.numero, self.usuario_id, self.desde) {
            (Some(clave), Some(numero), Some(usuario), Some(desde)) => {
                Some((market::columns::intento(&clave, numero)?, read(usuario, UsuarioId::new)?, desde))
            }
            _ => None,
        };
        let estado = match (self.estado.as_str(), attempt) {
            ("libre", None) => Estado::Libre,
            ("reservado", Some((intento, usuario_id, desde))) => {
                Estado::Reservado(Box::new(Reserva { intento, usuario_id, desde }))
            }
            ("vendido", venta) => Estado::Vendido(
                venta.map(|(intento, usuario_id, fecha)| Box::new(Venta { intento, usuario_id, fecha })),
            ),
            (estado, _) => return Err(SqlError::Decode(format!("token {} is {estado}", self.id).into())),
        };
        let (id, precio) = (read(self.id, TokenId::new)?, read(self.precio, Monto::new)?);
        Ok(Token { id, nombre: self.nombre.into(), imagen: self.imagen.into(), precio, estado })
    }
}

fn tries(filas: Vec<Fila>) -> Result<Vec<Try>, SqlError> {
    filas.into_iter().filter_map(|fila| fila.token().map(|token| token.as_try()).transpose()).collect()
}

fn rows(limit: usize) -> i64 {
    written(limit as u64)
}

/// What a change adds to the number of the state.
fn paso() -> i64 {
    // 2^62 of them, so that two that were never to be the same are not; and 2^66 changes fit the number
    rand::random_range(1..=1 << 62)
}

impl Store {
    pub(super) fn new(schema: Schema) -> Self {
        Self { schema, versiones: Arc::default() }
    }

    pub(super) async fn version(&self) -> Result<Version, Error> {
        Ok(self.versiones.now(&self.schema).await?)
    }

    pub(super) async fn listar(&self, consulta: Consulta) -> Result<Vista, Error> {
        Ok(run!(self.schema.repeatable(), |c, _| lista::listar(c, &consulta).await)?)
    }

    pub(super) async fn token(&self, id: TokenId) -> Result<Token, Error> {
        let found = run!(self.schema.repeatable(), |c, _| token(c, id).await)?;
        found.ok_or(Error::TokenNoEncontrado(id))
    }

    pub(super) async fn crear(&self, alta: Alta) -> Result<Token, Error> {
        let Alta { nombre, precio, imagen } = alta;
        let made = run!(self.schema.once(), |c, _| {
            let made = sqlx::query!(
                "with nuevo as (
                     insert into tokens.tokens (id, nombre, plegado, imagen, precio)
                     select id, $1, $2, coalesce($3, id::text || '.svg'), $4
                     from (select nextval('tokens.tokens_id') as id) s returning id, imagen
                 ), contado as (
                     update tokens.cuentas c set version = version + $5::bigint, tokens = tokens + 1
                     from nuevo n where c.parte = mod(n.id, 64)
                 )
                 select id, imagen from nuevo",
                nombre,
                plegar(&nombre),
                imagen,
                written(precio.get()),
                paso()
            );
            match made.fetch_one(c).await {
                Ok(fila) => Ok(Some((read(fila.id, TokenId::new)?, fila.imagen))),
                Err(e) if is_exhausted(&e) => Ok(None),
                Err(e) => Err(e),
            }
        })?;
        let (id, imagen) = made.ok_or(Error::SinIds)?;
        Ok(Token { id, nombre: nombre.into(), imagen: imagen.into(), precio, estado: Estado::Libre })
    }

    /// Not repeatable: what somebody else changed meanwhile would be changed back.
    pub(super) async fn cambiar(&self, id: TokenId, cambio: Cambio) -> Result<Token, Error> {
        let Cambio { nombre, precio, imagen } = cambio;
        let plegado = nombre.as_deref().map(plegar);
        run!(self.schema.once(), |c, _| {
            loop {
                let changed = sqlx::query_as!(
                    Fila,
                    r#"with cambiado as (
                           update tokens.tokens
                           set nombre = coalesce($2, nombre), plegado = coalesce($3, plegado),
                               imagen = coalesce($4, imagen), precio = coalesce($5, precio)
                           where id = $1 and estado = 'libre'
                           returning id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde
                       ), contado as (
                           update tokens.cuentas c set version = version + $6::bigint
                           from cambiado t where c.parte = mod(t.id, 64)
                       )
                       select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from cambiado"#,
                    written(id.get()),
                    nombre.as_deref(),
                    plegado.as_deref(),
                    imagen.as_deref(),
                    precio.map(|p| written(p.get())),
                    paso()
                );
                if let Some(fila) = changed.fetch_optional(&mut *c).await? {
                    return fila.token().map(Ok);
                }
                let Some(token) = token(c, id).await? else { return Ok(Err(Error::TokenNoEncontrado(id))) };
                if let Err(no) = token.libre() {
                    return Ok(Err(no));
                }
                // it was let go between the two looks
            }
        })?
    }

    pub(super) async fn borrar(&self, id: TokenId) -> Result<(), Error> {
        run!(self.schema.repeatable(), |c, turn| {
            loop {
                let gone = sqlx::query!(
                    "with quitado as (
                         delete from tokens.tokens where id = $1 and estado = 'libre' returning id
                     )
                     update tokens.cuentas c set version = version + $2::bigint, tokens = tokens - 1
                     from quitado t where c.parte = mod(t.id, 64)",
                    written(id.get()),
                    paso()
                );
                if gone.execute(&mut *c).await?.rows_affected() == 1 {
                    return Ok(Ok(()));
                }
                return match token(c, id).await? {
                    None if turn.maybe_done => Ok(Ok(())),
                    None => Ok(Err(Error::TokenNoEncontrado(id))),
                    Some(token) => match token.libre() {
                        Err(no) => Ok(Err(no)),
                        // it was let go between the two looks
                        Ok(_) => continue,
                    },
                };
            }
        })?
    }

    pub(super) async fn reservar(
        &self,
        intento: Intento,
        pedido: PedidoReserva,
    ) -> Result<Hecho<Reservado>, Error> {
        run!(self.schema.repeatable(), |c, _| {
            loop {
                let held = sqlx::query_scalar!(
                    "update tokens.tokens
                     set estado = 'reservado', clave = $2, numero = $3, usuario_id = $4,
                         desde = date_trunc('milliseconds', statement_timestamp())
                     where id = $1 and estado = 'libre' returning precio",
                    written(pedido.token_id.get()),
                    intento.clave.as_str(),
                    i64::from(intento.numero),
                    written(pedido.usuario_id.get())
                );
                match held.fetch_optional(&mut *c).await {
                    Ok(Some(precio)) => {
                        let valor = Reservado { precio: read(precio, Monto::new)? };
                        return Ok(Ok(Hecho { valor, nuevo: true }));
                    }
                    Ok(None) => {}
                    // the attempt has another token
                    Err(e) if broken(&e) == Some("tokens_intento") => {}
                    Err(e) => return Err(e),
                }
                if let Some(token) = de_intento(c, &intento).await? {
                    let same = token.responde_a(&intento, pedido);
                    return Ok(same.map(|valor| Hecho { valor, nuevo: false }));
                }
                let Some(token) = token(c, pedido.token_id).await? else {
                    return Ok(Err(Error::TokenNoEncontrado(pedido.token_id)));
                };
                if let Err(no) = token.libre() {
                    return Ok(Err(no));
                }
                // it was let go between the two looks
            }
        })?
    }

    /// A look first: what the sale adds to the digest is a hash that only we can make.
    pub(super) async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        run!(self.schema.repeatable(), |c, _| {
            loop {
                let token = match de_intento(c, &intento).await? {
                    None => return Ok(Err(Error::IntentoNoEncontrado(intento.clone()))),
                    Some(token) if token.vendido() => return Ok(Ok(())),
                    Some(token) => token,
                };
                let Some((_, usuario)) = token.intento() else { continue };
                let mut venta = Resumen::default();
                venta.agregar(&intento, usuario, Some(token.id), token.precio);
                let sold = sqlx::query!(
                    "with vendido as (
                         update tokens.tokens
                         set estado = 'vendido', desde = date_trunc('milliseconds', statement_timestamp())
                         where id = $1 and estado = 'reservado' and clave = $2 and numero = $3
                           and usuario_id = $4 and precio = $5
                         returning id, precio
                     )
                     update tokens.cuentas c
                     set version = version + $6::bigint, vendidos = vendidos + 1, cuenta = cuenta + 1,
                         suma = suma + t.precio,
                         huella = mod(huella + $7::text::numeric, 340282366920938463463374607431768211456)
                     from vendido t where c.parte = mod(t.id, 64)",
                    written(token.id.get()),
                    intento.clave.as_str(),
                    i64::from(intento.numero),
                    written(usuario.get()),
                    written(token.precio.get()),
                    paso(),
                    venta.huella.to_string()
                );
                if sold.execute(&mut *c).await?.rows_affected() == 1 {
                    return Ok(Ok(()));
                }
                // it changed between the two looks
            }
        })?
    }

    pub(super) async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        run!(self.schema.repeatable(), |c, _| {
            loop {
                let free = sqlx::query!(
                    "update tokens.tokens
                     set estado = 'libre', clave = null, numero = null, usuario_id = null, desde = null
                     where clave = $1 and numero = $2 and estado = 'reservado'",
                    intento.clave.as_str(),
                    i64::from(intento.numero)
                );
                if free.execute(&mut *c).await?.rows_affected() == 1 {
                    return Ok(Ok(()));
                }
                match de_intento(c, &intento).await? {
                    None => return Ok(Ok(())),
                    Some(token) if token.vendido() => {
                        return Ok(Err(Error::IntentoConfirmado(intento.clone())));
                    }
                    // it was reserved between the two looks
                    Some(_) => {}
                }
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
        let found = run!(self.schema.repeatable(), |c, _| {
            let filas = sqlx::query_as!(
                Fila,
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where estado = 'reservado' and (desde, clave, numero) > ($1, $2, $3)
                   and (desde <= date_trunc('milliseconds', statement_timestamp()) - $4::float8 * interval '1 second'
                        or desde > statement_timestamp())
                 order by desde, clave, numero limit $5",
                desde,
                clave,
                numero,
                edad.as_seconds_f64(),
                rows(PAGE)
            );
            tries(filas.fetch_all(c).await?)
        });
        Ok(found?)
    }

    pub(super) async fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        run!(self.schema.repeatable(), |c, _| {
            let behind = match &despues {
                None => 0,
                Some(intento) => match de_intento(c, intento).await? {
                    Some(token) => written(token.id.get()),
                    None => return Ok(Err(Error::IntentoNoEncontrado(intento.clone()))),
                },
            };
            let filas = sqlx::query_as!(
                Fila,
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where estado = 'vendido' and clave is not null and id > $1 order by id limit $2",
                behind,
                rows(PAGE)
            );
            tries(filas.fetch_all(c).await?).map(Ok)
        })?
    }

    pub(super) async fn resumen(&self) -> Result<Digest, Error> {
        let digest = run!(self.schema.repeatable(), |c, _| {
            let fila = sqlx::query!(
                r#"select sum(cuenta)::bigint as "cuenta!", sum(suma)::text as "suma!",
                          mod(sum(huella), 340282366920938463463374607431768211456)::text as "huella!",
                          (select count(*) from tokens.tokens where estado = 'reservado') as "pendientes!"
                   from tokens.cuentas"#
            )
            .fetch_one(c)
            .await?;
            Ok(Digest {
                confirmados: Resumen::of_columns(fila.cuenta, &fila.suma, &fila.huella)?,
                pendientes: read(fila.pendientes, Some)?,
                ..Digest::default()
            })
        });
        Ok(digest?)
    }
}

async fn token(c: &mut PgConnection, id: TokenId) -> Result<Option<Token>, SqlError> {
    let fila = sqlx::query_as!(
        Fila,
        "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens where id = $1",
        written(id.get())
    );
    fila.fetch_optional(c).await?.map(Fila::token).transpose()
}

async fn de_intento(c: &mut PgConnection, intento: &Intento) -> Result<Option<Token>, SqlError> {
    let fila = sqlx::query_as!(
        Fila,
        "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
         where clave = $1 and numero = $2",
        intento.clave.as_str(),
        i64::from(intento.numero)
    );
    fila.fetch_optional(c).await?.map(Fila::token).transpose()
}

/// `sequence_generator_limit_exceeded`.
fn is_exhausted(e: &SqlError) -> bool {
    e.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "2200H")
}
