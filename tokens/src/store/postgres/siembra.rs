//! The tables as a whole: filled from files, and read back.

use super::{Fila, paso};
use crate::domain::{Estado, Token, plegar};
use crate::store::json::{Change, Modelo};
use journal::Model;
use market::domain::{MAX_ENTERO, Resumen, TokenId};
use pg::{Tables, read, written};
use sqlx::migrate::Migrator;
use sqlx::{Error as SqlError, PgConnection};
use std::collections::BTreeMap;

/// Rows of one statement.
const LOTE: usize = 10_000;

/// A part of `tokens.cuentas`.
#[derive(Default)]
struct Cuenta {
    tokens: i64,
    vendidos: i64,
    ventas: Resumen,
}

impl Cuenta {
    fn contar(&mut self, token: &Token) {
        self.tokens += 1;
        if let Estado::Vendido(venta) = &token.estado {
            self.vendidos += 1;
            if let Some(v) = venta {
                self.ventas.agregar(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
        }
    }
}

impl Tables for Modelo {
    fn migrations() -> Migrator {
        sqlx::migrate!()
    }

    async fn fill(&self, c: &mut PgConnection) -> Result<(), SqlError> {
        let tokens: Vec<_> = self.todos().collect();
        for some in tokens.chunks(LOTE) {
            insertar(some, c).await?;
        }
        // each of the parts, also those without a token: two databases that were never the same have not one number
        let mut cuentas: BTreeMap<i64, Cuenta> = (0..64).map(|parte| (parte, Cuenta::default())).collect();
        for token in &tokens {
            cuentas.entry(written(token.id.get()) % 64).or_default().contar(token);
        }
        let (partes, cuentas): (Vec<_>, Vec<_>) = cuentas.into_iter().unzip();
        sqlx::query!(
            "update tokens.cuentas c
             set version = p.version, tokens = p.tokens, vendidos = p.vendidos, cuenta = p.cuenta,
                 suma = p.suma::numeric, huella = p.huella::numeric
             from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
                  as p (parte, version, tokens, vendidos, cuenta, suma, huella)
             where c.parte = p.parte",
            &partes,
            &partes.iter().map(|_| paso()).collect::<Vec<_>>(),
            &cuentas.iter().map(|c| c.tokens).collect::<Vec<_>>(),
            &cuentas.iter().map(|c| c.vendidos).collect::<Vec<_>>(),
            &cuentas.iter().map(|c| written(c.ventas.cuenta)).collect::<Vec<_>>(),
            &cuentas.iter().map(|c| c.ventas.suma.to_string()).collect::<Vec<_>>(),
            &cuentas.iter().map(|c| c.ventas.huella.to_string()).collect::<Vec<_>>()
        )
        .execute(&mut *c)
        .await?;
        let last = self.siguiente().map_or(MAX_ENTERO, |id| id.get() - 1);
        sqlx::query!(
            "select setval('tokens.tokens_id', greatest($1::bigint, 1), $1 > 0) as token",
            written(last)
        )
        .fetch_one(c)
        .await?;
        Ok(())
    }

    async fn read(c: &mut PgConnection) -> Result<Self, SqlError> {
        let (mut modelo, mut behind) = (Self::default(), 0);
        loop {
            let filas = sqlx::query_as!(
                Fila,
                "select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
                 where id > $1 order by id limit $2",
                behind,
                super::rows(LOTE)
            );
            let filas = filas.fetch_all(&mut *c).await?;
            let Some(last) = filas.last() else { break };
            behind = last.id;
            for fila in filas {
                modelo.apply(&Change::Token(fila.token()?));
            }
        }
        let cuentas = sqlx::query!(
            r#"select sum(tokens)::bigint as "tokens!", sum(vendidos)::bigint as "vendidos!",
                      sum(cuenta)::bigint as "cuenta!", sum(suma)::text as "suma!",
                      mod(sum(huella), 340282366920938463463374607431768211456)::text as "huella!"
               from tokens.cuentas"#
        );
        let cuentas = cuentas.fetch_one(&mut *c).await?;
        let ventas = Resumen::of_columns(cuentas.cuenta, &cuentas.suma, &cuentas.huella)?;
        let counted = (read(cuentas.tokens, Some)?, read(cuentas.vendidos, Some)?, ventas);
        let vendidos = modelo.todos().filter(|t| t.vendido()).count() as u64;
        if counted != (modelo.cuantos() as u64, vendidos, modelo.resumen().confirmados) {
            return Err(SqlError::Decode("tokens.cuentas does not say what is in tokens.tokens".into()));
        }
        let last = sqlx::query!("select last_value, is_called from tokens.tokens_id").fetch_one(c).await?;
        let given = if last.is_called { Some(read(last.last_value, TokenId::new)?) } else { None };
        if let Some(ultimo) = given.max(modelo.todos().last().map(|t| t.id)) {
            modelo.apply(&Change::contador(ultimo));
        }
        Ok(modelo)
    }
}

async fn insertar(some: &[&Token], c: &mut PgConnection) -> Result<(), SqlError> {
    let attempts: Vec<_> = some
        .iter()
        .map(|t| match &t.estado {
            Estado::Reservado(r) => Some((&r.intento, r.usuario_id, r.desde)),
            Estado::Vendido(Some(v)) => Some((&v.intento, v.usuario_id, v.fecha)),
            Estado::Libre | Estado::Vendido(None) => None,
        })
        .collect();
    let estado = |t: &&Token| match t.estado {
        Estado::Libre => "libre".to_owned(),
        Estado::Reservado(_) => "reservado".to_owned(),
        Estado::Vendido(_) => "vendido".to_owned(),
    };
    sqlx::query!(
        "insert into tokens.tokens (id, nombre, plegado, imagen, precio, estado, clave, numero, usuario_id, desde)
         select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                              $8::bigint[], $9::bigint[], $10::timestamptz[])",
        &some.iter().map(|t| written(t.id.get())).collect::<Vec<_>>(),
        &some.iter().map(|t| t.nombre.to_string()).collect::<Vec<_>>(),
        &some.iter().map(|t| plegar(&t.nombre)).collect::<Vec<_>>(),
        &some.iter().map(|t| t.imagen.to_string()).collect::<Vec<_>>(),
        &some.iter().map(|t| written(t.precio.get())).collect::<Vec<_>>(),
        &some.iter().map(estado).collect::<Vec<_>>(),
        &attempts.iter().map(|a| a.map(|(i, ..)| i.clave.to_string())).collect::<Vec<_>>() as &[Option<String>],
        &attempts.iter().map(|a| a.map(|(i, ..)| i64::from(i.numero))).collect::<Vec<_>>() as &[Option<i64>],
        &attempts.iter().map(|a| a.map(|(_, u, _)| written(u.get()))).collect::<Vec<_>>() as &[Option<i64>],
        &attempts.iter().map(|a| a.map(|(.., d)| d)).collect::<Vec<_>>() as &[Option<chrono::DateTime<chrono::Utc>>]
    )
    .execute(c)
    .await?;
    Ok(())
}
