//! The tables as a whole: filled from files, and read back.

use super::{Row, renew, step};
use crate::collation::{RULES, fold, sort_key};
use crate::domain::{Availability, Token};
use crate::store::state::{Change, State};
use journal::Model;
use market::domain::{MAX_INTEGER, RunningDigest, TokenId};
use pg::Link;
use pg::{Tables, read, row_limit, written};
use sqlx::Error as SqlError;
use sqlx::migrate::Migrator;
use std::collections::BTreeMap;

/// Rows of one statement.
const BATCH: usize = 10_000;

/// A part of `tokens.cuentas`.
#[derive(Default)]
struct PartCounts {
    tokens: i64,
    vendidos: i64,
    ventas: RunningDigest,
}

impl PartCounts {
    fn tally(&mut self, token: &Token) {
        self.tokens += 1;
        if let Availability::Sold(venta) = &token.estado {
            self.vendidos += 1;
            if let Some(v) = venta {
                self.ventas.add(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
        }
    }
}

impl Tables for State {
    const USES: &'static [(&'static str, &'static str)] =
        &[("tokens", "select insert update delete"), ("cuentas", "select update")];

    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    async fn fill(&self, c: &mut Link<'_>) -> Result<(), SqlError> {
        let tokens: Vec<_> = self.all().collect();
        for some in tokens.chunks(BATCH) {
            insert(some, c).await?;
        }
        // Every part gets a number, also one without a token: two databases that were never the same must not have the same
        // number.
        let mut counts: BTreeMap<i64, PartCounts> =
            (0..64).map(|pattern| (pattern, PartCounts::default())).collect();
        for token in &tokens {
            counts.entry(written(token.id.get()) % 64).or_default().tally(token);
        }
        let (parts, counts): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        sqlx::query!(
            "update tokens.cuentas c
             set version = p.version, tokens = p.tokens, vendidos = p.vendidos, cuenta = p.cuenta,
                 suma = p.suma::numeric, huella = p.huella::numeric
             from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
                  as p (parte, version, tokens, vendidos, cuenta, suma, huella)
             where c.parte = p.parte",
            &parts,
            &parts.iter().map(|_| step()).collect::<Vec<_>>(),
            &counts.iter().map(|c| c.tokens).collect::<Vec<_>>(),
            &counts.iter().map(|c| c.vendidos).collect::<Vec<_>>(),
            &counts.iter().map(|c| written(c.ventas.cuenta)).collect::<Vec<_>>(),
            &counts.iter().map(|c| c.ventas.suma.to_string()).collect::<Vec<_>>(),
            &counts.iter().map(|c| c.ventas.huella.to_string()).collect::<Vec<_>>()
        )
        .execute(&mut *c)
        .await?;
        let last = self.next_id().map_or(MAX_INTEGER, |id| id.get() - 1);
        sqlx::query!(
            "select setval('tokens.tokens_id', greatest($1::bigint, 1), $1 > 0) as token",
            written(last)
        )
        .fetch_one(c)
        .await?;
        Ok(())
    }

    async fn renew(c: &mut Link<'_>) -> Result<(), SqlError> {
        renew::renew(c).await
    }

    async fn read(c: &mut Link<'_>) -> Result<Self, SqlError> {
        let (mut state, mut behind) = (Self::default(), 0);
        loop {
            let rows = sqlx::query_as!(
                Row,
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where id > $1 order by id limit $2",
                behind,
                row_limit(BATCH)
            );
            let rows = rows.fetch_all(&mut *c).await?;
            let Some(last) = rows.last() else { break };
            behind = last.id;
            for row in rows {
                state.apply(&Change::Token(row.token()?));
            }
        }
        let counts = sqlx::query!(
            r#"select sum(tokens)::bigint as "tokens!", sum(vendidos)::bigint as "vendidos!",
                      sum(cuenta)::bigint as "cuenta!", sum(suma)::text as "suma!",
                      mod(sum(huella), 340282366920938463463374607431768211456)::text as "huella!"
               from tokens.cuentas"#
        );
        let counts = counts.fetch_one(&mut *c).await?;
        let ventas = RunningDigest::of_columns(counts.cuenta, &counts.suma, &counts.huella)?;
        let counted = (read(counts.tokens, Some)?, read(counts.vendidos, Some)?, ventas);
        let vendidos = state.all().filter(|t| t.is_sold()).count() as u64;
        if counted != (state.token_count() as u64, vendidos, state.digest().confirmados) {
            return Err(SqlError::Decode("tokens.cuentas does not say what is in tokens.tokens".into()));
        }
        let last = sqlx::query!("select last_value, is_called from tokens.tokens_id").fetch_one(c).await?;
        let given = if last.is_called { Some(read(last.last_value, TokenId::new)?) } else { None };
        if let Some(ultimo) = given.max(state.all().last().map(|t| t.id)) {
            state.apply(&Change::counter(ultimo));
        }
        Ok(state)
    }
}

async fn insert(some: &[&Token], c: &mut Link<'_>) -> Result<(), SqlError> {
    let attempts: Vec<_> = some
        .iter()
        .map(|t| match &t.estado {
            Availability::Reserved(r) => Some((&r.intento, r.usuario_id, r.desde)),
            Availability::Sold(Some(v)) => Some((&v.intento, v.usuario_id, v.fecha)),
            Availability::Free | Availability::Sold(None) => None,
        })
        .collect();
    let estado = |t: &&Token| match t.estado {
        Availability::Free => "libre".to_owned(),
        Availability::Reserved(_) => "reservado".to_owned(),
        Availability::Sold(_) => "vendido".to_owned(),
    };
    sqlx::query!(
        "insert into tokens.tokens (id, nombre, plegado, imagen, precio, estado, clave, numero, usuario_id, desde, orden, reglas)
         select n.*, $12 from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                              $8::bigint[], $9::bigint[], $10::timestamptz[], $11::bytea[]) n",
        &some.iter().map(|t| written(t.id.get())).collect::<Vec<_>>(),
        &some.iter().map(|t| t.nombre.to_string()).collect::<Vec<_>>(),
        &some.iter().map(|t| fold(&t.nombre)).collect::<Vec<_>>(),
        &some.iter().map(|t| t.imagen.to_string()).collect::<Vec<_>>(),
        &some.iter().map(|t| written(t.precio.get())).collect::<Vec<_>>(),
        &some.iter().map(estado).collect::<Vec<_>>(),
        &attempts.iter().map(|a| a.map(|(i, ..)| i.clave.to_string())).collect::<Vec<_>>() as &[Option<String>],
        &attempts.iter().map(|a| a.map(|(i, ..)| i64::from(i.numero))).collect::<Vec<_>>() as &[Option<i64>],
        &attempts.iter().map(|a| a.map(|(_, u, _)| written(u.get()))).collect::<Vec<_>>() as &[Option<i64>],
        &attempts.iter().map(|a| a.map(|(.., d)| d)).collect::<Vec<_>>() as &[Option<chrono::DateTime<chrono::Utc>>],
        &some.iter().map(|t| sort_key(&t.nombre).to_vec()).collect::<Vec<_>>(),
        RULES
    )
    .execute(c)
    .await?;
    Ok(())
}
