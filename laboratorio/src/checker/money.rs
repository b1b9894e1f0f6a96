//! Money: `money`, `ledger`, `negative`, `conserved`, and `kept` and `invented` for abonos.

use super::Verdict;
use crate::history::{History, Op, Outcome, Request};
use crate::shown::Final;
use crate::t;
use crate::words::{Lang, credits, lang, time};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An abono's key, as the clients know it.
struct Abono<'a> {
    usuario: u64,
    monto: u64,
    requests: Vec<&'a Request>,
}

impl Abono<'_> {
    fn outcome(&self) -> Outcome {
        let has = |outcome| self.requests.iter().any(|p| p.outcome() == outcome);
        match () {
            () if has(Outcome::Done) => Outcome::Done,
            () if has(Outcome::Open) => Outcome::Open,
            () => Outcome::Refused,
        }
    }
}

pub(super) fn check(h: &History, f: &Final, v: &mut Verdict) {
    let abonos = abonos(h);
    balances(h, f, &abonos, v);
    if let Some(disco) = &f.disco {
        let mut seen: HashSet<&str> = HashSet::new();
        for m in disco.movimientos.iter().filter(|m| m.tipo == "abono") {
            let clave = m.clave.as_deref().unwrap_or_default();
            if !seen.insert(clave) {
                v.add("money", t!("el abono {clave} se sumó dos veces", "abono {clave} was added twice"));
            }
            match abonos.get(clave) {
                Some(a) if (a.usuario, Ok(m.monto)) != (m.usuario_id, i64::try_from(a.monto)) => {
                    v.add(
                        "kept",
                        t!(
                            "el abono {clave} no es lo que se pidió: {m}",
                            "abono {clave} is not what was asked for: {m}"
                        ),
                    );
                }
                Some(a) if a.outcome() != Outcome::Refused => {}
                _ => v.add(
                    "invented",
                    t!(
                        "un abono que nadie pidió, o que fue rechazado: {m}",
                        "an abono that nobody asked for, or that was refused: {m}"
                    ),
                ),
            }
        }
        for (clave, a) in &abonos {
            if a.outcome() == Outcome::Done && !seen.contains(clave) {
                v.add(
                    "kept",
                    t!(
                        "el abono {clave} de {} al usuario {}: se contestó 201 y ya no existe",
                        "abono {clave} of {} to user {}: 201, and gone",
                        credits(a.monto),
                        a.usuario
                    ),
                );
            }
        }
    }
    ledgers(f, v);
    negative(h, f, v);
}

fn abonos(h: &History) -> BTreeMap<&str, Abono<'_>> {
    let mut abonos: BTreeMap<&str, Abono<'_>> = BTreeMap::new();
    for p in &h.requests {
        if let (Op::Credit { usuario, monto }, Some(clave)) = (&p.op, &p.clave) {
            let new = || Abono { usuario: *usuario, monto: *monto, requests: Vec::new() };
            abonos.entry(clave).or_insert_with(new).requests.push(p);
        }
    }
    abonos
}

pub(super) fn answers(h: &History, v: &mut Verdict) {
    for (clave, a) in &abonos(h) {
        let mut done = a.requests.iter().filter(|p| p.outcome() == Outcome::Done);
        if let Some(first) = done.next()
            && let Some(other) = done.find(|p| p.cuerpo != first.cuerpo)
        {
            v.add(
                "replay",
                t!(
                    "al abono {clave} se le contestó {} y después {}",
                    "abono {clave} was answered {} and then {}",
                    first.body(),
                    other.body()
                ),
            );
        }
    }
}

