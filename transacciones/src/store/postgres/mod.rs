//! In a database: each of the two writes that decide is one statement on the one row of its clave.
//!
//! The order of commits is a column, `asiento`, which no purchase waits for: ids come from a sequence before their commits,
//! so a reader who asks for what is behind an id would skip what commits late. Whoever reads the order first gives places
//! to all that have none (`asentar`), one process after another; a place is given to what is committed only, so what
//! commits later gets a later one. Why so: `docs/SCALE.md`.

mod siembra;

use super::{Cierre, Overtaken};
use crate::domain::{Abortado, Compra, Palabra, Transaccion};
use chrono::{DateTime, Utc};
use journal::StoreError;
use market::domain::{Clave, Intento, Monto, Resumen, TokenId, TransaccionId, UsuarioId};
use pg::{Schema, read, run, written};
use sqlx::{Connection, Error as SqlError, PgConnection};
use std::time::Duration;
use tokio::sync::watch;

/// Purchases that get their places at once.
const LOTE: usize = 500;
/// Between two looks for purchases without a place: how late an event can be.
const ASENTAR: Duration = Duration::from_millis(200);

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    schema: Schema,
    changed: watch::Sender<u64>,
}

/// A bought row.
struct Fila {
    clave: String,
    usuario_id: i64,
    token_id: i64,
    id: i64,
    numero: i64,
    precio: i64,
    fecha: DateTime<Utc>,
}

impl Fila {
    fn transaccion(self) -> Result<Transaccion, SqlError> {
        Ok(Transaccion {
            id: read(self.id, TransaccionId::new)?,
            usuario_id: read(self.usuario_id, UsuarioId::new)?,
            token_id: read(self.token_id, TokenId::new)?,
            fecha: self.fecha,
            precio: read(self.precio, Monto::new)?,
            intento: match self.numero {
                0 => None,
                numero => Some(market::columns::intento(&self.clave, numero)?),
            },
            lugar: None,
        })
    }
}

/// The columns of a [`Fila`] of rows that are bought; sqlx takes them for nullable.
macro_rules! filas {
    ($rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Fila,
            r#"select clave, usuario_id, token_id as "token_id!", id as "id!", numero as "numero!", precio as "precio!",
                      fecha as "fecha!"
               from transacciones.claves "# + $rest
            $(, $argument)*
        )
        .try_map(Fila::transaccion)
    };
}

fn rows(limit: usize) -> i64 {
    written(limit as u64)
}

impl Store {
    /// Gives places behind the requests, from when the tables are there.
    pub(super) fn new(schema: Schema) -> Self {
        let store = Self { schema, changed: watch::Sender::new(0) };
        let behind = store.clone();
        store.schema.every(ASENTAR, move || {
            let store = behind.clone();
            async move {
                if let Err(e) = store.tell().await {
                    log::warn!("transacciones: no places are given: {e}");
                }
            }
        });
        store
    }

    /// Gives places, and tells of them and of those that other processes gave.
    async fn tell(&self) -> Result<(), StoreError> {
        self.asentar().await?;
        if self.changed.receiver_count() > 0 {
            let asientos = run!(self.schema.repeatable(), |c, _| {
                sqlx::query_scalar!("select asientos from transacciones.cierre").fetch_one(c).await
            })?;
            let now = asientos.unsigned_abs();
            self.changed.send_if_modified(|before| std::mem::replace(before, now) != now);
        }
        Ok(())
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) async fn commit(
        &self,
        intento: Intento,
        compra: &Compra,
        precio: Monto,
    ) -> Result<Result<Transaccion, Overtaken>, StoreError> {
        run!(self.schema.repeatable(), |c, turn| {
            let made = sqlx::query!(
                r#"insert into transacciones.claves (clave, usuario_id, token_id, id, numero, precio, fecha)
                   values ($1, $2, $3, nextval('transacciones.ids'), $4, $5,
                           date_trunc('milliseconds', statement_timestamp()))
                   on conflict (clave) do update set
                       usuario_id = excluded.usuario_id, token_id = excluded.token_id, id = excluded.id,
                       numero = excluded.numero, precio = excluded.precio, fecha = excluded.fecha
                   where claves.id is null and claves.abortado < excluded.numero
                   returning id as "id!", fecha as "fecha!""#,
                intento.clave.as_str(),
                written(compra.usuario_id.get()),
                written(compra.token_id.get()),
                i64::from(intento.numero),
                written(precio.get())
            );
            if let Some(fila) = made.fetch_optional(&mut *c).await? {
                Ok(Ok(Transaccion {
                    id: read(fila.id, TransaccionId::new)?,
                    usuario_id: compra.usuario_id,
                    token_id: compra.token_id,
                    fecha: fila.fecha,
                    precio,
                    intento: Some(intento.clone()),
                    lugar: None,
                }))
            } else if turn.maybe_done
                && let Palabra::Comprado(t) = palabra(c, &intento.clave).await?
                && t.intento.as_ref() == Some(&intento)
            {
                // what an earlier turn did, whose answer was lost
                Ok(Ok(t))
            } else {
                Ok(Err(Overtaken))
            }
        })
    }

