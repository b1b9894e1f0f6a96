//! In a database: each operation is one statement, or a look and one statement. Where two of them meet, the schema's
//! constraints hold them to the law. What purchases ask for goes in batches (`holds`). Why the statements are written so: `docs/SCALE.md`.

mod holds;
mod listing;
mod renew;
mod tables;
mod version;

use super::searches::Searches;
use super::{ListQuery, NewToken, TokenChange, Version, VersionedPage};
use crate::collation::{RULES, fold, sort_key};
use crate::domain::{Availability, Reserva, Token, Venta};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use holds::{Looking, Releasing, Reserving, Selling};
use market::contract::{Digest, HeldToken, Hold, PAGE, ReservaRequest};
use market::domain::{Intento, Monto, RunningDigest, TokenId, UsuarioId};
use market::participant::Recorded;
use pg::Link;
use pg::{Batcher, Schema, broken, is_exhausted, read, row_limit, run, written};
use sqlx::Error as SqlError;
use std::sync::Arc;
use version::Versions;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    schema: Schema,
    versions: Arc<Versions>,
    looking: Batcher<Looking>,
    reserving: Batcher<Reserving>,
    selling: Batcher<Selling>,
    releasing: Batcher<Releasing>,
    pub(super) searches: Searches,
}

/// A row of the catalogue.
struct Row {
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

impl Row {
    fn token(self) -> Result<Token, SqlError> {
        let attempt = match (self.clave, self.numero, self.usuario_id, self.desde) {
            (Some(clave), Some(numero), Some(usuario), Some(desde)) => {
                Some((market::columns::intento(&clave, numero)?, read(usuario, UsuarioId::new)?, desde))
            }
            _ => None,
        };
        let estado = match (self.estado.as_str(), attempt) {
            ("libre", None) => Availability::Free,
            ("reservado", Some((intento, usuario_id, desde))) => {
                Availability::Reserved(Box::new(Reserva { intento, usuario_id, desde }))
            }
            ("vendido", venta) => Availability::Sold(
                venta.map(|(intento, usuario_id, fecha)| Box::new(Venta { intento, usuario_id, fecha })),
            ),
            (estado, _) => return Err(SqlError::Decode(format!("token {} is {estado}", self.id).into())),
        };
        let (id, precio) = (read(self.id, TokenId::new)?, read(self.precio, Monto::new)?);
        Ok(Token { id, nombre: self.nombre.into(), imagen: self.imagen.into(), precio, estado })
    }
}

fn holds(rows: Vec<Row>) -> Result<Vec<Hold>, SqlError> {
    rows.into_iter().filter_map(|row| row.token().map(|token| token.as_hold()).transpose()).collect()
}

/// What a change adds to the number of the state.
fn step() -> i64 {
    // 2^62 of them, so that two that were never to be the same are not; and 2^66 changes fit the number
    rand::random_range(1..=1 << 62)
}

impl Store {
    /// It looks for rows of an older version from now on.
    pub(super) fn new(schema: Schema) -> Self {
        let store = Self {
            versions: Arc::new(Versions::new()),
            searches: Searches::of_a_database(schema.scans()),
            looking: Batcher::new(&schema),
            reserving: Batcher::new(&schema),
            selling: Batcher::new(&schema),
            releasing: Batcher::new(&schema),
            schema,
        };
        store.begin_renewing();
        store
    }

