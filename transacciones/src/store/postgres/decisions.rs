//! The two writes that decide, and the look at what is decided, in batches (`pg::Batcher`). A clave is one row, and a
//! statement meets each row once: of the requests for one clave, the first is in the statement.

use super::Row;
use crate::domain::{Aborted, Compra, Fate, Transaccion, Word};
use crate::store::Overtaken;
use chrono::{DateTime, Utc};
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId};
use pg::Link;
use pg::{Operation, Turn, broken, read, written};
use sqlx::Error as SqlError;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Records a purchase, where its clave is free and the attempt not aborted.
pub(super) struct Committing;

/// What is to be recorded.
pub(super) struct Decision {
    pub intento: Intento,
    pub usuario_id: UsuarioId,
    pub token_id: TokenId,
    pub precio: Monto,
    pub pod: Option<Arc<str>>,
}

impl Decision {
    pub fn new(intento: Intento, compra: &Compra, precio: Monto, pod: Option<Arc<str>>) -> Self {
        Self { intento, usuario_id: compra.usuario_id, token_id: compra.token_id, precio, pod }
    }

    fn transaccion(&self, id: i64, fecha: DateTime<Utc>) -> Result<Transaccion, SqlError> {
        Ok(Transaccion {
            id: read(id, TransaccionId::new)?,
            usuario_id: self.usuario_id,
            token_id: self.token_id,
            fecha,
            precio: self.precio,
            intento: Some(self.intento.clone()),
            lugar: None,
            pod: self.pod.clone(),
        })
    }
}

/// Of some requests the first for each clave, in the order in which all processes lock the rows.
fn first<'a, R>(asked: &[&'a R], intento: impl Fn(&'a R) -> &'a Intento) -> Vec<&'a R> {
    let mut seen = HashSet::new();
    let mut first: Vec<_> =
        asked.iter().copied().filter(|&request| seen.insert(&intento(request).clave)).collect();
    first.sort_unstable_by_key(|&request| &intento(request).clave);
    first
}

impl Operation for Committing {
    type Request = Decision;
    type Answer = Result<Transaccion, Overtaken>;

    async fn run(
        c: &mut Link<'_>,
        turn: Turn,
        asked: &[&Decision],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let first = first(asked, |decision| &decision.intento);
        let mut made = match commit(c, &first).await {
            Ok(made) => made,
            // somebody has put rows in by hand, past the sequence: the next numbers may be free
            Err(e) if broken(&e) == Some("claves_id_key") => return Ok(asked.iter().map(|_| None).collect()),
            Err(e) => return Err(e),
        };
        let bought: HashSet<_> = made.keys().cloned().collect();
        // what an earlier turn did, whose answer was lost
        let words = if turn.maybe_done {
            let others =
                asked.iter().map(|d| &d.intento.clave).filter(|clave| !bought.contains(clave.as_str()));
            words(c, others).await?
        } else {
            HashMap::new()
        };
        let first: HashMap<&Clave, &Intento> = first.iter().map(|d| (&d.intento.clave, &d.intento)).collect();
        let answer = |decision: &&Decision| {
            let intento = &decision.intento;
            if first.get(&intento.clave).is_some_and(|first| std::ptr::eq(*first, intento)) {
                if let Some((id, fecha)) = made.remove(intento.clave.as_str()) {
                    return decision.transaccion(id, fecha).map(|t| Some(Ok(t)));
                }
                return Ok(Some(match words.get(&intento.clave) {
                    Some(Word::Bought(t)) if t.intento.as_ref() == Some(intento) => Ok(t.clone()),
                    _ => Err(Overtaken),
                }));
            }
            // The first one is bought; or else it was too late, and this one is as well.
            let is_lost = bought.contains(intento.clave.as_str())
                || first.get(&intento.clave).is_some_and(|first| first.numero >= intento.numero);
            Ok(is_lost.then_some(Err(Overtaken)))
        };
        asked.iter().map(answer).collect()
    }
}

