//! The money before and after, and the verdict's sentence about it.

use super::{Money, Rule, rules};
use crate::history::{Final, History, Op, Outcome};
use crate::t;
use crate::words::whole;
use std::collections::BTreeMap;

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

/// The verdict in one sentence: the money first.
pub(super) fn sentence(right: bool, money: &Money, rules: &[Rule], seen: &str) -> String {
    let paid = whole(money.pagado.unsigned_abs());
    let bought = match money.compras {
        1 => t!("una compra", "one purchase"),
        n => {
            let n = whole(n);
            t!("{n} compras", "{n} purchases")
        }
    };
    let money_right = rules.iter().filter(|r| rules::RULES.iter().any(|(name, ..)| r.regla == *name));
    let mut said = if money_right.clone().all(|r| r.correcto) {
        t!(
            "El dinero cuadra: {bought} por {paid} créditos en total, y ninguna respuesta resultó falsa.",
            "The money is right: {bought} for {paid} credits in all, and no answer turned out to be false."
        )
    } else {
        let mut wrong = Vec::new();
        let (sold, credits) =
            (money.tokens_vendidos_de_mas, whole(money.creditos_vendidos_de_mas.unsigned_abs()));
        if sold > 0 {
            wrong.push(t!(
                "tokens vendidos más de una vez: {sold} ({credits} créditos cobrados de más)",
                "tokens sold more than once: {sold} ({credits} credits charged too many)"
            ));
        }
        let (lost, credits) = (money.compras_perdidas, whole(money.creditos_perdidos.unsigned_abs()));
        if lost > 0 {
            wrong.push(t!(
                "compras confirmadas que ya no existen: {lost} ({credits} créditos)",
                "acknowledged purchases that are gone: {lost} ({credits} credits)"
            ));
        }
        let by = whole(money.diferencia.unsigned_abs());
        match money.diferencia {
            ..=-1 => wrong.push(t!(
                "faltan {by} créditos que nadie gastó",
                "{by} credits are missing that nobody spent"
            )),
            1.. => wrong.push(t!(
                "sobran {by} créditos que nadie abonó",
                "there are {by} credits that nobody paid in"
            )),
            0 => {}
        }
        if wrong.is_empty() {
            let broken: Vec<_> = money_right.filter(|r| !r.correcto).map(|r| r.dice.clone()).collect();
            let broken = broken.join("; ");
            wrong.push(t!("se rompió una regla: {broken}", "a rule is broken: {broken}"));
        }
        let wrong = wrong.join(", ");
        t!("El dinero no cuadra: {wrong}.", "The money is not right: {wrong}.")
    };
    if !seen.is_empty() {
        said.push(' ');
        said.push_str(seen);
    }
    let own = rules.iter().find(|r| !r.correcto && !rules::RULES.iter().any(|(name, ..)| r.regla == *name));
    if let Some(own) = own.filter(|_| !right) {
        let (what, n) = (&own.dice, own.veces);
        said.push_str(&t!(" No se cumplió: {what} ({n}).", " Not kept: {what} ({n})."));
    }
    said
}
