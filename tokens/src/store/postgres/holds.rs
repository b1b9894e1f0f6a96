//! What a purchase asks of a token, in batches (`pg::Batcher`): one statement that does what meets nothing, and looks that
//! answer the others. Requests that meet in a batch (at one token, or under one attempt) are told apart here: the first of
//! them is in the statement, and the looks come after it.

use super::{Row, step};
use crate::domain::Token;
use crate::error::Error;
use market::columns::{lock_order, of_intentos};
use market::contract::{HeldToken, ReservaRequest};
use market::domain::{Intento, Monto, RunningDigest, TokenId};
use market::participant::Recorded;
use pg::Link;
use pg::{Operation, Turn, broken, read, written};
use sqlx::Error as SqlError;
use std::collections::{HashMap, HashSet};

/// How many rows `tokens.cuentas` has. Only their sums say anything.
const PARTS: i64 = 64;

/// Reserves a token for an attempt.
pub(super) struct Reserving;

impl Operation for Reserving {
    type Request = (Intento, ReservaRequest);
    type Answer = Result<Recorded<HeldToken>, Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Self::Request],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let (mut tokens, mut intentos) = (HashSet::new(), HashSet::new());
        let first = asked.iter().copied().filter(|&(intento, request)| {
            let is_first_under_it = intentos.insert(intento);
            tokens.insert(request.token_id) && is_first_under_it
        });
        let mut first: Vec<_> = first.collect();
        // the order in which all processes lock what is free
        first.sort_unstable_by_key(|(_, request)| request.token_id);
        let held: HashMap<i64, i64> = match reserve(c, &first).await {
            Ok(rows) => rows.into_iter().collect(),
            // The attempt has another token since the statement began. A batch learns it from its parts.
            Err(e) if asked.len() == 1 && broken(&e) == Some("tokens_intento") => HashMap::new(),
            Err(e) => return Err(e),
        };
        let first: HashSet<&Intento> = first.iter().map(|(intento, _)| intento).collect();
        let mut answers = Vec::with_capacity(asked.len());
        let mut others = Vec::new();
        let mut given = HashSet::new();
        for (n, (intento, request)) in asked.iter().enumerate() {
            let precio = held.get(&written(request.token_id.get())).copied();
            match precio.filter(|_| first.contains(intento) && given.insert(request.token_id)) {
                Some(precio) => {
                    let value = HeldToken { precio: read(precio, Monto::new)? };
                    answers.push(Some(Ok(Recorded { value, is_new: true })));
                }
                None => {
                    answers.push(None);
                    others.push(n);
                }
            }
        }
        let of_intento = tokens_of(c, others.iter().map(|&n| &asked[n].0)).await?;
        let unknown = others.iter().map(|&n| asked[n]).filter(|(i, _)| !of_intento.contains_key(i));
        let by_id = tokens_by_id(c, unknown.map(|(_, request)| request.token_id)).await?;
        // One that goes again keeps its place before those that meet it.
        let (mut tokens, mut intentos) = (HashSet::new(), HashSet::new());
        for n in others {
            let (intento, request) = asked[n];
            answers[n] = match (of_intento.get(intento), by_id.get(&request.token_id)) {
                _ if tokens.contains(&request.token_id) || intentos.contains(intento) => None,
                (Some(token), _) => {
                    let same = token.answers(intento, *request);
                    Some(same.map(|value| Recorded { value, is_new: false }))
                }
                (None, None) => Some(Err(Error::TokenNotFound(request.token_id))),
                // one that is free was let go between the statements
                (None, Some(token)) => token.free().err().map(Err),
            };
            if answers[n].is_none() {
                tokens.insert(request.token_id);
                intentos.insert(intento);
            }
        }
        Ok(answers)
    }
}

