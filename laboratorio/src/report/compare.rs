//! Two reports side by side.

use super::{Operations, Report};
use crate::t;
use crate::words::{time, whole};

/// A row: what, the one, the other.
pub type Row = [String; 3];

/// A figure of operations of one kind.
type Part = fn(&Operations) -> String;

/// What both have.
pub fn rows(a: &Report, b: &Report) -> Vec<Row> {
    let right = |r: &Report| if r.correcto { t!("bien", "right") } else { t!("mal", "wrong") };
    let both = |what: String, pick: &dyn Fn(&Report) -> String| [what, pick(a), pick(b)];
    let mut rows = vec![
        both(t!("experimento", "experiment"), &|r| {
            if r.ingenuo { format!("{} --ingenuo", r.experimento) } else { r.experimento.clone() }
        }),
        both(t!("veredicto", "verdict"), &right),
        both(t!("segundos", "seconds"), &|r| format!("{:.0}", r.segundos)),
        both(t!("compras al final", "purchases in the end"), &|r| whole(r.dinero.compras)),
        both(t!("diferencia de dinero", "difference of money"), &|r| r.dinero.diferencia.to_string()),
        both(t!("tokens vendidos de más", "tokens sold too often"), &|r| {
            whole(r.dinero.tokens_vendidos_de_mas)
        }),
        both(t!("compras perdidas", "purchases lost"), &|r| whole(r.dinero.compras_perdidas)),
        both(t!("reglas rotas", "rules broken"), &|r| {
            let broken: Vec<_> =
                r.reglas.iter().filter(|rule| !rule.correcto).map(|rule| rule.regla.as_str()).collect();
            if broken.is_empty() { "0".to_owned() } else { broken.join(", ") }
        }),
    ];
    for (kind, name) in [("lectura", t!("lecturas", "reads")), ("compra", t!("compras", "purchases"))] {
        let of = |r: &Report, pick: fn(&Operations) -> String| {
            r.operaciones.iter().find(|o| o.tipo == kind).map_or_else(|| "-".to_owned(), pick)
        };
        let parts: [(String, Part); 5] = [
            (t!("hechas", "done"), |o| whole(o.hechas)),
            (t!("sin éxito", "failed"), |o| whole(o.fallidas + o.sin_respuesta)),
            ("50 %".to_owned(), |o| time(o.p50_micros)),
            ("99 %".to_owned(), |o| time(o.p99_micros)),
            (t!("la más lenta", "the slowest"), |o| time(o.max_micros)),
        ];
        for (part, pick) in parts {
            rows.push([format!("{name}: {part}"), of(a, pick), of(b, pick)]);
        }
    }
    for figure in &a.cifras {
        let other = b.cifras.iter().find(|f| f.nombre == figure.nombre);
        let other = other.map_or_else(|| "-".to_owned(), |f| f.valor.clone());
        rows.push([figure.nombre.clone(), figure.valor.clone(), other]);
    }
    for figure in b.cifras.iter().filter(|f| !a.cifras.iter().any(|known| known.nombre == f.nombre)) {
        rows.push([figure.nombre.clone(), "-".to_owned(), figure.valor.clone()]);
    }
    rows
}
