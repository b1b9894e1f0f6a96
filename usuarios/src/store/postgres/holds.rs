//! What a purchase asks of a balance, in batches (`pg::Batcher`): one statement that does what can be done, and looks that
//! answer the others.

use super::Row;
use crate::domain::{Movimiento, MovimientoKind, Usuario};
use crate::error::Error;
use market::columns::{lock_order, of_intentos};
use market::contract::CargoRequest;
use market::domain::{Intento, Monto, UsuarioId};
use pg::Link;
use pg::{Operation, Turn, broken, read, written};
use sqlx::Error as SqlError;
use std::collections::{HashMap, HashSet};

/// Debits a balance for an attempt.
pub(super) struct Charging;

impl Operation for Charging {
    type Request = (Intento, CargoRequest);
    /// Whether it is new.
    type Answer = Result<bool, Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Self::Request],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let first = first(asked);
        let made = match charge(c, &first).await {
            Ok(made) => made,
            // somebody has put rows in by hand, past the sequence: the next numbers may be free
            Err(e) if super::is_taken(&e) => return Ok(asked.iter().map(|_| None).collect()),
            Err(e) => return Err(e),
        };
        let mut answers = Vec::with_capacity(asked.len());
        let mut others = Vec::new();
        let mut in_statement = first.into_iter().peekable();
        for (n, request) in asked.iter().enumerate() {
            let intento = &request.0;
            let is_first = in_statement.next_if(|first| std::ptr::eq(*first, *request)).is_some();
            if is_first && made.contains(&(intento.clave.to_string(), i64::from(intento.numero))) {
                answers.push(Some(Ok(true)));
            } else {
                answers.push(None);
                others.push(n);
            }
        }
        if others.is_empty() {
            return Ok(answers);
        }
        let cargos = cargos(c, others.iter().map(|&n| &asked[n].0)).await?;
        let usuarios = usuarios(c, others.iter().map(|&n| asked[n].1.usuario_id)).await?;
        // One that goes again keeps its place before those that meet it.
        let (mut owners, mut intentos) = (HashSet::new(), HashSet::new());
        for n in others {
            let (intento, CargoRequest { usuario_id, monto, .. }) = asked[n];
            answers[n] = match (cargos.get(intento), usuarios.get(usuario_id)) {
                _ if owners.contains(usuario_id) || intentos.contains(intento) => None,
                (Some(cargo), _) => Some(cargo.answers(*usuario_id, *monto, intento).map(|()| false)),
                (None, None) => Some(Err(Error::UsuarioNotFound(*usuario_id))),
                // where there is enough after all, others stood before it, or the balance changed between the statements
                (None, Some(usuario)) => usuario.saldo_minus(*monto).err().map(Err),
            };
            if answers[n].is_none() {
                owners.insert(usuario_id);
                intentos.insert(intento);
            }
        }
        Ok(answers)
    }
}

/// The requests that can be in one statement, in their order: of those under one attempt, the first; and of one balance,
/// none that comes after one that is left out.
fn first<'a>(asked: &[&'a (Intento, CargoRequest)]) -> Vec<&'a (Intento, CargoRequest)> {
    let (mut intentos, mut left_out) = (HashSet::new(), HashSet::new());
    let is_first = |&(intento, request): &&'a (Intento, CargoRequest)| {
        let is_first = intentos.insert(intento) && !left_out.contains(&request.usuario_id);
        if !is_first {
            left_out.insert(request.usuario_id);
        }
        is_first
    };
    asked.iter().copied().filter(is_first).collect()
}