fn balances(h: &History, f: &Final, abonos: &BTreeMap<&str, Abono<'_>>, v: &mut Verdict) {
    let (mut total, mut slack, mut held) = (0_i128, 0_i128, 0_i128);
    for opening in &h.usuarios {
        let id = opening.id;
        let Some(user) = f.usuarios.iter().find(|u| u.id == id) else {
            v.add("kept", t!("el usuario {id} ya no existe", "user {id} is gone"));
            continue;
        };
        let sum = |outcome| -> i128 {
            abonos
                .values()
                .filter(|a| a.usuario == id && a.outcome() == outcome)
                .map(|a| i128::from(a.monto))
                .sum()
        };
        let (added, open) = (sum(Outcome::Done), sum(Outcome::Open));
        let paid: i128 =
            f.transacciones.iter().filter(|t| t.usuario_id == id).map(|t| i128::from(t.precio)).sum();
        let least = i128::from(opening.saldo) + added - paid;
        let saldo = i128::from(user.saldo);
        (total, slack, held) = (total + least, slack + open, held + saldo);
        if saldo < least || saldo > least + open {
            let by = if saldo < least { least - saldo } else { saldo - least - open };
            let what = match (lang(), saldo < least) {
                (Lang::Es, true) => "perdidos",
                (Lang::Es, false) => "de más",
                (Lang::En, true) => "lost",
                (Lang::En, false) => "too many",
            };
            v.add(
                "money",
                t!(
                    "el usuario {id} tiene {}, {by} {what}: apertura {} + abonos contestados {added} - compras {paid} = {least}, y {open} sin respuesta",
                    "user {id} has {}, {by} {what}: opening {} + abonos acknowledged {added} - purchases {paid} = {least}, and {open} unanswered",
                    credits(saldo),
                    opening.saldo
                ),
            );
        }
    }
    if held < total || held > total + slack {
        let by = if held < total { held - total } else { held - total - slack };
        v.add(
            "conserved",
            t!(
                "{by:+} créditos en total: los saldos suman {held}; se explican de {total} a {}",
                "{by:+} credits in all: balances {held}, accounted for {total} to {}",
                total + slack
            ),
        );
    }
}

fn ledgers(f: &Final, v: &mut Verdict) {
    let Some(movimientos) = &f.movimientos else { return };
    let mut sums: HashMap<u64, i128> = HashMap::new();
    let mut debits: HashMap<u64, Vec<i64>> = HashMap::new();
    for m in movimientos {
        *sums.entry(m.usuario_id).or_default() += i128::from(m.monto);
        if m.tipo == "cargo" {
            debits.entry(m.usuario_id).or_default().push(-m.monto);
            if m.confirmado == Some(false) {
                v.add(
                    "ledger",
                    t!("un cargo quedó retenido para siempre: {m}", "a debit was left for ever: {m}"),
                );
            }
        }
    }
    for u in &f.usuarios {
        let sum = sums.get(&u.id).copied().unwrap_or_default();
        if sum != i128::from(u.saldo) {
            v.add(
                "ledger",
                t!(
                    "el usuario {} tiene {} y movimientos que suman {sum}",
                    "user {} has {} and movements that sum to {sum}",
                    u.id,
                    credits(u.saldo)
                ),
            );
        }
        let mut debits = debits.remove(&u.id).unwrap_or_default();
        let mut paid: Vec<i64> = f
            .transacciones
            .iter()
            .filter(|t| t.usuario_id == u.id)
            .map(|t| i64::try_from(t.precio).unwrap_or(i64::MAX))
            .collect();
        debits.sort_unstable();
        paid.sort_unstable();
        if debits != paid {
            let (n, m) = (debits.len(), paid.len());
            v.add(
                "ledger",
                t!(
                    "usuario {}: {n} cargos y {m} compras, de montos distintos",
                    "user {}: {n} debits and {m} purchases, not of the same amounts",
                    u.id
                ),
            );
        }
    }
}

fn negative(h: &History, f: &Final, v: &mut Verdict) {
    for u in f.usuarios.iter().filter(|u| u.saldo < 0) {
        v.add(
            "negative",
            t!("el usuario {} terminó con {}", "user {} ended with {}", u.id, credits(u.saldo)),
        );
    }
    for p in h.requests.iter().filter(|p| p.estado == Some(200)) {
        if let (Op::ShowUsuario { usuario }, Some(saldo)) =
            (&p.op, p.cuerpo.get("saldo").and_then(|s| s.as_i64()))
            && saldo < 0
        {
            v.add(
                "negative",
                t!(
                    "el usuario {usuario} se vio con {} en {}",
                    "user {usuario} was seen with {} at {}",
                    credits(saldo),
                    time(p.hasta)
                ),
            );
        }
    }
}
