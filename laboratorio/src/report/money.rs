//! The money before and after, and the verdict's sentence about it.

use super::{Money, Rule};
use crate::history::{History, Op, Outcome};
use crate::shown::Final;
use crate::t;
use crate::words::{credits, whole};
use std::collections::BTreeMap;

/// Rules of which a broken one means that somebody has lost or gained money, or a purchase.
const OF_MONEY: [&str; 11] = [
    "kept",
    "once",
    "refusal",
    "own",
    "invented",
    "money",
    "ledger",
    "negative",
    "oversold",
    "conserved",
    "audit",
];

impl Money {
    /// What a history and the market at its end come to.
    pub(super) fn of(h: &History, f: &Final) -> Self {
        let sum = |n: &mut dyn Iterator<Item = u64>| i64::try_from(n.sum::<u64>()).unwrap_or(i64::MAX);
        let mut money = Self {
            antes: h.usuarios.iter().map(|u| u.saldo).sum(),
            despues: f.usuarios.iter().map(|u| u.saldo).sum(),
            pagado: sum(&mut f.transacciones.iter().map(|t| t.precio)),
            compras: f.transacciones.len() as u64,
            ..Self::default()
        };
        let (mut known, mut open) = (BTreeMap::new(), BTreeMap::new());
        for p in &h.requests {
            if let (Op::Credit { monto, .. }, Some(clave)) = (&p.op, &p.clave) {
                match p.outcome() {
                    Outcome::Done => _ = known.insert(clave, *monto),
                    Outcome::Open => _ = open.insert(clave, *monto),
                    Outcome::Refused => {}
                }
            }
        }
        open.retain(|clave, _| !known.contains_key(clave));
        money.abonado = sum(&mut known.into_values());
        let least = money.antes + money.abonado - money.pagado;
        let most = least + sum(&mut open.into_values());
        money.diferencia = money.despues - money.despues.clamp(least, most.max(least));
        let mut sales: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        f.transacciones.iter().for_each(|t| sales.entry(t.token_id).or_default().push(t.precio));
        for prices in sales.values().filter(|s| s.len() > 1) {
            money.tokens_vendidos_de_mas += 1;
            money.creditos_vendidos_de_mas += sum(&mut prices.iter().skip(1).copied());
        }
        let there: BTreeMap<u64, (u64, u64)> =
            f.transacciones.iter().map(|t| (t.id, (t.usuario_id, t.token_id))).collect();
        let mut lost = BTreeMap::new();
        for p in h.requests.iter().filter(|p| matches!(p.op, Op::Buy { .. }) && p.outcome() == Outcome::Done)
        {
            let (id, precio) = (p.number("id").unwrap_or_default(), p.number("precio").unwrap_or_default());
            let told = (p.number("usuarioId").unwrap_or_default(), p.number("tokenId").unwrap_or_default());
            if there.get(&id) != Some(&told) {
                lost.insert((id, told), precio);
            }
        }
        money.compras_perdidas = lost.len() as u64;
        money.creditos_perdidos = sum(&mut lost.into_values());
        money
    }
}

/// The verdict in one sentence: the money first, or why the market could not be read.
pub(super) fn sentence(money: Result<&Money, &&str>, rules: &[Rule], seen: &str) -> String {
    let broken = rules.iter().filter(|r| !r.correcto);
    let (of_money, others): (Vec<&Rule>, Vec<&Rule>) =
        broken.partition(|r| money.is_ok() && OF_MONEY.contains(&r.regla.as_str()));
    let mut said = match money {
        Err(why) => t!(
            "No se comprobó si el dinero cuadra, porque no se pudo leer el mercado: {why}.",
            "Whether the money is right was not checked, because the market could not be read: {why}."
        ),
        Ok(money) if of_money.is_empty() => right(money, &others),
        Ok(money) => wrong(money, &of_money),
    };
    if !seen.is_empty() {
        said.push(' ');
        said.push_str(seen);
    }
    for rule in others {
        let (what, n) = (&rule.dice, rule.veces);
        said.push_str(&t!(" No se cumplió: {what} ({n}).", " Not kept: {what} ({n})."));
    }
    said
}

fn right(money: &Money, broken: &[&Rule]) -> String {
    let paid = credits(money.pagado);
    let bought = match money.compras {
        1 => t!("una compra", "one purchase"),
        n => {
            let n = whole(n);
            t!("{n} compras", "{n} purchases")
        }
    };
    match broken {
        [] => t!(
            "El dinero cuadra: {bought} por {paid} en total, y ninguna respuesta resultó falsa.",
            "The money is right: {bought} for {paid} in all, and no answer turned out to be false."
        ),
        _ => t!(
            "El dinero cuadra: {bought} por {paid} en total.",
            "The money is right: {bought} for {paid} in all."
        ),
    }
}

fn wrong(money: &Money, broken: &[&Rule]) -> String {
    let mut wrong = Vec::new();
    let (sold, paid) = (money.tokens_vendidos_de_mas, credits(money.creditos_vendidos_de_mas));
    if sold > 0 {
        wrong.push(t!(
            "tokens vendidos más de una vez: {sold} (de más se cobró {paid})",
            "tokens sold more than once: {sold} (charged too much by {paid})"
        ));
    }
    let (lost, paid) = (money.compras_perdidas, credits(money.creditos_perdidos));
    if lost > 0 {
        wrong.push(t!(
            "compras confirmadas que ya no existen: {lost} ({paid})",
            "acknowledged purchases that are gone: {lost} ({paid})"
        ));
    }
    let by = credits(money.diferencia.unsigned_abs());
    match money.diferencia {
        ..=-1 => wrong
            .push(t!("se perdió dinero que nadie gastó: {by}", "money is missing that nobody spent: {by}")),
        1.. => wrong
            .push(t!("apareció dinero que nadie abonó: {by}", "there is money that nobody paid in: {by}")),
        0 => {}
    }
    if wrong.is_empty() {
        let broken: Vec<_> = broken.iter().map(|r| r.dice.clone()).collect();
        let broken = broken.join("; ");
        wrong.push(t!("se rompió una regla: {broken}", "a rule is broken: {broken}"));
    }
    let wrong = wrong.join(", ");
    t!("El dinero no cuadra: {wrong}.", "The money is not right: {wrong}.")
}