/// The attempts whose debits were made. Of a balance, those are made in the order in which they are asked for that are
/// covered together with all before them. So none of them has what an earlier one would have had.
async fn charge(
    c: &mut Link<'_>,
    asked: &[&(Intento, CargoRequest)],
) -> Result<HashSet<(String, i64)>, SqlError> {
    let (claves, numeros) = of_intentos(asked.iter().map(|(intento, _)| intento));
    let usuarios: Vec<_> = asked.iter().map(|(_, request)| written(request.usuario_id.get())).collect();
    let montos: Vec<_> = asked.iter().map(|(_, request)| written(request.monto.get())).collect();
    let rows = sqlx::query!(
        r#"with pedido as (
               select r.clave, r.numero, r.usuario_id, r.monto, r.n,
                      (select count(*) from usuarios.movimientos
                       where tipo = 'cargo' and clave = r.clave and numero = r.numero) as hechos
               from unnest((select $1::text[]), (select $2::bigint[]), (select $3::bigint[]), (select $4::bigint[]))
                   with ordinality as r (clave, numero, usuario_id, monto, n)
           ), abierto as (
               select u.id, t.saldo from (select distinct usuario_id as id from pedido where hechos = 0 order by 1) u
               cross join lateral (select saldo from usuarios.usuarios where id = u.id for update) t
           ), cubierto as (
               select p.clave, p.numero, p.usuario_id, p.monto, a.saldo,
                      sum(p.monto) over (partition by p.usuario_id order by p.n) as hasta
               from pedido p join abierto a on a.id = p.usuario_id where p.hechos = 0
           ), cargado as (
               insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado)
               select usuario_id, nextval('usuarios.movimientos_id'), 'cargo', - monto,
                      date_trunc('milliseconds', statement_timestamp()), clave, numero, false
               from cubierto where hasta <= saldo order by clave, numero
               on conflict (clave, numero) where tipo = 'cargo' do nothing
               returning usuario_id, efecto, clave, numero
           ), cobrado as (
               update usuarios.usuarios u set saldo = u.saldo + s.efecto
               from (select usuario_id, sum(efecto)::bigint as efecto from cargado group by usuario_id) s
               where u.id = s.usuario_id
           )
           select clave as "clave!", numero as "numero!" from cargado"#,
        &claves,
        &numeros,
        &usuarios,
        &montos
    );
    Ok(rows.map(|row| (row.clave, row.numero)).fetch_all(c).await?.into_iter().collect())
}

/// Settles the debit of an attempt.
pub(super) struct Confirming;

impl Operation for Confirming {
    type Request = Intento;
    type Answer = Result<(), Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Intento],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let (claves, numeros) = of_intentos(lock_order(asked));
        let rows = sqlx::query!(
            r#"with abierto as (
                   select t.usuario_id, t.id, r.clave, r.numero
                   from unnest((select $1::text[]), (select $2::bigint[])) as r (clave, numero)
                   cross join lateral (
                       select usuario_id, id, clave, confirmado from usuarios.movimientos
                       where tipo = 'cargo' and clave = r.clave and numero = r.numero limit 1 for update
                   ) t
                   where t.clave = r.clave and not t.confirmado
               )
               update usuarios.movimientos m set confirmado = true
               from abierto a where m.usuario_id = a.usuario_id and m.id = a.id
               returning a.clave as "clave!", a.numero as "numero!""#,
            &claves,
            &numeros
        );
        let done: HashSet<_> =
            rows.map(|row| (row.clave, row.numero)).fetch_all(&mut *c).await?.into_iter().collect();
        let is_done = |i: &Intento| done.contains(&(i.clave.to_string(), i64::from(i.numero)));
        let others = cargos(c, asked.iter().copied().filter(|i| !is_done(i))).await?;
        let answer = |i: &Intento| match others.get(i).map(|cargo| &cargo.tipo) {
            _ if is_done(i) => Some(Ok(())),
            Some(MovimientoKind::Cargo { confirmado: true, .. }) => Some(Ok(())),
            // it was made between the statements
            Some(_) => None,
            None => Some(Err(Error::IntentoNotFound(i.clone()))),
        };
        Ok(asked.iter().map(|intento| answer(intento)).collect())
    }
}

/// Takes the debit of an aborted attempt back.
pub(super) struct Refunding;

impl Operation for Refunding {
    type Request = Intento;
    type Answer = Result<(), Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&Intento],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let (refunded, is_full) = match refund(c, &lock_order(asked)).await {
            Ok(refunded) => (refunded, false),
            // a batch learns from its parts whose balance it is
            Err(e) if asked.len() == 1 && broken(&e) == Some("usuarios_saldo") => (HashSet::new(), true),
            Err(e) => return Err(e),
        };
        let is_done = |i: &Intento| refunded.contains(&(i.clave.to_string(), i64::from(i.numero)));
        let others = cargos(c, asked.iter().copied().filter(|i| !is_done(i))).await?;
        let owners = if is_full {
            usuarios(c, others.values().map(|cargo| cargo.usuario_id)).await?
        } else {
            HashMap::new()
        };
        let answer = |i: &Intento| match others.get(i) {
            None => Some(Ok(())),
            Some(Movimiento { tipo: MovimientoKind::Cargo { confirmado: true, .. }, .. }) => {
                Some(Err(Error::IntentoConfirmed(i.clone())))
            }
            // or else it changed between the statements
            Some(cargo) => {
                let owner = owners.get(&cargo.usuario_id);
                owner.and_then(|usuario| usuario.saldo_plus(cargo.monto).err()).map(Err)
            }
        };
        Ok(asked.iter().map(|intento| answer(intento)).collect())
    }
}