    pub(super) async fn version(&self) -> Result<Version, Error> {
        Ok(self.versions.now(&self.schema).await?)
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<VersionedPage, Error> {
        // whatever the filter is, the statement may look at every row, or count what it finds
        let is_slow = query.is_slow(self.versions.tokens());
        let _search = if is_slow { Some(self.searches.begin().await?) } else { None };
        Ok(run!(self.schema.repeatable(), |c, _| listing::list(c, &query).await)?)
    }

    pub(super) async fn token(&self, id: TokenId) -> Result<Token, Error> {
        self.looking.ask(id).await?
    }

    pub(super) async fn create(&self, new_token: NewToken) -> Result<Token, Error> {
        let NewToken { nombre, precio, imagen } = new_token;
        let made = run!(self.schema.once(), |c, _| {
            loop {
                let made = sqlx::query!(
                    "with nuevo as (
                     insert into tokens.tokens (id, nombre, plegado, imagen, precio, orden, reglas)
                     select id, $1, $2, coalesce($3, id::text || '.svg'), $4, $6, $7
                     from (select nextval('tokens.tokens_id') as id) s returning id, imagen
                 ), contado as (
                     update tokens.cuentas c set version = version + $5::bigint, tokens = tokens + 1
                     from nuevo n where c.parte = mod(n.id, 64)
                 )
                 select id, imagen from nuevo",
                    nombre,
                    fold(&nombre),
                    imagen,
                    written(precio.get()),
                    step(),
                    &*sort_key(&nombre),
                    RULES
                );
                return match made.fetch_one(&mut *c).await {
                    Ok(row) => Ok(Some((read(row.id, TokenId::new)?, row.imagen))),
                    Err(e) if is_exhausted(&e) => Ok(None),
                    // somebody has put rows in by hand, past the sequence: the next number may be free
                    Err(e) if broken(&e) == Some("tokens_pkey") => continue,
                    Err(e) => Err(e),
                };
            }
        })?;
        let (id, imagen) = made.ok_or(Error::NoIdsLeft)?;
        Ok(Token { id, nombre: nombre.into(), imagen: imagen.into(), precio, estado: Availability::Free })
    }

    /// Not repeatable: what somebody else changed meanwhile would be changed back.
    pub(super) async fn change(&self, id: TokenId, change: TokenChange) -> Result<Token, Error> {
        let TokenChange { nombre, precio, imagen } = change;
        let (folded, key) = (nombre.as_deref().map(fold), nombre.as_deref().map(sort_key));
        let rules = nombre.as_ref().map(|_| RULES);
        run!(self.schema.once(), |c, _| {
            loop {
                let changed = sqlx::query_as!(
                    Row,
                    r#"with cambiado as (
                           update tokens.tokens
                           set nombre = coalesce($2, nombre), plegado = coalesce($3, plegado),
                               imagen = coalesce($4, imagen), precio = coalesce($5, precio),
                               orden = coalesce($7, orden), reglas = coalesce($8, reglas)
                           where id = $1 and estado = 'libre'
                           returning id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde
                       ), contado as (
                           update tokens.cuentas c set version = version + $6::bigint
                           from cambiado t where c.parte = mod(t.id, 64)
                       )
                       select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from cambiado"#,
                    written(id.get()),
                    nombre.as_deref(),
                    folded.as_deref(),
                    imagen.as_deref(),
                    precio.map(|p| written(p.get())),
                    step(),
                    key.as_deref(),
                    rules
                );
                if let Some(row) = changed.fetch_optional(&mut *c).await? {
                    return row.token().map(Ok);
                }
                let Some(token) = token(c, id).await? else { return Ok(Err(Error::TokenNotFound(id))) };
                if let Err(no) = token.free() {
                    return Ok(Err(no));
                }
                // it was let go between the two looks
            }
        })?
    }