/// Ids and times of what was recorded, by clave.
async fn commit(
    c: &mut Link<'_>,
    first: &[&Decision],
) -> Result<HashMap<String, (i64, DateTime<Utc>)>, SqlError> {
    let claves: Vec<_> = first.iter().map(|d| d.intento.clave.to_string()).collect();
    let usuarios: Vec<_> = first.iter().map(|d| written(d.usuario_id.get())).collect();
    let tokens: Vec<_> = first.iter().map(|d| written(d.token_id.get())).collect();
    let numeros: Vec<_> = first.iter().map(|d| i64::from(d.intento.numero)).collect();
    let precios: Vec<_> = first.iter().map(|d| written(d.precio.get())).collect();
    let pods: Vec<_> = first.iter().map(|d| d.pod.as_deref()).collect();
    let rows = sqlx::query!(
        r#"insert into transacciones.claves (clave, usuario_id, token_id, id, numero, precio, fecha, pod)
           select clave, usuario_id, token_id, nextval('transacciones.ids'), numero, precio,
                  date_trunc('milliseconds', statement_timestamp()), pod
           from unnest((select $1::text[]), (select $2::bigint[]), (select $3::bigint[]), (select $4::bigint[]),
                       (select $5::bigint[]), (select $6::text[]))
               as r (clave, usuario_id, token_id, numero, precio, pod)
           on conflict (clave) do update set
               usuario_id = excluded.usuario_id, token_id = excluded.token_id, id = excluded.id,
               numero = excluded.numero, precio = excluded.precio, fecha = excluded.fecha,
               pod = excluded.pod
           where claves.id is null and claves.abortado < excluded.numero
           returning clave, id as "id!", fecha as "fecha!""#,
        &claves,
        &usuarios,
        &tokens,
        &numeros,
        &precios,
        &pods as &[Option<&str>]
    );
    Ok(rows.map(|row| (row.clave, (row.id, row.fecha))).fetch_all(c).await?.into_iter().collect())
}

/// Records that an attempt, and all before it, will never be bought.
pub(super) struct Aborting;

/// What is to be aborted.
pub(super) struct Abort {
    pub intento: Intento,
    pub usuario_id: UsuarioId,
    pub token_id: Option<TokenId>,
}

impl Operation for Aborting {
    type Request = Abort;
    type Answer = Result<(), Overtaken>;

    async fn run(c: &mut Link<'_>, _: Turn, asked: &[&Abort]) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let first = first(asked, |abort| &abort.intento);
        let aborted = abort(c, &first).await?;
        let is_done = |intento: &Intento| {
            aborted.get(intento.clave.as_str()).is_some_and(|&numero| numero >= i64::from(intento.numero))
        };
        let others = asked.iter().map(|abort| &abort.intento).filter(|intento| !is_done(intento));
        let words = words(c, others.map(|intento| &intento.clave)).await?;
        let answer = |intento: &Intento| {
            if is_done(intento) {
                return Some(Ok(()));
            }
            let word = words.get(&intento.clave).unwrap_or(&Word::Nothing);
            match (word, word.fate(intento.numero)) {
                (Word::Bought(_), _) => Some(Err(Overtaken)),
                (_, Fate::Lost | Fate::Bought) => Some(Ok(())),
                // an earlier attempt of its clave was in the statement
                (_, Fate::Open) => None,
            }
        };
        Ok(asked.iter().map(|abort| answer(&abort.intento)).collect())
    }
}

