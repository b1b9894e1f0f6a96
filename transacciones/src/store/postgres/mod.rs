//! In a database: each of the two writes that decide is a write of the one row of its clave (`decisions`).
//!
//! The order of commits is a column, `asiento`, which no purchase waits for. Ids come from a sequence before their commits, so
//! a reader who asks for what comes after an id would skip what commits late. Whoever reads the order first gives places to
//! all purchases that have none (`places`), one process after another. A place is given only to what is committed, so what
//! commits later gets a later place. Why so: `docs/SCALE.md`.

/// The columns of a [`Row`] of rows that are bought; sqlx takes them for nullable.
macro_rules! rows {
    ($rest:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"select clave, usuario_id, token_id as "token_id!", id as "id!", numero as "numero!", precio as "precio!",
                      fecha as "fecha!", pod
               from transacciones.claves "# + $rest
            $(, $argument)*
        )
        .try_map(Row::transaccion)
    };
}

mod decisions;
mod eras;
mod places;
mod tables;

use super::{Closing, Overtaken, Standing};
use crate::domain::{Compra, Transaccion, Word};
use chrono::{DateTime, Utc};
use decisions::{Abort, Aborting, Committing, Decision, Looking, LookingById};
use eras::Known;
use journal::StoreError;
use market::domain::{Clave, Intento, Monto, RunningDigest, TokenId, TransaccionId, UsuarioId};
use pg::Link;
use pg::{Batcher, Schema, read, row_limit, run, written};
use places::Places;
use sqlx::Error as SqlError;
use std::sync::Arc;
use tokio::sync::watch;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    schema: Schema,
    looking: Batcher<Looking>,
    looking_by_id: Batcher<LookingById>,
    committing: Batcher<Committing>,
    aborting: Batcher<Aborting>,
    changed: watch::Sender<u64>,
    pod: Option<Arc<str>>,
    era: watch::Sender<Known>,
}

/// A bought row.
struct Row {
    clave: String,
    usuario_id: i64,
    token_id: i64,
    id: i64,
    numero: i64,
    precio: i64,
    fecha: DateTime<Utc>,
    pod: Option<String>,
}

impl Row {
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
            pod: self.pod.map(Into::into),
        })
    }
}

impl Store {
    /// It gives places from now on.
    pub(super) fn new(schema: Schema) -> Self {
        let store = Self {
            looking: Batcher::new(&schema),
            looking_by_id: Batcher::new(&schema),
            committing: Batcher::new(&schema),
            aborting: Batcher::new(&schema),
            schema,
            changed: watch::Sender::new(0),
            pod: None,
            era: watch::Sender::new(None),
        };
        store.begin_giving_places();
        store.begin_reading_eras();
        store
    }

    pub(super) fn sign(&mut self, pod: Arc<str>) {
        self.pod = Some(pod);
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
        if !self.era().await?.admits(intento.numero) {
            return Ok(Err(Overtaken));
        }
        self.committing.ask(Decision::new(intento, compra, precio, self.pod.clone())).await
    }

    pub(super) async fn abort(
        &self,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        self.aborting.ask(Abort { intento, usuario_id, token_id }).await
    }

    pub(super) async fn word(&self, clave: &Clave) -> Result<Word, StoreError> {
        self.looking.ask(clave.clone()).await
    }

    pub(super) async fn under(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        let claves: Vec<_> = claves.iter().map(ToString::to_string).collect();
        run!(self.schema.repeatable(), |c, _| {
            rows!("where clave = any($1) and id is not null", &claves).fetch_all(c).await
        })
    }

    pub(super) async fn transaccion(&self, id: TransaccionId) -> Result<Option<Transaccion>, StoreError> {
        self.looking_by_id.ask(id).await
    }