/// Ids and prices of the tokens that were free and are reserved.
async fn reserve(
    c: &mut Link<'_>,
    first: &[&(Intento, ReservaRequest)],
) -> Result<Vec<(i64, i64)>, SqlError> {
    let (claves, numeros) = of_intentos(first.iter().map(|(intento, _)| intento));
    let tokens: Vec<_> = first.iter().map(|(_, request)| written(request.token_id.get())).collect();
    let usuarios: Vec<_> = first.iter().map(|(_, request)| written(request.usuario_id.get())).collect();
    let rows = sqlx::query!(
        "with libre as (
             select r.id, r.clave, r.numero, r.usuario_id
             from unnest((select $1::bigint[]), (select $2::text[]), (select $3::bigint[]), (select $4::bigint[]))
                 as r (id, clave, numero, usuario_id)
             cross join lateral (select estado from tokens.tokens where id = r.id for update) t
             where t.estado = 'libre'
               and (select count(*) from tokens.tokens where clave = r.clave and numero = r.numero) = 0
         )
         update tokens.tokens t
         set estado = 'reservado', clave = l.clave, numero = l.numero, usuario_id = l.usuario_id,
             desde = date_trunc('milliseconds', statement_timestamp())
         from libre l where t.id = l.id
         returning t.id, t.precio",
        &tokens,
        &claves,
        &numeros,
        &usuarios
    );
    rows.map(|row| (row.id, row.precio)).fetch_all(c).await
}

/// Sells what an attempt has reserved.
pub(super) struct Selling;

impl Operation for Selling {
    type Request = Intento;
    type Answer = Result<(), Error>;

    /// A look first: what a sale adds to the digest is a hash that only we can make.
    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Intento],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let found = tokens_of(c, asked.iter().copied()).await?;
        let mut reserved: Vec<_> = found.values().filter(|token| !token.is_sold()).collect();
        // the order in which all processes lock what attempts have
        reserved.sort_unstable_by(|a, b| a.intento().cmp(&b.intento()));
        let sold = if reserved.is_empty() { HashSet::new() } else { sell(c, &reserved).await? };
        let answer = |intento: &Intento| match found.get(intento) {
            None => Some(Err(Error::IntentoNotFound(intento.clone()))),
            Some(token) => {
                // or else it changed between the statements
                (token.is_sold() || sold.contains(&written(token.id.get()))).then_some(Ok(()))
            }
        };
        Ok(asked.iter().map(|intento| answer(intento)).collect())
    }
}

/// Ids of the tokens that were reserved as they are given here, and are sold.
async fn sell(c: &mut Link<'_>, reserved: &[&Token]) -> Result<HashSet<i64>, SqlError> {
    let (mut ids, mut precios, mut usuarios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut claves, mut numeros, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for token in reserved {
        let Some((intento, usuario)) = token.intento() else { continue };
        let mut venta = RunningDigest::default();
        venta.add(intento, usuario, Some(token.id), token.precio);
        ids.push(written(token.id.get()));
        precios.push(written(token.precio.get()));
        usuarios.push(written(usuario.get()));
        claves.push(intento.clave.to_string());
        numeros.push(i64::from(intento.numero));
        hashes.push(venta.huella.to_string());
    }
    let rows = sqlx::query_scalar!(
        r#"with apartado as (
               select r.id, r.precio, r.huella::numeric as huella
               from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::bigint[]), (select $4::text[]),
                           (select $5::bigint[]), (select $6::text[]))
                   as r (id, precio, usuario_id, clave, numero, huella)
               cross join lateral (
                   select clave, estado, usuario_id, precio from tokens.tokens
                   where id = r.id and clave = r.clave and numero = r.numero limit 1 for update
               ) t
               where t.clave = r.clave and t.estado = 'reservado' and t.usuario_id = r.usuario_id
                 and t.precio = r.precio
           ), vendido as (
               update tokens.tokens t
               set estado = 'vendido', desde = date_trunc('milliseconds', statement_timestamp())
               from apartado a where t.id = a.id
               returning t.id, a.precio, a.huella
           ), contado as (
               update tokens.cuentas c
               set version = c.version + $7::bigint, vendidos = c.vendidos + v.n, cuenta = c.cuenta + v.n,
                   suma = c.suma + v.suma,
                   huella = mod(c.huella + v.huella, 340282366920938463463374607431768211456)
               from (select count(*) as n, sum(precio) as suma, sum(huella) as huella from vendido) v
               where c.parte = $8 and v.n > 0
           )
           select id as "id!" from vendido"#,
        &ids,
        &precios,
        &usuarios,
        &claves,
        &numeros,
        &hashes,
        step(),
        rand::random_range(0..PARTS)
    );
    Ok(rows.fetch_all(c).await?.into_iter().collect())
}