    pub(super) async fn abort(
        &self,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        run!(self.schema.repeatable(), |c, _| {
            // recovery knows no token from a debit: what an earlier abort knew still binds the clave
            let made = sqlx::query!(
                "insert into transacciones.claves (clave, abortado, usuario_id, token_id) values ($1, $2, $3, $4)
                 on conflict (clave) do update set
                     abortado = excluded.abortado, usuario_id = excluded.usuario_id,
                     token_id = coalesce(excluded.token_id, claves.token_id)
                 where claves.id is null and claves.abortado < excluded.abortado",
                intento.clave.as_str(),
                i64::from(intento.numero),
                written(usuario_id.get()),
                token_id.map(|id| written(id.get()))
            );
            if made.execute(&mut *c).await?.rows_affected() == 1 {
                Ok(Ok(()))
            } else {
                // neither bought nor aborted is ever undone
                Ok(match palabra(c, &intento.clave).await? {
                    Palabra::Comprado(_) => Err(Overtaken),
                    Palabra::Abortado(_) | Palabra::Nada => Ok(()),
                })
            }
        })
    }

    pub(super) async fn palabra(&self, clave: &Clave) -> Result<Palabra, StoreError> {
        run!(self.schema.repeatable(), |c, _| palabra(c, clave).await)
    }

    pub(super) async fn bajo(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        let claves: Vec<_> = claves.iter().map(ToString::to_string).collect();
        run!(self.schema.repeatable(), |c, _| {
            filas!("where clave = any($1) and id is not null", &claves).fetch_all(c).await
        })
    }

    pub(super) async fn transaccion(&self, id: TransaccionId) -> Result<Option<Transaccion>, StoreError> {
        run!(self.schema.repeatable(), |c, _| {
            filas!("where id = $1", written(id.get())).fetch_optional(c).await
        })
    }

    pub(super) async fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<(Vec<Transaccion>, usize), StoreError> {
        self.asentar().await?;
        let (de, token) = (de.map(|id| written(id.get())), token.map(|id| written(id.get())));
        let (found, total) = run!(self.schema.repeatable(), |c, _| {
            let behind = place(c, despues).await?;
            Ok(match (de, token) {
                // a token is sold once: its list is the shorter one
                (_, Some(token)) => {
                    let found = filas!(
                        "where token_id = $1 and ($2::bigint is null or usuario_id = $2) and asiento > $3
                         order by asiento limit $4",
                        token,
                        de,
                        behind,
                        rows(limite)
                    );
                    let total = sqlx::query_scalar!(
                        r#"select count(*) as "n!" from transacciones.claves
                           where token_id = $1 and ($2::bigint is null or usuario_id = $2) and asiento is not null"#,
                        token,
                        de
                    );
                    (found.fetch_all(&mut *c).await?, total.fetch_one(c).await?)
                }
                (Some(de), None) => {
                    let found = filas!(
                        "where usuario_id = $1 and asiento > $2 order by asiento limit $3",
                        de,
                        behind,
                        rows(limite)
                    );
                    let total = sqlx::query_scalar!(
                        r#"select count(*) as "n!" from transacciones.claves
                           where usuario_id = $1 and asiento is not null"#,
                        de
                    );
                    (found.fetch_all(&mut *c).await?, total.fetch_one(c).await?)
                }
                (None, None) => {
                    let found = siguientes(c, behind, limite).await?;
                    let total = sqlx::query_scalar!("select asientos from transacciones.cierre");
                    (found, total.fetch_one(c).await?)
                }
            })
        })?;
        Ok((found, usize::try_from(total).unwrap_or_default()))
    }

    pub(super) async fn siguientes(
        &self,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        self.asentar().await?;
        run!(self.schema.repeatable(), |c, _| {
            let behind = place(c, despues).await?;
            siguientes(c, behind, limite).await
        })
    }

    pub(super) async fn ultima(&self) -> Result<Option<TransaccionId>, StoreError> {
        self.asentar().await?;
        run!(self.schema.repeatable(), |c, _| {
            let last = filas!("where asiento is not null order by asiento desc limit 1");
            Ok(last.fetch_optional(c).await?.map(|t| t.id))
        })
    }

    pub(super) async fn cierre(&self) -> Result<Cierre, StoreError> {
        self.asentar().await?;
        run!(self.schema.repeatable(), |c, _| cierre(c).await)
    }