/// The attempts whose debits were pending, and are gone. It locks balances before lines, as a charge does.
async fn refund(c: &mut Link<'_>, intentos: &[&Intento]) -> Result<HashSet<(String, i64)>, SqlError> {
    let (claves, numeros) = of_intentos(intentos.iter().copied());
    let rows = sqlx::query!(
        r#"with pendiente as (
               select t.usuario_id, t.id, r.clave, r.numero, r.n
               from unnest((select $1::text[]), (select $2::bigint[])) with ordinality as r (clave, numero, n)
               cross join lateral (
                   select usuario_id, id, clave, confirmado from usuarios.movimientos
                   where tipo = 'cargo' and clave = r.clave and numero = r.numero limit 1
               ) t
               where t.clave = r.clave and not t.confirmado
           ), abierto as (
               select u.id from (select distinct usuario_id as id from pendiente order by 1) u
               cross join lateral (select 1 from usuarios.usuarios where id = u.id for update) t
           ), quitado as (
               delete from usuarios.movimientos m
               using (select p.* from pendiente p join abierto a on a.id = p.usuario_id order by n) p
               where m.usuario_id = p.usuario_id and m.id = p.id and not m.confirmado
               returning m.usuario_id, m.efecto, p.clave, p.numero
           ), devuelto as (
               update usuarios.usuarios u set saldo = u.saldo - s.efecto
               from (select usuario_id, sum(efecto)::bigint as efecto from quitado group by usuario_id) s
               where u.id = s.usuario_id
           )
           select clave as "clave!", numero as "numero!" from quitado"#,
        &claves,
        &numeros
    );
    Ok(rows.map(|row| (row.clave, row.numero)).fetch_all(c).await?.into_iter().collect())
}

/// Looks at a user.
pub(super) struct Looking;

impl Operation for Looking {
    const READS: bool = true;
    type Request = UsuarioId;
    type Answer = Result<Usuario, Error>;

    async fn run(
        c: &mut Link<'_>,
        _: Turn,
        asked: &[&UsuarioId],
    ) -> Result<Vec<Option<Self::Answer>>, SqlError> {
        let found = usuarios(c, asked.iter().map(|&&id| id)).await?;
        let answer = |id: UsuarioId| found.get(&id).cloned().ok_or(Error::UsuarioNotFound(id));
        Ok(asked.iter().map(|&&id| Some(answer(id))).collect())
    }
}

async fn usuarios(
    c: &mut Link<'_>,
    ids: impl Iterator<Item = UsuarioId>,
) -> Result<HashMap<UsuarioId, Usuario>, SqlError> {
    let ids: Vec<_> = ids.map(|id| written(id.get())).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select t.id as "id!", t.nombre as "nombre!", t.saldo as "saldo!" from unnest((select $1::bigint[])) as r (id)
           cross join lateral (select id, nombre, saldo from usuarios.usuarios where id = r.id limit 1) t"#,
        &ids
    );
    let found = rows.try_map(|row| {
        let id = read(row.id, UsuarioId::new)?;
        Ok((id, Usuario { id, nombre: row.nombre, saldo: read(row.saldo, Monto::new)? }))
    });
    Ok(found.fetch_all(c).await?.into_iter().collect())
}

/// The debits under some attempts.
async fn cargos<'a>(
    c: &mut Link<'_>,
    intentos: impl Iterator<Item = &'a Intento>,
) -> Result<HashMap<Intento, Movimiento>, SqlError> {
    let (claves, numeros) = of_intentos(intentos);
    if claves.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select t.usuario_id as "usuario_id!", t.id as "id!", t.tipo as "tipo!", t.efecto as "efecto!",
                  t.fecha as "fecha!", t.clave as "clave?", t.numero as "numero?", t.confirmado as "confirmado!"
           from unnest((select $1::text[]), (select $2::bigint[])) as r (clave, numero)
           cross join lateral (
               select usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado from usuarios.movimientos
               where tipo = 'cargo' and clave = r.clave and numero = r.numero limit 1
           ) t"#,
        &claves,
        &numeros
    );
    let mut found = HashMap::new();
    for row in rows.fetch_all(c).await? {
        let cargo = row.movimiento()?;
        if let MovimientoKind::Cargo { intento, .. } = &cargo.tipo {
            found.insert(intento.clone(), cargo);
        }
    }
    Ok(found)
}