/// Lets go of what an aborted attempt has reserved.
pub(super) struct Releasing;

impl Operation for Releasing {
    type Request = Intento;
    type Answer = Result<(), Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Intento],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let (claves, numeros) = of_intentos(lock_order(asked));
        let rows = sqlx::query!(
            r#"with apartado as (
                   select t.id, r.clave, r.numero from unnest((select $1::text[]), (select $2::bigint[])) as r (clave, numero)
                   cross join lateral (
                       select id, clave, estado from tokens.tokens
                       where clave = r.clave and numero = r.numero limit 1 for update
                   ) t
                   where t.clave = r.clave and t.estado = 'reservado'
               )
               update tokens.tokens t
               set estado = 'libre', clave = null, numero = null, usuario_id = null, desde = null
               from apartado a where t.id = a.id
               returning a.clave as "clave!", a.numero as "numero!""#,
            &claves,
            &numeros
        );
        let free: HashSet<_> =
            rows.map(|row| (row.clave, row.numero)).fetch_all(&mut *c).await?.into_iter().collect();
        let is_free = |i: &Intento| free.contains(&(i.clave.to_string(), i64::from(i.numero)));
        let others = tokens_of(c, asked.iter().copied().filter(|i| !is_free(i))).await?;
        let answer = |intento: &Intento| match others.get(intento) {
            None => Some(Ok(())),
            Some(token) if token.is_sold() => Some(Err(Error::IntentoConfirmed(intento.clone()))),
            // it was reserved between the statements
            Some(_) => None,
        };
        Ok(asked.iter().map(|intento| answer(intento)).collect())
    }
}

/// Looks at a token.
pub(super) struct Looking;

impl Operation for Looking {
    const READS: bool = true;
    type Request = TokenId;
    type Answer = Result<Token, Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&TokenId],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let found = tokens_by_id(c, asked.iter().map(|&&id| id)).await?;
        let answer = |id: TokenId| found.get(&id).cloned().ok_or(Error::TokenNotFound(id));
        Ok(asked.iter().map(|&&id| Some(answer(id))).collect())
    }
}

/// The tokens that some attempts hold or bought.
async fn tokens_of<'a>(
    c: &mut Link<'_>,
    intentos: impl Iterator<Item = &'a Intento>,
) -> Result<HashMap<Intento, Token>, SqlError> {
    let (claves, numeros) = of_intentos(intentos);
    if claves.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select t.id as "id!", t.nombre as "nombre!", t.imagen as "imagen!", t.precio as "precio!",
                  t.estado as "estado!", t.clave as "clave?", t.numero as "numero?", t.usuario_id as "usuario_id?",
                  t.desde as "desde?"
           from unnest((select $1::text[]), (select $2::bigint[])) as r (clave, numero)
           cross join lateral (
               select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
               where clave = r.clave and numero = r.numero limit 1
           ) t"#,
        &claves,
        &numeros
    );
    let mut found = HashMap::new();
    for row in rows.fetch_all(c).await? {
        let token = row.token()?;
        if let Some((intento, _)) = token.intento() {
            found.insert(intento.clone(), token);
        }
    }
    Ok(found)
}

async fn tokens_by_id(
    c: &mut Link<'_>,
    ids: impl Iterator<Item = TokenId>,
) -> Result<HashMap<TokenId, Token>, SqlError> {
    let ids: Vec<_> = ids.map(|id| written(id.get())).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select t.id as "id!", t.nombre as "nombre!", t.imagen as "imagen!", t.precio as "precio!",
                  t.estado as "estado!", t.clave as "clave?", t.numero as "numero?", t.usuario_id as "usuario_id?",
                  t.desde as "desde?"
           from unnest((select $1::bigint[])) as r (id)
           cross join lateral (
               select id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde from tokens.tokens
               where id = r.id limit 1
           ) t"#,
        &ids
    );
    let rows = rows.fetch_all(c).await?;
    rows.into_iter().map(|row| row.token().map(|token| (token.id, token))).collect()
}
