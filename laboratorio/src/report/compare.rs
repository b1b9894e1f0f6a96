//! Two reports side by side.

use super::{Figure, Money, Operations, Report, Rule, name};
use crate::measure::Kind;
use crate::t;
use crate::words::{measured, whole};
use std::collections::BTreeSet;

/// A row: what, the one, the other.
pub type Row = [String; 3];

/// A figure of operations of one kind.
type Part = fn(&Operations) -> String;

fn broken(r: &Report) -> impl Iterator<Item = &Rule> {
    r.reglas.iter().filter(|rule| !rule.correcto)
}

/// What both have.
pub fn rows(a: &Report, b: &Report) -> Vec<Row> {
    let right = |r: &Report| match r.right() {
        Some(true) => t!("bien", "right"),
        Some(false) => t!("mal", "wrong"),
        None => t!("sin veredicto", "no verdict"),
    };
    let money =
        |r: &Report, pick: fn(&Money) -> String| r.dinero.as_ref().map_or_else(|| "-".to_owned(), pick);
    let both = |what: String, pick: &dyn Fn(&Report) -> String| [what, pick(a), pick(b)];
    let mut rows = vec![
        both(t!("experimento", "experiment"), &|r| {
            if r.ingenuo { format!("{} --ingenuo", r.experimento) } else { r.experimento.clone() }
        }),
        both(t!("veredicto", "verdict"), &right),
        both(t!("segundos", "seconds"), &|r| format!("{:.0}", r.segundos)),
        both(t!("compras al final", "purchases in the end"), &|r| money(r, |d| whole(d.compras))),
        both(t!("diferencia de dinero", "difference of money"), &|r| money(r, |d| d.diferencia.to_string())),
        both(t!("tokens vendidos de más", "tokens sold too often"), &|r| {
            money(r, |d| whole(d.tokens_vendidos_de_mas))
        }),
        both(t!("compras perdidas", "purchases lost"), &|r| money(r, |d| whole(d.compras_perdidas))),
        both(t!("reglas rotas", "rules broken"), &|r| broken(r).count().to_string()),
    ];
    let mut seen = BTreeSet::new();
    for rule in broken(a).chain(broken(b)).filter(|rule| seen.insert(rule.regla.as_str())) {
        let state = |r: &Report| {
            let same = r.reglas.iter().find(|other| other.regla == rule.regla);
            same.map_or_else(|| "-".to_owned(), Rule::state)
        };
        rows.push([rule.dice.clone(), state(a), state(b)]);
    }
    for kind in [Kind::Read, Kind::Buy] {
        let of =
            |r: &Report, pick: fn(&Operations) -> String| r.of(kind).map_or_else(|| "-".to_owned(), pick);
        let name = name(kind);
        let parts: [(String, Part); 5] = [
            (t!("hechas", "done"), |o| whole(o.hechas)),
            (t!("sin éxito", "failed"), |o| whole(o.fallidas + o.sin_respuesta)),
            ("50 %".to_owned(), |o| measured(o.p50_micros)),
            ("99 %".to_owned(), |o| measured(o.p99_micros)),
            (t!("la más lenta", "the slowest"), |o| measured(o.max_micros)),
        ];
        for (part, pick) in parts {
            rows.push([format!("{name}: {part}"), of(a, pick), of(b, pick)]);
        }
    }
    figures(&a.cifras, &b.cifras, &mut rows);
    rows
}

/// Those of one name are held side by side in their order: parts of a run may have one name.
fn figures(a: &[Figure], b: &[Figure], rows: &mut Vec<Row>) {
    let nth = |all: &[Figure], i: usize| {
        let name = all.get(i).map(|f| &f.nombre);
        all.iter().take(i).filter(|f| Some(&f.nombre) == name).count()
    };
    for (i, figure) in a.iter().enumerate() {
        let other = b.iter().filter(|f| f.nombre == figure.nombre).nth(nth(a, i));
        let other = other.map_or_else(|| "-".to_owned(), |f| f.valor.clone());
        rows.push([figure.nombre.clone(), figure.valor.clone(), other]);
    }
    for (i, figure) in b.iter().enumerate() {
        if a.iter().filter(|f| f.nombre == figure.nombre).nth(nth(b, i)).is_none() {
            rows.push([figure.nombre.clone(), "-".to_owned(), figure.valor.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, figures};

    #[test]
    fn parts_of_one_name_are_held_against_each_other_in_their_order() {
        let of = |values: &[(&str, &str)]| -> Vec<Figure> {
            values.iter().map(|(name, value)| Figure::new(*name, value)).collect()
        };
        let a = of(&[("1 de tokens", "10"), ("3 de tokens", "30"), ("1 de tokens", "11")]);
        let b =
            of(&[("1 de tokens", "20"), ("3 de tokens", "60"), ("1 de tokens", "21"), ("1 de tokens", "22")]);
        let mut rows = Vec::new();
        figures(&a, &b, &mut rows);
        let values: Vec<_> = rows.iter().map(|[_, a, b]| (a.as_str(), b.as_str())).collect();
        assert_eq!(values, [("10", "20"), ("30", "60"), ("11", "21"), ("-", "22")]);
    }
}
