//! Money: `money`, `ledger`, `negative`, `conserved`, and `kept` and `invented` for abonos.

use super::Verdict;
use crate::history::{Final, History, Op, Outcome, Request};
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
    let abonos = abonos(h, v);
    balances(h, f, &abonos, v);
    if let Some(disco) = &f.disco {
        let mut seen: HashSet<&str> = HashSet::new();
        for m in disco.movimientos.iter().filter(|m| m.tipo == "abono") {
            let clave = m.clave.as_deref().unwrap_or_default();
            if !seen.insert(clave) {
                v.add("money", format!("abono {clave} was added twice"));
            }
            match abonos.get(clave) {
                Some(a) if (a.usuario, Ok(m.monto)) != (m.usuario_id, i64::try_from(a.monto)) => {
                    v.add("kept", format!("abono {clave} is not what was asked for: {m:?}"));
                }
                Some(a) if a.outcome() != Outcome::Refused => {}
                _ => v.add("invented", format!("an abono that nobody asked for, or that was refused: {m:?}")),
            }
        }
        for (clave, a) in &abonos {
            if a.outcome() == Outcome::Done && !seen.contains(clave) {
                v.add("kept", format!("abono {clave} of {} to user {}: 201, and gone", a.monto, a.usuario));
            }
        }
    }
    ledgers(f, v);
    negative(h, f, v);
}

fn abonos<'a>(h: &'a History, v: &mut Verdict) -> BTreeMap<&'a str, Abono<'a>> {
    let mut abonos: BTreeMap<&str, Abono<'_>> = BTreeMap::new();
    for p in &h.requests {
        if let (Op::Credit { usuario, monto }, Some(clave)) = (&p.op, &p.clave) {
            let new = || Abono { usuario: *usuario, monto: *monto, requests: Vec::new() };
            abonos.entry(clave).or_insert_with(new).requests.push(p);
        }
    }
    for (clave, a) in &abonos {
        let mut done = a.requests.iter().filter(|p| p.outcome() == Outcome::Done);
        if let Some(first) = done.next()
            && let Some(other) = done.find(|p| p.cuerpo != first.cuerpo)
        {
            v.add("replay", format!("abono {clave} was answered {} and then {}", first.cuerpo, other.cuerpo));
        }
    }
    abonos
}

fn balances(h: &History, f: &Final, abonos: &BTreeMap<&str, Abono<'_>>, v: &mut Verdict) {
    let (mut total, mut slack, mut held) = (0_i128, 0_i128, 0_i128);
    for opening in &h.usuarios {
        let id = opening.id;
        let Some(user) = f.usuarios.iter().find(|u| u.id == id) else {
            v.add("kept", format!("user {id} is gone"));
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
            let what = if saldo < least { "lost" } else { "too many" };
            v.add(
                "money",
                format!(
                    "user {id} has {saldo} credits, {by} {what}: opening {} + abonos acknowledged {added} - purchases {paid} = {least}, and {open} unanswered",
                    opening.saldo
                ),
            );
        }
    }
    if held < total || held > total + slack {
        let by = if held < total { held - total } else { held - total - slack };
        v.add(
            "conserved",
            format!("{by:+} credits in all: balances {held}, accounted for {total} to {}", total + slack),
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
                v.add("ledger", format!("a debit was left for ever: {m:?}"));
            }
        }
    }
    for u in &f.usuarios {
        let sum = sums.get(&u.id).copied().unwrap_or_default();
        if sum != i128::from(u.saldo) {
            v.add("ledger", format!("user {} has {} credits and movements of {sum}", u.id, u.saldo));
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
            v.add("ledger", format!("user {}: {n} debits and {m} purchases, not of the same amounts", u.id));
        }
    }
}

fn negative(h: &History, f: &Final, v: &mut Verdict) {
    for u in f.usuarios.iter().filter(|u| u.saldo < 0) {
        v.add("negative", format!("user {} ended with {} credits", u.id, u.saldo));
    }
    for p in h.requests.iter().filter(|p| p.estado == Some(200)) {
        if let (Op::ShowUsuario { usuario }, Some(saldo)) =
            (&p.op, p.cuerpo.get("saldo").and_then(|s| s.as_i64()))
            && saldo < 0
        {
            v.add("negative", format!("user {usuario} was seen with {saldo} credits at {} µs", p.hasta));
        }
    }
}
