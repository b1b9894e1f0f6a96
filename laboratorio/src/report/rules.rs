//! The checker's rules in words, in the order in which a report tells them.

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
        "Una clave compra a lo más una vez, y sólo lo que se pidió con ella",
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
        "Apertura más abonos menos compras da el saldo de cada usuario",
        "Opening plus abonos minus purchases is each user's balance",
    ),
    ("ledger", "Los movimientos de cada usuario suman su saldo", "Each user's movements sum to the balance"),
    ("negative", "Ningún saldo es menor que cero", "No balance is below zero"),
    ("oversold", "Ningún token se vendió dos veces", "No token was sold twice"),
    (
        "sold",
        "Un token está vendido si y sólo si alguien lo compró",
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
    ("error", "Ninguna respuesta fue un 500 ni ilegible", "No answer was a 500, and none could not be read"),
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
