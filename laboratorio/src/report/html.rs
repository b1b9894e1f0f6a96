//! One HTML file that needs no network and no script.

use super::{Money, Phase, Report, Rule, name, short, svg};
use crate::measure::{Kind, Measured};
use crate::report::svg::escape;
use crate::t;
use crate::words::{measured, whole};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");
/// Rows of a picture's table; the JSON has them all.
const MOST_ROWS: usize = 120;

/// The page.
pub fn page(r: &Report, m: &Measured) -> String {
    let mut html = String::new();
    let title = escape(&r.titulo);
    let (class, mark, word) = match r.right() {
        Some(true) => ("right", "✓", t!("Bien.", "Right.")),
        Some(false) => ("wrong", "✗", t!("Mal.", "Wrong.")),
        None => ("unchecked", "–", t!("Sin veredicto.", "No verdict.")),
    };
    let _ = write!(
        html,
        r#"<!doctype html>
<html lang="{}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Mercado de Tokens</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
<p class="question">{}</p>
</header>
<p class="verdict {class}"><span aria-hidden="true">{mark}</span> <strong>{}</strong> {}</p>
"#,
        r.idioma,
        escape(&r.pregunta),
        word,
        escape(&r.veredicto)
    );
    if r.interrumpido {
        let text = t!("Se detuvo antes de tiempo con Ctrl-C.", "It was stopped early, by Ctrl-C.");
        let _ = writeln!(html, r#"<p class="note">{text}</p>"#);
    }
    if r.ingenuo {
        let text = t!(
            "Contra la tienda ingenua: la que casi cualquiera escribe a la primera, sin claves ni recuperación.",
            "Against the naive shop: the one that almost anybody writes at first, without keys or recovery."
        );
        let _ = writeln!(html, r#"<p class="note">{text}</p>"#);
    }
    if !r.cifras.is_empty() {
        html.push_str("<dl class=\"figures\">");
        for figure in &r.cifras {
            let _ = write!(
                html,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(&figure.nombre),
                escape(&figure.valor)
            );
        }
        html.push_str("</dl>\n");
    }
    phases(r, &mut html);
    pictures(r, m, &mut html);
    happenings(r, &mut html);
    rules(r, &mut html);
    rest(r, &mut html);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn table(head: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut html = String::from("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    for cell in head {
        let _ = write!(html, r#"<th scope="col">{}</th>"#, escape(cell));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = match i {
                0 => write!(html, r#"<th scope="row">{}</th>"#, escape(cell)),
                _ => write!(html, "<td>{}</td>", escape(cell)),
            };
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

fn phases(r: &Report, html: &mut String) {
    if r.fases.is_empty() {
        return;
    }
    let head = [
        t!("parte", "part"),
        t!("lecturas/s", "reads/s"),
        t!("peticiones de compra/s", "purchase requests/s"),
        t!("fallidas", "failed"),
        t!("mitad de las lecturas", "half of the reads"),
        t!("99 de 100", "99 of 100"),
        t!("reparto de las lecturas", "share of the reads"),
    ];
    let rows = r.fases.iter().map(|p| {
        let all = p.reparto.iter().map(|s| s.respuestas).sum::<u64>().max(1);
        let share: Vec<_> = p
            .reparto
            .iter()
            .map(|s| format!("{} {} %", s.pod, (s.respuestas * 100 + all / 2) / all))
            .collect();
        vec![
            p.nombre.clone(),
            reads(p),
            format!("{:.1}", p.compras_por_segundo),
            whole(p.fallidas),
            measured(p.p50_micros),
            measured(p.p99_micros),
            share.join(", "),
        ]
    });
    let _ = writeln!(
        html,
        "<section><h2>{}</h2>{}</section>",
        t!("Por partes", "Part by part"),
        table(&head, rows)
    );
}

/// Reads a second that were answered, and how many were to be where that is more.
fn reads(p: &Phase) -> String {
    let answered = p.lecturas_por_segundo;
    match p.lecturas_pedidas_por_segundo.filter(|wanted| short(answered, *wanted)) {
        Some(wanted) => t!("{answered:.1} de {wanted:.1}", "{answered:.1} of {wanted:.1}"),
        None => format!("{answered:.1}"),
    }
}

fn section(
    html: &mut String,
    title: &str,
    says: &str,
    legend: &[(&str, String)],
    picture: &str,
    table: &str,
) {
    let _ = write!(
        html,
        "<section class=\"picture\"><h2>{}</h2><p>{}</p><figure>{picture}",
        escape(title),
        escape(says)
    );
    if !legend.is_empty() {
        html.push_str("<figcaption>");
        for (class, text) in legend {
            let _ = write!(html, r#"<span class="key {class}"></span>{} "#, escape(text));
        }
        html.push_str("</figcaption>");
    }
    let numbers = t!("Los números", "The numbers");
    let _ = writeln!(html, "</figure><details><summary>{numbers}</summary>{table}</details></section>");
}

fn pictures(r: &Report, m: &Measured, html: &mut String) {
    let all = [("read", Kind::Read), ("buy", Kind::Buy), ("other", Kind::Other)];
    let kinds: Vec<_> = all.into_iter().filter(|(_, k)| *k != Kind::Other || r.of(*k).is_some()).collect();
    let mut with_marks: Vec<_> = kinds.iter().map(|(class, kind)| (*class, name(*kind))).collect();
    with_marks.push(("refused", t!("rechazos (el mercado dijo que no)", "refusals (the market said no)")));
    with_marks.push(("failed", t!("sin éxito", "failed")));
    with_marks.push(("fault", t!("falla en curso", "a fault under way")));
    with_marks.push(("step", t!("paso del experimento", "a step of the experiment")));
    let done = table(
        &[
            t!("operaciones", "operations"),
            t!("hechas", "done"),
            t!("rechazadas", "refused"),
            t!("fallidas", "failed"),
            t!("sin respuesta", "no answer"),
            "50 %".to_owned(),
            "90 %".to_owned(),
            "99 %".to_owned(),
            "99.9 %".to_owned(),
            t!("la más lenta", "the slowest"),
        ],
        r.operaciones.iter().map(|o| {
            let counts = [o.hechas, o.rechazadas, o.fallidas, o.sin_respuesta].map(whole);
            let times = [o.p50_micros, o.p90_micros, o.p99_micros, o.p999_micros, o.max_micros].map(measured);
            [vec![o.nombre.clone()], counts.to_vec(), times.to_vec()].concat()
        }),
    );
    section(
        html,
        &t!("Cada operación", "Each operation"),
        &t!(
            "Un punto por operación: a la derecha las que empezaron después; más arriba, las que tardaron más. El tiempo cuenta desde que debió empezar. Una compra que se vuelve a pedir con su clave, cuando ya está hecha, cuenta aquí otra vez y no es otra compra.",
            "A dot for each operation: further right is later, higher up took longer. Time counts from when it should have begun. A purchase that is asked for again under its key, after it was made, counts once more here and is no second purchase."
        ),
        &with_marks,
        &svg::dots(r, m),
        &done,
    );
    let slices = || {
        let every = r.serie.len().div_ceil(MOST_ROWS).max(1);
        r.serie.iter().step_by(every)
    };
    let second = || t!("segundo", "second");
    let step = r.paso_segundos;
    section(
        html,
        &t!("Respuestas por segundo", "Answers a second"),
        &t!(
            "Lo que los clientes obtuvieron en cada momento; «sin éxito» cuenta también lo que después se repitió y salió bien. La tabla va de {step} en {step} s.",
            "What customers got at each moment; \"failed\" counts also what was repeated and went well then. The table has slices of {step} s."
        ),
        &with_marks,
        &svg::rates(r),
        &table(
            &[
                vec![second()],
                kinds.iter().map(|(_, kind)| name(*kind)).collect(),
                vec![t!("rechazos", "refusals"), t!("sin éxito", "failed")],
            ]
            .concat(),
            slices().map(|b| {
                let done = [b.lecturas, b.compras, b.otras].into_iter().take(kinds.len());
                let counts = [b.segundo].into_iter().chain(done).chain([b.rechazos, b.errores]);
                counts.map(whole).collect()
            }),
        ),
    );
    let names = svg::pods(r);
    if !names.is_empty() {
        let classes: Vec<_> = (0..names.len()).map(|i| format!("pod{}", i % svg::PODS)).collect();
        let legend: Vec<_> = classes.iter().map(String::as_str).zip(names.iter().cloned()).collect();
        section(
            html,
            &t!("Quién contestó", "Who answered"),
            &t!(
                "Cada color es un proceso (en un clúster, un pod), según su encabezado X-Pod.",
                "Each colour is a process (in a cluster, a pod), by its X-Pod header."
            ),
            &legend,
            &svg::shares(r),
            &table(
                &[vec![second()], names.clone()].concat(),
                slices().map(|b| {
                    let of =
                        |name: &String| b.pods.iter().find(|s| s.pod == *name).map_or(0, |s| s.respuestas);
                    [vec![whole(b.segundo)], names.iter().map(|n| whole(of(n))).collect()].concat()
                }),
            ),
        );
    }
    section(
        html,
        &t!("Cuánto tardaron", "How long they took"),
        &t!(
            "De izquierda a derecha, de la más rápida a la más lenta: en «99 %» se lee el tiempo que 99 de cada 100 no rebasaron.",
            "From the fastest to the slowest: at \"99 %\" one reads the time that 99 of 100 did not exceed."
        ),
        with_marks.get(..2).unwrap_or_default(),
        &svg::latency(r),
        &table(
            &["%".to_owned(), name(Kind::Read), name(Kind::Buy)],
            r.latencia.iter().map(|p| {
                vec![p.percentil.to_string(), measured(p.lecturas_micros), measured(p.compras_micros)]
            }),
        ),
    );
    if let Some(d) = &r.dinero {
        money(d, html);
    }
}

fn money(d: &Money, html: &mut String) {
    let sign = |n: i64| if n < 0 { "−" } else { "" };
    let row = |name: String, n: i64| vec![name, format!("{}{}", sign(n), whole(n.unsigned_abs()))];
    let mut rows = vec![
        row(t!("antes", "before"), d.antes),
        row(t!("abonado", "paid in"), d.abonado),
        row(t!("pagado en compras", "spent on purchases"), d.pagado),
        row(t!("después", "after"), d.despues),
        row(t!("diferencia sin explicación", "difference without an explanation"), d.diferencia),
    ];
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    if d.tokens_vendidos_de_mas > 0 || d.compras_perdidas > 0 {
        rows.extend([
            row(
                t!("tokens vendidos más de una vez", "tokens sold more than once"),
                count(d.tokens_vendidos_de_mas),
            ),
            row(
                t!("créditos cobrados de más por ellos", "credits charged too many for them"),
                d.creditos_vendidos_de_mas,
            ),
            row(
                t!("compras confirmadas que ya no existen", "acknowledged purchases that are gone"),
                count(d.compras_perdidas),
            ),
            row(t!("créditos de esas compras", "credits of those purchases"), d.creditos_perdidos),
        ]);
    }
    section(
        html,
        &t!("El dinero", "The money"),
        &t!(
            "Lo que había, lo que entró, lo que se gastó y lo que quedó, en créditos.",
            "What was there, what came in, what was spent, and what is left, in credits."
        ),
        &[],
        &svg::money(d),
        &table(&[t!("concepto", "item"), t!("créditos o número", "credits or number")], rows.into_iter()),
    );
}

fn happenings(r: &Report, html: &mut String) {
    if r.marcas.is_empty() {
        return;
    }
    let head = [t!("desde", "from"), t!("hasta", "to"), t!("qué se hizo", "what was done")];
    let rows = r.marcas.iter().map(|m| {
        let at = |micros: u64| format!("{:.1} s", micros as f64 / 1e6);
        vec![at(m.desde_micros), at(m.hasta_micros), m.que.clone()]
    });
    let title = t!("Lo que se le hizo al mercado", "What was done to the market");
    let _ = writeln!(html, "<section><h2>{title}</h2>{}</section>", table(&head, rows));
}

fn rules(r: &Report, html: &mut String) {
    let _ = write!(html, "<section><h2>{}</h2><ul class=\"rules\">", t!("Las reglas", "The rules"));
    let mut sorted: Vec<&Rule> = r.reglas.iter().collect();
    sorted.sort_by_key(|rule| (rule.correcto, rule.unchecked.is_none()));
    for rule in sorted {
        let (class, mark, why) = match (rule.correcto, &rule.unchecked) {
            (false, _) => ("wrong", "✗", String::new()),
            (true, None) => ("right", "✓", String::new()),
            (true, Some(why)) => ("unchecked", "–", format!(": {}", escape(why))),
        };
        let _ = write!(
            html,
            r#"<li class="{class}"><span aria-hidden="true">{mark}</span> {} <small>({}{why})</small>"#,
            escape(&rule.dice),
            rule.state()
        );
        if !rule.hallazgos.is_empty() {
            html.push_str("<ul>");
            for found in &rule.hallazgos {
                let _ = write!(html, "<li>{}</li>", escape(found));
            }
            let more = rule.more(rule.hallazgos.len());
            if more > 0 {
                let _ = write!(html, "<li>{}</li>", t!("… y {more} más", "… and {more} more"));
            }
            html.push_str("</ul>");
        }
        html.push_str("</li>");
    }
    html.push_str("</ul></section>\n");
}

fn rest(r: &Report, html: &mut String) {
    let pairs = |figures: &[super::Figure]| {
        let mut list = String::from("<dl class=\"pairs\">");
        for f in figures {
            let _ = write!(list, "<div><dt>{}</dt><dd>{}</dd></div>", escape(&f.nombre), escape(&f.valor));
        }
        list + "</dl>"
    };
    if !r.errores.is_empty() {
        let (title, says) = (
            t!("Respuestas que no fueron definitivas", "Answers that were not for good"),
            t!(
                "Las compras se repitieron con la misma clave.",
                "Purchases were repeated under the same key."
            ),
        );
        let _ = writeln!(html, "<section><h2>{title}</h2><p>{says}</p>{}</section>", pairs(&r.errores));
    }
    let mut about = vec![
        super::Figure::new(t!("cuándo", "when"), &r.cuando),
        super::Figure::new(t!("dónde", "where"), &r.donde),
        super::Figure::new(t!("duró", "took"), format!("{:.0} s", r.segundos)),
        super::Figure::new(t!("semilla", "seed"), r.semilla),
    ];
    about.extend(r.entorno.iter().cloned());
    let _ =
        writeln!(html, "<section><h2>{}</h2>{}</section>", t!("La máquina", "The machine"), pairs(&about));
    let _ = writeln!(
        html,
        "<section><h2>{}</h2><pre><code>{}</code></pre></section>",
        t!("Para repetirlo", "To do it again"),
        escape(&r.comando)
    );
    let json = t!(
        "El mismo informe, con todos los números, está en el archivo .json que lo acompaña.",
        "The same report, with all its numbers, is in the .json file beside it."
    );
    let _ = writeln!(html, "<footer><p>{json} {}</p></footer>", escape(&r.esquema));
}
