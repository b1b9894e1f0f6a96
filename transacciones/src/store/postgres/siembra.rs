//! The tables as a whole: filled from files, and read back.

use super::{Fila, cierre, close};
use crate::domain::Abortado;
use crate::store::Cierre;
use crate::store::json::{Change, Modelo};
use journal::Model;
use market::columns::clave;
use market::domain::{TokenId, UsuarioId};
use pg::{Tables, read, written};
use sqlx::migrate::Migrator;
use sqlx::{Error as SqlError, PgConnection};
use std::collections::HashMap;

/// Rows of one statement.
const LOTE: usize = 10_000;

impl Tables for Modelo {
    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    async fn fill(&self, c: &mut PgConnection) -> Result<(), SqlError> {
        let mut aborted: HashMap<_, _> = self.abortados().map(|a| (&a.clave, a)).collect();
        let bought: Vec<_> = (1_i64..).zip(self.lista(None, None, None)).collect();
        for some in bought.chunks(LOTE) {
            let (mut claves, mut numeros, mut abortados) = (Vec::new(), Vec::new(), Vec::new());
            for (_, t) in some {
                let of = t.intento.as_ref();
                claves.push(of.map_or_else(|| format!("#{}", t.id), |i| i.clave.to_string()));
                numeros.push(of.map_or(0, |i| i64::from(i.numero)));
                abortados.push(of.and_then(|i| aborted.remove(&i.clave)).map_or(0, |a| i64::from(a.numero)));
            }
            sqlx::query!(
                "insert into transacciones.claves
                     (clave, abortado, usuario_id, token_id, id, numero, precio, fecha, asiento)
                 select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                                      $7::bigint[], $8::timestamptz[], $9::bigint[])",
                &claves,
                &abortados,
                &some.iter().map(|(_, t)| written(t.usuario_id.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| written(t.token_id.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| written(t.id.get())).collect::<Vec<_>>(),
                &numeros,
                &some.iter().map(|(_, t)| written(t.precio.get())).collect::<Vec<_>>(),
                &some.iter().map(|(_, t)| t.fecha).collect::<Vec<_>>(),
                &some.iter().map(|(asiento, _)| *asiento).collect::<Vec<_>>()
            )
            .execute(&mut *c)
            .await?;
        }
        let aborted: Vec<_> = aborted.into_values().collect();
        for some in aborted.chunks(LOTE) {
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
        let mut total = Cierre::default();
        self.transacciones.values().for_each(|t| total.agregar(t));
        close(c, &total).await?;
        let last = self.transacciones.get_max().map_or(0, |(id, _)| written(id.get()));
        sqlx::query!("select setval('transacciones.ids', greatest($1::bigint, 1), $1 > 0)", last)
            .fetch_one(c)
            .await?;
        Ok(())
    }

    async fn read(c: &mut PgConnection) -> Result<Self, SqlError> {
        let (mut modelo, mut bought, mut behind) = (Self::default(), Vec::new(), String::new());
        loop {
            let filas = sqlx::query!(
                "select clave, abortado, usuario_id, token_id, id, numero, precio, fecha, asiento
                 from transacciones.claves where clave > $1 order by clave limit $2",
                behind,
                super::rows(LOTE)
            );
            let filas = filas.fetch_all(&mut *c).await?;
            let Some(last) = filas.last() else { break };
            behind.clone_from(&last.clave);
            for f in filas {
                if f.abortado > 0 {
                    let abortado = Abortado {
                        clave: clave(&f.clave)?,
                        numero: read(f.abortado, |n| u32::try_from(n).ok())?,
                        usuario_id: read(f.usuario_id, UsuarioId::new)?,
                        token_id: f.token_id.map(|id| read(id, TokenId::new)).transpose()?,
                    };
                    modelo.apply(&Change::Abortado(abortado));
                }
                if let (Some(token_id), Some(id), Some(numero), Some(precio), Some(fecha)) =
                    (f.token_id, f.id, f.numero, f.precio, f.fecha)
                {
                    let (clave, usuario_id) = (f.clave, f.usuario_id);
                    let fila = Fila { clave, usuario_id, token_id, id, numero, precio, fecha };
                    bought.push((f.asiento, fila.transaccion()?));
                }
            }
        }
        // what has no place yet gets one behind the others, by id, as whoever gives places does
        bought.sort_unstable_by_key(|(asiento, t)| (asiento.unwrap_or(i64::MAX), t.id));
        let (mut total, mut posted) = (Cierre::default(), 0);
        for (asiento, t) in &bought {
            let Some(asiento) = asiento else { break };
            posted += 1;
            total.agregar(t);
            if *asiento != posted {
                return Err(SqlError::Decode(format!("purchase {} is not at place {posted}", t.id).into()));
            }
        }
        if cierre(c).await? != total {
            return Err(SqlError::Decode(
                "transacciones.cierre is not the digest of what has a place".into(),
            ));
        }
        let mut lugares: Vec<_> = bought.iter().map(|(_, t)| t.id).collect();
        lugares.sort_unstable();
        for ((_, mut t), lugar) in bought.into_iter().zip(lugares) {
            t.lugar = Some(lugar).filter(|lugar| *lugar != t.id);
            modelo.apply(&Change::Transaccion(t));
        }
        Ok(modelo)
    }

    /// What was asked for under a clave is, once it is bought, what was bought.
    fn kept_by_tables(mut self) -> Self {
        let kept: Vec<_> = self
            .abortados()
            .filter_map(|a| {
                let t = self.comprado(&a.clave)?;
                let kept = Abortado { usuario_id: t.usuario_id, token_id: Some(t.token_id), ..a.clone() };
                Some(Change::Abortado(kept))
            })
            .collect();
        kept.iter().for_each(|change| self.apply(change));
        self
    }
}