/// The numbers that were written, by clave.
async fn abort(c: &mut Link<'_>, first: &[&Abort]) -> Result<HashMap<String, i64>, SqlError> {
    let claves: Vec<_> = first.iter().map(|a| a.intento.clave.to_string()).collect();
    let numeros: Vec<_> = first.iter().map(|a| i64::from(a.intento.numero)).collect();
    let usuarios: Vec<_> = first.iter().map(|a| written(a.usuario_id.get())).collect();
    let tokens: Vec<_> = first.iter().map(|a| a.token_id.map(|id| written(id.get()))).collect();
    // recovery knows no token from a debit: what an earlier abort knew still binds the clave
    let rows = sqlx::query!(
        "insert into transacciones.claves (clave, abortado, usuario_id, token_id)
         select clave, abortado, usuario_id, token_id
         from unnest((select $1::text[]), (select $2::bigint[]), (select $3::bigint[]), (select $4::bigint[]))
             as r (clave, abortado, usuario_id, token_id)
         on conflict (clave) do update set
             abortado = excluded.abortado, usuario_id = excluded.usuario_id,
             token_id = coalesce(excluded.token_id, claves.token_id)
         where claves.id is null and claves.abortado < excluded.abortado
         returning clave, abortado",
        &claves,
        &numeros,
        &usuarios,
        &tokens as &[Option<i64>]
    );
    Ok(rows.map(|row| (row.clave, row.abortado)).fetch_all(c).await?.into_iter().collect())
}

/// Looks at what was decided under a clave.
pub(super) struct Looking;

impl Operation for Looking {
    const READS: bool = true;
    type Request = Clave;
    type Answer = Word;

    async fn run(c: &mut Link<'_>, _: Turn, asked: &[&Clave]) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let words = words(c, asked.iter().copied()).await?;
        Ok(asked.iter().map(|&clave| Some(words.get(clave).cloned().unwrap_or(Word::Nothing))).collect())
    }
}

/// Looks at a purchase.
pub(super) struct LookingById;

impl Operation for LookingById {
    const READS: bool = true;
    type Request = TransaccionId;
    type Answer = Option<Transaccion>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&TransaccionId],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let ids: Vec<_> = asked.iter().map(|id| written(id.get())).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"select t.clave as "clave!", t.usuario_id as "usuario_id!", t.token_id as "token_id!", t.id as "id!",
                      t.numero as "numero!", t.precio as "precio!", t.fecha as "fecha!", t.pod as "pod?"
               from unnest((select $1::bigint[])) as r (id)
               cross join lateral (
                   select clave, usuario_id, token_id, id, numero, precio, fecha, pod from transacciones.claves
                   where id = r.id limit 1
               ) t"#,
            &ids
        );
        let rows = rows.try_map(Row::transaccion).fetch_all(c).await?;
        let found: HashMap<_, _> = rows.into_iter().map(|t| (t.id, t)).collect();
        Ok(asked.iter().map(|id| Some(found.get(id).cloned())).collect())
    }
}

/// What was decided under some claves; of one without a row, nothing.
async fn words<'a>(
    c: &mut Link<'_>,
    claves: impl Iterator<Item = &'a Clave>,
) -> Result<HashMap<Clave, Word>, SqlError> {
    let claves: Vec<_> = claves.map(ToString::to_string).collect();
    if claves.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select t.clave as "clave!", t.abortado as "abortado!", t.usuario_id as "usuario_id!",
                  t.token_id as "token_id?", t.id as "id?", t.numero as "numero?", t.precio as "precio?",
                  t.fecha as "fecha?", t.pod as "pod?"
           from unnest((select $1::text[])) as r (clave)
           cross join lateral (
               select clave, abortado, usuario_id, token_id, id, numero, precio, fecha, pod
               from transacciones.claves where clave = r.clave limit 1
           ) t"#,
        &claves
    );
    let words = rows.try_map(|f| {
        let clave = market::columns::clave(&f.clave)?;
        if let (Some(token_id), Some(id), Some(numero), Some(precio), Some(fecha)) =
            (f.token_id, f.id, f.numero, f.precio, f.fecha)
        {
            let usuario_id = f.usuario_id;
            let row = Row { clave: f.clave, usuario_id, token_id, id, numero, precio, fecha, pod: f.pod };
            return Ok((clave, Word::Bought(row.transaccion()?)));
        }
        let aborted = Aborted {
            clave: clave.clone(),
            numero: read(f.abortado, |n| u32::try_from(n).ok())?,
            usuario_id: read(f.usuario_id, UsuarioId::new)?,
            token_id: f.token_id.map(|id| read(id, TokenId::new)).transpose()?,
        };
        Ok((clave, Word::Aborted(aborted)))
    });
    Ok(words.fetch_all(c).await?.into_iter().collect())
}
