//! The tables as a whole: filled from files, and read back.

use super::places::close;
use super::{Row, closing, eras};
use crate::domain::Aborted;
use crate::store::Closing;
use crate::store::state::{Change, State};
use journal::Model;
use market::columns::clave;
use market::domain::{TokenId, UsuarioId};
use pg::Link;
use pg::{Tables, read, row_limit, written};
use sqlx::Error as SqlError;
use sqlx::migrate::Migrator;
use std::collections::HashMap;

/// Rows of one statement.
const BATCH: usize = 10_000;

impl Tables for State {
    const USES: &'static [(&'static str, &'static str)] = &[
        ("claves", "select insert update delete"),
        ("cierre", "select update"),
        ("epoca", "select insert update"),
    ];

    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    async fn fill(&self, c: &mut Link<'_>) -> Result<(), SqlError> {
        let mut aborted: HashMap<_, _> = self.aborted().map(|a| (&a.clave, a)).collect();
        let bought: Vec<_> = (1_i64..).zip(self.list(None, None, None)).collect();
        for some in bought.chunks(BATCH) {
            let (mut claves, mut numbers, mut aborted_to) = (Vec::new(), Vec::new(), Vec::new());
            for (_, t) in some {
                let of = t.intento.as_ref();
                claves.push(of.map_or_else(|| format!("#{}", t.id), |i| i.clave.to_string()));
                numbers.push(of.map_or(0, |i| i64::from(i.numero)));
                aborted_to.push(of.and_then(|i| aborted.remove(&i.clave)).map_or(0, |a| i64::from(a.numero)));
            }
            sqlx::query!(
                "insert into transacciones.claves
                     (clave, abortado, usuario_id, token_id, id, numero, precio, fecha, asiento, pod)
                 select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                                      $7::bigint[], $8::timestamptz[], $9::bigint[], $10::text[])",
                &claves,
                &aborted_to,
                &some.iter().map(|(_, t)| written(t.usuario_id.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| written(t.token_id.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| written(t.id.get())).collect::<Vec<_>>(),
                &numbers,
                &some.iter().map(|(_, t)| written(t.precio.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| t.fecha).collect::<Vec<_>>(),
                &some.iter().map(|(place_given, _)| *place_given).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| t.pod.as_deref().map(str::to_owned)).collect::<Vec<_>>()
                    as &[Option<String>]
            )
            .execute(&mut *c)
            .await?;
        }
        let aborted: Vec<_> = aborted.into_values().collect();
        for some in aborted.chunks(BATCH) {
            sqlx::query!(
                "insert into transacciones.claves (clave, abortado, usuario_id, token_id)
                 select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])",
                &some.iter().map(|a| a.clave.to_string()).collect::<Vec<_>>(),
                &some.iter().map(|a| i64::from(a.numero)).collect::<Vec<_>>(),
                &some.iter().map(|a| written(a.usuario_id.get())).collect::<Vec<_>>(),
                &some.iter().map(|a| a.token_id.map(|id| written(id.get()))).collect::<Vec<_>>()
                    as &[Option<i64>]
            )
            .execute(&mut *c)
            .await?;
        }
        if let Some(era) = self.era_record() {
            eras::put(c, era).await?;
        }
        let mut total = Closing::default();
        self.transacciones.values().for_each(|t| total.add(t));
        close(c, &total).await?;
        let last = self.transacciones.get_max().map_or(0, |(id, _)| written(id.get()));
        sqlx::query!("select setval('transacciones.ids', greatest($1::bigint, 1), $1 > 0)", last)
            .fetch_one(c)
            .await?;
        Ok(())
    }

    async fn read(c: &mut Link<'_>) -> Result<Self, SqlError> {
        let (mut state, mut bought, mut behind) = (Self::default(), Vec::new(), String::new());
        if let Some(era) = eras::record(&mut *c).await? {
            state.apply(&Change::Era(era));
        }
        loop {
            let rows = sqlx::query!(
                "select clave, abortado, usuario_id, token_id, id, numero, precio, fecha, asiento, pod
                 from transacciones.claves where clave > $1 order by clave limit $2",
                behind,
                row_limit(BATCH)
            );
            let rows = rows.fetch_all(&mut *c).await?;
            let Some(last) = rows.last() else { break };
            behind.clone_from(&last.clave);
            for f in rows {
                if f.abortado > 0 {
                    let aborted = Aborted {
                        clave: clave(&f.clave)?,
                        numero: read(f.abortado, |n| u32::try_from(n).ok())?,
                        usuario_id: read(f.usuario_id, UsuarioId::new)?,
                        token_id: f.token_id.map(|id| read(id, TokenId::new)).transpose()?,
                    };
                    state.apply(&Change::Aborted(aborted));
                }
                if let (Some(token_id), Some(id), Some(numero), Some(precio), Some(fecha)) =
                    (f.token_id, f.id, f.numero, f.precio, f.fecha)
                {
                    let (clave, usuario_id, pod) = (f.clave, f.usuario_id, f.pod);
                    let row = Row { clave, usuario_id, token_id, id, numero, precio, fecha, pod };
                    bought.push((f.asiento, row.transaccion()?));
                }
            }
        }
        // A purchase without a place gets one after the others, by id, as `places` does it.
        bought.sort_unstable_by_key(|(place_given, t)| (place_given.unwrap_or(i64::MAX), t.id));
        let (mut total, mut posted) = (Closing::default(), 0);
        for (place_given, t) in &bought {
            let Some(place_given) = place_given else { break };
            posted += 1;
            total.add(t);
            if *place_given != posted {
                return Err(SqlError::Decode(format!("purchase {} is not at place {posted}", t.id).into()));
            }
        }
        if closing(c).await? != total {
            return Err(SqlError::Decode(
                "transacciones.cierre is not the digest of what has a place".into(),
            ));
        }
        let mut places: Vec<_> = bought.iter().map(|(_, t)| t.id).collect();
        places.sort_unstable();
        for ((_, mut t), lugar) in bought.into_iter().zip(places) {
            t.lugar = Some(lugar).filter(|lugar| *lugar != t.id);
            state.apply(&Change::Transaccion(t));
        }
        Ok(state)
    }

    /// What was asked for under a clave is, once it is bought, what was bought.
    fn kept_by_tables(mut self) -> Self {
        let kept: Vec<_> = self
            .aborted()
            .filter_map(|a| {
                let t = self.bought(&a.clave)?;
                let kept = Aborted { usuario_id: t.usuario_id, token_id: Some(t.token_id), ..a.clone() };
                Some(Change::Aborted(kept))
            })
            .collect();
        kept.iter().for_each(|change| self.apply(change));
        self
    }
}