    async fn asentar(&self) -> Result<(), StoreError> {
        while run!(self.schema.repeatable(), |c, _| asentar(c).await)? == LOTE {}
        Ok(())
    }
}

async fn palabra(c: &mut PgConnection, clave: &Clave) -> Result<Palabra, SqlError> {
    let fila = sqlx::query!(
        "select abortado, usuario_id, token_id, id, numero, precio, fecha from transacciones.claves where clave = $1",
        clave.as_str()
    );
    let Some(f) = fila.fetch_optional(c).await? else { return Ok(Palabra::Nada) };
    if let (Some(token_id), Some(id), Some(numero), Some(precio), Some(fecha)) =
        (f.token_id, f.id, f.numero, f.precio, f.fecha)
    {
        let clave = clave.to_string();
        let fila = Fila { clave, usuario_id: f.usuario_id, token_id, id, numero, precio, fecha };
        return fila.transaccion().map(Palabra::Comprado);
    }
    Ok(Palabra::Abortado(Abortado {
        clave: clave.clone(),
        numero: read(f.abortado, |n| u32::try_from(n).ok())?,
        usuario_id: read(f.usuario_id, UsuarioId::new)?,
        token_id: f.token_id.map(|id| read(id, TokenId::new)).transpose()?,
    }))
}

/// The place of a purchase; of an id that is none, that of the one before it.
async fn place(c: &mut PgConnection, id: Option<TransaccionId>) -> Result<i64, SqlError> {
    let Some(id) = id else { return Ok(0) };
    sqlx::query_scalar!(
        r#"select coalesce(
               (select asiento from transacciones.claves where id = $1),
               (select asiento from transacciones.claves where id < $1 and asiento is not null order by id desc limit 1),
               0
           ) as "place!""#,
        written(id.get())
    )
    .fetch_one(c)
    .await
}

async fn siguientes(c: &mut PgConnection, behind: i64, limite: usize) -> Result<Vec<Transaccion>, SqlError> {
    filas!("where asiento > $1 order by asiento limit $2", behind, rows(limite)).fetch_all(c).await
}

async fn cierre(c: &mut PgConnection) -> Result<Cierre, SqlError> {
    let fila = sqlx::query!(
        r#"select asientos, cuenta, suma::text as "suma!", cargos::text as "cargos!", ventas::text as "ventas!"
           from transacciones.cierre"#
    );
    let fila = fila.fetch_one(c).await?;
    Ok(Cierre {
        transacciones: read(fila.asientos, Some)?,
        cargos: Resumen::of_columns(fila.cuenta, &fila.suma, &fila.cargos)?,
        ventas: Resumen::of_columns(fila.cuenta, &fila.suma, &fila.ventas)?,
    })
}

/// Gives places to purchases that have none, in the order of their ids, and counts them: how many. Whoever comes second
/// waits for the first one's commit, and then sees what is left.
async fn asentar(c: &mut PgConnection) -> Result<usize, SqlError> {
    let some = sqlx::query_scalar!(
        r#"select exists (select 1 from transacciones.claves where id is not null and asiento is null) as "some!""#
    );
    if !some.fetch_one(&mut *c).await? {
        return Ok(0);
    }
    let mut tx = c.begin().await?;
    sqlx::query!("select una from transacciones.cierre for update").fetch_one(&mut *tx).await?;
    let mut total = cierre(&mut tx).await?;
    let nuevas = filas!("where id is not null and asiento is null order by id limit $1", rows(LOTE));
    let nuevas = nuevas.fetch_all(&mut *tx).await?;
    let (mut ids, mut asientos) = (Vec::new(), Vec::new());
    for t in &nuevas {
        total.agregar(t);
        ids.push(written(t.id.get()));
        asientos.push(written(total.transacciones));
    }
    sqlx::query!(
        "update transacciones.claves c set asiento = n.asiento
         from unnest($1::bigint[], $2::bigint[]) as n (id, asiento) where c.id = n.id",
        &ids,
        &asientos
    )
    .execute(&mut *tx)
    .await?;
    close(&mut tx, &total).await?;
    tx.commit().await?;
    Ok(nuevas.len())
}

async fn close(c: &mut PgConnection, total: &Cierre) -> Result<(), SqlError> {
    sqlx::query!(
        "update transacciones.cierre set asientos = $1, cuenta = $2, suma = $3::text::numeric,
                cargos = $4::text::numeric, ventas = $5::text::numeric",
        written(total.transacciones),
        written(total.cargos.cuenta),
        total.cargos.suma.to_string(),
        total.cargos.huella.to_string(),
        total.ventas.huella.to_string()
    )
    .execute(c)
    .await
    .map(drop)
}
