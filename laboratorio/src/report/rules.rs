//! The checker's rules in words, in the order in which a report tells them.

use super::{OF_EACH, Outcomes, Rule, Run};
use crate::checker::OF_ANSWERS;
use crate::history::{Op, Outcome};
use crate::shown::Final;
use crate::t;
use crate::words::{Lang, lang};

/// A rule's name, and what must hold.
pub const RULES: [(&str, &str, &str); 17] = [
    (
        "kept",
        "Lo que se contestó 201 existe al final, igual que como se contestó",
        "What was answered 201 is there at the end, as it was answered",
    ),
    (
        "once",
        "Una clave compra a lo más una vez, y solo lo que se pidió con ella",
        "A key buys at most once, and only what was asked for under it",
    ),
    (
        "replay",
        "Repetir una clave da siempre la misma respuesta",
        "Repeating a key always gives the same answer",
    ),
    ("refusal", "Lo que fue rechazado no se compró", "What was refused was not bought"),
    ("own", "Nadie compra con la sesión de otra persona", "Nobody buys with somebody else's session"),
    (
        "invented",
        "No hay compras ni abonos que nadie pidió",
        "There are no purchases or abonos that nobody asked for",
    ),
    (
        "money",
        "Saldo inicial más abonos menos compras da el saldo de cada usuario",
        "Opening balance plus abonos minus purchases is each user's balance",
    ),
    ("ledger", "Los movimientos de cada usuario suman su saldo", "Each user's movements sum to the balance"),
    ("negative", "Ningún saldo es menor que cero", "No balance is below zero"),
    ("oversold", "Ningún token se vendió dos veces", "No token was sold twice"),
    (
        "sold",
        "Un token está vendido si y solo si alguien lo compró",
        "A token is sold exactly if somebody bought it",
    ),
    (
        "read",
        "Lo que se vio vendido nunca se vuelve a ver libre",
        "What was seen sold is never seen free again",
    ),
    (
        "edit",
        "Nombres y precios son los últimos que se confirmaron",
        "Names and prices are the last ones that were acknowledged",
    ),
    (
        "conserved",
        "Entre todos los usuarios no aparece ni se pierde dinero",
        "Over all users no money appears or is lost",
    ),
    (
        "audit",
        "La auditoría del propio mercado cuadra y no queda nada pendiente",
        "The market's own audit agrees, and nothing is left pending",
    ),
    (
        "disk",
        "Los archivos, al cerrar, dicen lo mismo que la API",
        "The files after a clean stop say what the API said",
    ),
    (
        "error",
        "Ninguna respuesta fue un 500 ni un éxito ilegible",
        "No answer was a 500, or a success that cannot be read",
    ),
];

/// What this rule says must hold.
pub fn title(rule: &str) -> String {
    RULES
        .iter()
        .find(|(name, ..)| *name == rule)
        .map_or(rule, |(_, es, en)| match lang() {
            Lang::Es => es,
            Lang::En => en,
        })
        .to_owned()
}

/// The checker's rules: kept, broken, or not checked.
pub(super) fn checked(run: &Run, of: &Outcomes<'_>) -> Vec<Rule> {
    let rule = |name: &str| {
        let found: Vec<_> = of.verdict.findings.iter().filter(|f| f.rule == name).collect();
        Rule {
            regla: name.to_owned(),
            dice: title(name),
            correcto: found.is_empty(),
            unchecked: unchecked(name, run, of).filter(|_| found.is_empty()),
            veces: found.len() as u64,
            hallazgos: found.iter().take(OF_EACH).map(|f| f.detail.clone()).collect(),
        }
    };
    RULES.iter().map(|(name, ..)| rule(name)).collect()
}

/// Why nothing can have been found against this rule: what it is held against is not there.
fn unchecked(rule: &str, run: &Run, of: &Outcomes<'_>) -> Option<String> {
    let history = of.history;
    let end = match of.end {
        Ok(end) => end,
        Err(_) if OF_ANSWERS.contains(&rule) => &Final::default(),
        Err(_) => return Some(t!("no se pudo leer el mercado", "the market could not be read")),
    };
    let asked = |which: &dyn Fn(&Op) -> bool| history.requests.iter().any(|p| which(&p.op));
    let bought = || asked(&|op| matches!(op, Op::Buy { .. }));
    match rule {
        "audit" if end.auditoria.is_none() => {
            Some(t!("este mercado no tiene auditoría", "this market has no audit"))
        }
        "ledger" if end.movimientos.is_none() => {
            Some(t!("este mercado no lleva movimientos", "this market keeps no movements"))
        }
        "disk" if end.disco.is_none() => Some(closed(run)),
        "own" if history.requests.iter().all(|p| p.sujeto.is_none()) => {
            Some(t!("en este mercado nadie inicia sesión", "nobody logs in to this market"))
        }
        "once" | "refusal" | "own" if !bought() => Some(t!("nadie compró", "nobody bought")),
        "kept" | "replay"
            if !history.requests.iter().any(|p| p.outcome() == Outcome::Done && writes(&p.op)) =>
        {
            Some(t!("no hubo nada que conservar: nadie compró", "there was nothing to keep: nobody bought"))
        }
        "read" if !asked(&|op| matches!(op, Op::ShowToken { .. })) => {
            Some(t!("no se leyó ningún token", "no token was read"))
        }
        "error" if history.requests.is_empty() && of.measured.samples.is_empty() => {
            Some(t!("no hubo ninguna respuesta", "there was no answer"))
        }
        "money" | "conserved" if history.usuarios.is_empty() => {
            Some(t!("no había clientes", "there were no customers"))
        }
        "negative" | "edit" | "sold" | "oversold" | "invented"
            if end.usuarios.is_empty() && end.tokens.is_empty() =>
        {
            Some(t!("no había clientes ni tokens suyos", "there were no customers, and no tokens of theirs"))
        }
        _ => None,
    }
}

fn writes(op: &Op) -> bool {
    !matches!(op, Op::ShowToken { .. } | Op::ShowUsuario { .. } | Op::ListTokens)
}

/// Why the files were not read.
fn closed(run: &Run) -> String {
    match () {
        () if run.naive => t!("la tienda ingenua guarda otro archivo", "the naive shop keeps another file"),
        () if run.experiment == "aula" => t!("el mercado sigue abierto", "the market is still open"),
        () => t!(
            "el laboratorio no inició este mercado y no ve sus archivos",
            "the laboratory did not start this market and does not see its files"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn each_rule_of_the_checker_has_its_words() {
        let table = include_str!("../checker/mod.rs");
        let rows = table.lines().filter_map(|l| l.strip_prefix("//! | `")?.split_once('`'));
        let named: Vec<_> = rows.map(|(name, _)| name).collect();
        assert_eq!(named.len(), RULES.len());
        for name in named {
            assert!(RULES.iter().any(|(known, ..)| *known == name), "{name}");
        }
    }
}