    pub(super) async fn list(
        &self,
        usuario: Option<UsuarioId>,
        token: Option<TokenId>,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<(Vec<Transaccion>, usize), StoreError> {
        self.schema.post::<Places>().await?;
        // the total of a user's purchases counts them; a token has one purchase, and all have the last place
        let _turn = match (usuario, token) {
            (Some(_), None) => Some(self.schema.scan().await?),
            _ => None,
        };
        let (usuario, token) = (usuario.map(|id| written(id.get())), token.map(|id| written(id.get())));
        let (found, total) = run!(self.schema.repeatable(), |c, _| {
            let behind = place(c, after).await?;
            Ok(match (usuario, token) {
                // a token is sold once: its list is the shorter one
                (_, Some(token)) => {
                    let found = rows!(
                        "where token_id = $1 and ($2::bigint is null or usuario_id = $2) and asiento > $3
                         order by asiento limit $4",
                        token,
                        usuario,
                        behind,
                        row_limit(limit)
                    );
                    let total = sqlx::query_scalar!(
                        r#"select count(*) as "n!" from transacciones.claves
                           where token_id = $1 and ($2::bigint is null or usuario_id = $2) and asiento is not null"#,
                        token,
                        usuario
                    );
                    (found.fetch_all(&mut *c).await?, total.fetch_one(c).await?)
                }
                (Some(usuario), None) => {
                    let found = rows!(
                        "where usuario_id = $1 and asiento > $2 order by asiento limit $3",
                        usuario,
                        behind,
                        row_limit(limit)
                    );
                    let total = sqlx::query_scalar!(
                        r#"select count(*) as "n!" from transacciones.claves
                           where usuario_id = $1 and asiento is not null"#,
                        usuario
                    );
                    (found.fetch_all(&mut *c).await?, total.fetch_one(c).await?)
                }
                (None, None) => {
                    let found = following(c, behind, limit).await?;
                    let total = sqlx::query_scalar!("select asientos from transacciones.cierre");
                    (found, total.fetch_one(c).await?)
                }
            })
        })?;
        Ok((found, usize::try_from(total).unwrap_or_default()))
    }

    pub(super) async fn following(
        &self,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        self.schema.post::<Places>().await?;
        run!(self.schema.repeatable(), |c, _| {
            let behind = place(c, after).await?;
            following(c, behind, limit).await
        })
    }

    pub(super) async fn last(&self) -> Result<Option<TransaccionId>, StoreError> {
        self.schema.post::<Places>().await?;
        run!(self.schema.repeatable(), |c, _| {
            let last = rows!("where asiento is not null order by asiento desc limit 1");
            Ok(last.fetch_optional(c).await?.map(|t| t.id))
        })
    }

    pub(super) async fn closing(&self) -> Result<Closing, StoreError> {
        self.schema.post::<Places>().await?;
        run!(self.schema.repeatable(), |c, _| closing(c).await)
    }

    pub(super) async fn standing(&self) -> Result<Standing, StoreError> {
        self.schema.post::<Places>().await?;
        run!(self.schema.repeatable(), |c, _| {
            let closing = closing(c).await?;
            // a place is given once and for ever, so the two reads need no common snapshot
            let before = written(closing.transacciones.saturating_sub(1));
            let last = following(c, before, 1).await?.first().map(|t| t.id);
            Ok(Standing { closing, last })
        })
    }
}

/// The place of a purchase; of an id that is none, that of the one before it.
async fn place(c: &mut Link<'_>, id: Option<TransaccionId>) -> Result<i64, SqlError> {
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

async fn following(c: &mut Link<'_>, behind: i64, limit: usize) -> Result<Vec<Transaccion>, SqlError> {
    rows!("where asiento > $1 order by asiento limit $2", behind, row_limit(limit)).fetch_all(c).await
}

async fn closing(c: &mut Link<'_>) -> Result<Closing, SqlError> {
    let row = sqlx::query!(
        r#"select asientos, cuenta, suma::text as "suma!", cargos::text as "cargos!", ventas::text as "ventas!"
           from transacciones.cierre"#
    );
    let row = row.fetch_one(c).await?;
    Ok(Closing {
        transacciones: read(row.asientos, Some)?,
        cargos: RunningDigest::of_columns(row.cuenta, &row.suma, &row.cargos)?,
        ventas: RunningDigest::of_columns(row.cuenta, &row.suma, &row.ventas)?,
    })
}