    pub(super) async fn delete(&self, id: TokenId) -> Result<(), Error> {
        run!(self.schema.repeatable(), |c, turn| {
            loop {
                let gone = sqlx::query!(
                    "with quitado as (
                         delete from tokens.tokens where id = $1 and estado = 'libre' returning id
                     )
                     update tokens.cuentas c set version = version + $2::bigint, tokens = tokens - 1
                     from quitado t where c.parte = mod(t.id, 64)",
                    written(id.get()),
                    step()
                );
                if gone.execute(&mut *c).await?.rows_affected() == 1 {
                    return Ok(Ok(()));
                }
                return match token(c, id).await? {
                    None if turn.maybe_done => Ok(Ok(())),
                    None => Ok(Err(Error::TokenNotFound(id))),
                    Some(token) => match token.free() {
                        Err(no) => Ok(Err(no)),
                        // it was let go between the two looks
                        Ok(_) => continue,
                    },
                };
            }
        })?
    }

    pub(super) async fn hold(
        &self,
        intento: Intento,
        request: ReservaRequest,
    ) -> Result<Recorded<HeldToken>, Error> {
        self.reserving.ask((intento, request)).await?
    }

    pub(super) async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        self.selling.ask(intento).await?
    }

    pub(super) async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        self.releasing.ask(intento).await?
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
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where estado = 'reservado' and (desde, clave, numero) > ($1, $2, $3)
                   and (desde <= date_trunc('milliseconds', statement_timestamp()) - $4::float8 * interval '1 second'
                        or desde > statement_timestamp())
                 order by desde, clave, numero limit $5",
                desde,
                clave,
                numero,
                age.as_seconds_f64(),
                row_limit(PAGE)
            );
            holds(rows.fetch_all(c).await?)
        });
        Ok(found?)
    }

    pub(super) async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        run!(self.schema.repeatable(), |c, _| {
            let behind = match &after {
                None => 0,
                Some(intento) => match of_intento(c, intento).await? {
                    Some(token) => written(token.id.get()),
                    None => return Ok(Err(Error::IntentoNotFound(intento.clone()))),
                },
            };
            let rows = sqlx::query_as!(
                Row,
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where estado = 'vendido' and clave is not null and id > $1 order by id limit $2",
                behind,
                row_limit(PAGE)
            );
            holds(rows.fetch_all(c).await?).map(Ok)
        })?
    }

    pub(super) async fn digest(&self) -> Result<Digest, Error> {
        let digest = run!(self.schema.repeatable(), |c, _| {
            let row = sqlx::query!(
                r#"select sum(cuenta)::bigint as "cuenta!", sum(suma)::text as "suma!",
                          mod(sum(huella), 340282366920938463463374607431768211456)::text as "huella!",
                          (select count(*) from tokens.tokens where estado = 'reservado') as "pendientes!",
                          -- of one moment with the sums, so in one statement
                          (select coalesce(json_agg(json_build_object(
                                      'intento', t.clave || '#' || t.numero::text, 'usuarioId', t.usuario_id,
                                      'tokenId', t.id, 'monto', t.precio, 'desde', t.desde)), '[]')::text
                           from (select clave, numero, usuario_id, id, precio, desde from tokens.tokens
                                 where estado = 'reservado' limit $1) t) as "en_vuelo!"
                   from tokens.cuentas"#,
                row_limit(PAGE)
            )
            .fetch_one(c)
            .await?;
            Ok(Digest {
                confirmados: RunningDigest::of_columns(row.cuenta, &row.suma, &row.huella)?,
                pendientes: read(row.pendientes, Some)?,
                in_flight: serde_json::from_str(&row.en_vuelo).map_err(|e| SqlError::Decode(e.into()))?,
                oldest: None,
                ..Digest::default()
            })
        });
        Ok(digest?)
    }
}

async fn token(c: &mut Link<'_>, id: TokenId) -> Result<Option<Token>, SqlError> {
    let row = sqlx::query_as!(
        Row,
        "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens where id = $1",
        written(id.get())
    );
    row.fetch_optional(c).await?.map(Row::token).transpose()
}

async fn of_intento(c: &mut Link<'_>, intento: &Intento) -> Result<Option<Token>, SqlError> {
    let row = sqlx::query_as!(
        Row,
        "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
         where clave = $1 and numero = $2",
        intento.clave.as_str(),
        i64::from(intento.numero)
    );
    row.fetch_optional(c).await?.map(Row::token).transpose()
}
