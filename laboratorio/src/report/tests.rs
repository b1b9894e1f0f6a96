//! Reports of invented runs.

use super::{Outcomes, Report, Run, Story, html};
use crate::chance::Chance;
use crate::history::{History, Line, Op, Request};
use crate::measure::{End, Kind, Mark, Measured, Sample};
use crate::shown::{Final, Token, Transaccion, Usuario};
use serde_json::json;

fn run() -> Run {
    Run {
        experiment: "caida",
        title: ["Caída".to_owned(), "¿Qué pasa si <esto>?".to_owned()],
        naive: false,
        place: "aquí".to_owned(),
        seed: 7,
        command: "laboratorio caida".to_owned(),
        began: "2026-01-01T00:00:00Z".to_owned(),
        interrupted: false,
    }
}

/// An hour of customers, at random.
fn measured(n: u64) -> Measured {
    let mut chance = Chance::new(1, 1);
    let mut m = Measured { pods: vec!["a".to_owned(), "<b>".to_owned()], ..Measured::default() };
    for i in 0..n {
        let (kind, end) = match chance.between(1..=100) {
            1..=80 => (Kind::Read, End::Done),
            81..=95 => (Kind::Buy, End::Done),
            96..=98 => (Kind::Buy, End::Refused),
            _ => (Kind::Buy, End::Failed),
        };
        let took = 10_u64.pow(u32::try_from(chance.between(2..=5)).unwrap()) * chance.between(1..=9);
        m.samples.push(Sample { at: i * 3_600_000_000 / n, took, kind, end, pod: Some((i % 2) as u16) });
    }
    for i in 0..600 {
        let from = i * 6_000_000;
        m.marks.push(Mark { from, to: from + 300_000, what: format!("kill -9 of <{i}>"), fault: true });
    }
    m
}

fn report(m: &Measured, history: &History, end: &Final) -> Report {
    let verdict = crate::checker::check(history, Some(end));
    Report::new(&run(), &Outcomes { history, end: Ok(end), verdict: &verdict, measured: m }, Story::default())
}

#[test]
fn six_hundred_thousand_operations_are_a_small_file() {
    let m = measured(600_000);
    let page = html::page(&report(&m, &History::default(), &Final::default()), &m);
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert_eq!(page.matches("<svg").count(), 5);
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "names are text");
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let m = measured(1000);
    let report = report(&m, &History::default(), &Final::default());
    assert!(report.correcto && report.reglas.len() == super::rules::RULES.len());
    let dir = tempfile::TempDir::new().unwrap();
    let json = report.write(&m, &dir.path().join("x/informe.html")).unwrap();
    let back = Report::load(&json).unwrap();
    assert_eq!(back.operaciones, report.operaciones);
    assert_eq!(back.serie, report.serie);
    assert_eq!(back.serie.len(), 360, "an hour in slices of ten seconds");
    assert!(Report::load(&dir.path().join("x/informe.html")).is_err());
}

/// Of token 2 at 25, which was answered so.
fn purchase(status: u16) -> Request {
    Request {
        sujeto: None,
        cliente: 1,
        op: Op::Buy { usuario: 1, token: 2, precio: None },
        clave: Some("k".to_owned()),
        desde: 1,
        hasta: 2,
        estado: Some(status),
        cuerpo: json!({"id": 9, "usuarioId": 1, "tokenId": 2, "precio": 25, "fecha": "x"}),
        pod: None,
    }
}

/// Ana had 100; token 1 at 40 was sold to her twice, and a purchase of token 2 at 25 was acknowledged and is gone.
#[test]
fn what_was_doubled_and_lost_is_told_in_money() {
    let ana = |saldo| Usuario { id: 1, nombre: "Ana".to_owned(), saldo };
    let token = |id, precio, vendido| Token { id, nombre: "Gato".to_owned(), precio, vendido };
    let sale = |id| Transaccion {
        id,
        usuario_id: 1,
        token_id: 1,
        fecha: "2026-01-01T00:00:00Z".to_owned(),
        precio: 40,
        intento: None,
    };
    let tokens = vec![token(1, 40, false), token(2, 25, false)];
    let history =
        History::new([Line::Opening { usuarios: vec![ana(100)], tokens }, Line::Request(purchase(201))]);
    let end = Final {
        usuarios: vec![ana(10)],
        tokens: vec![token(1, 40, true), token(2, 25, false)],
        transacciones: vec![sale(1), sale(2)],
        ..Final::default()
    };
    let report = report(&Measured::default(), &history, &end);
    assert!(!report.correcto);
    let d = report.dinero.as_ref().unwrap();
    assert_eq!((d.antes, d.pagado, d.despues, d.diferencia), (100, 80, 10, -10));
    assert_eq!((d.tokens_vendidos_de_mas, d.creditos_vendidos_de_mas), (1, 40));
    assert_eq!((d.compras_perdidas, d.creditos_perdidos), (1, 25));
    assert!(report.veredicto.starts_with("El dinero no cuadra"), "{}", report.veredicto);
}

/// Why these rules of a report were not checked.
fn unchecked<'a>(report: &'a Report, names: &[&str]) -> Vec<&'a str> {
    let of = |name: &&str| report.reglas.iter().find(|r| r.regla == *name).unwrap().unchecked.as_deref();
    names.iter().map(|name| of(name).unwrap_or_else(|| panic!("{name} counts as checked"))).collect()
}

#[test]
fn what_was_not_checked_is_neither_kept_nor_broken() {
    let (m, history, end) = (Measured::default(), History::default(), Final::default());
    let verdict = crate::checker::check(&history, Some(&end));
    let of = Outcomes { history: &history, end: Ok(&end), verdict: &verdict, measured: &m };
    for (experiment, naive, closed) in [
        ("caida", true, "la tienda ingenua guarda otro archivo"),
        ("aula", false, "el mercado sigue abierto"),
        ("caos", false, "el laboratorio no inició este mercado y no ve sus archivos"),
    ] {
        let report = Report::new(&Run { experiment, naive, ..run() }, &of, Story::default());
        let why = unchecked(&report, &["disk", "audit", "ledger", "own"]);
        assert_eq!(why[0], closed);
        let page = html::page(&report, &m);
        assert_eq!(page.matches("class=\"unchecked\"").count(), super::rules::RULES.len());
        assert!(page.contains(closed) && !page.contains("se cumplió"));
        let shown = super::rules::RULES.iter().find(|(name, ..)| page.contains(&format!("({name}")));
        assert!(shown.is_none(), "a rule is told by its sentence, not as {shown:?}");
    }
}

#[test]
fn a_report_of_an_older_version_is_read() {
    let m = measured(0);
    let mut old = serde_json::to_value(report(&m, &History::default(), &Final::default())).unwrap();
    for rule in old["reglas"].as_array_mut().unwrap() {
        assert!(rule.as_object_mut().unwrap().remove("noComprobado").is_some(), "{rule}");
    }
    let read: Report = serde_json::from_value(old).unwrap();
    assert!(read.reglas.iter().all(|r| r.unchecked.is_none() && r.correcto));
    assert!(!super::compare::rows(&read, &read).is_empty());
}

#[test]
fn a_report_of_another_schema_is_refused_by_its_name() {
    let mut other =
        serde_json::to_value(report(&measured(0), &History::default(), &Final::default())).unwrap();
    other["esquema"] = json!("laboratorio-2");
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("x.json");
    std::fs::write(&file, other.to_string()).unwrap();
    let why = Report::load(&file).unwrap_err();
    assert!(why.contains("lee informes laboratorio-1, y éste es laboratorio-2"), "{why}");
}

#[test]
fn a_rule_that_is_broken_in_one_report_has_a_row_of_its_own() {
    let (history, end) = (History::new([Line::Request(purchase(500))]), Final::default());
    let m = Measured::default();
    let [bad, good] = [report(&m, &history, &end), report(&m, &History::default(), &end)];
    let rows = super::compare::rows(&good, &bad);
    let sentence = super::rules::title("error");
    let row = rows.iter().find(|[what, ..]| *what == sentence).unwrap();
    assert_eq!((row[1].as_str(), row[2].as_str()), ("no se comprobó", "se rompió"));
    assert!(rows.iter().flatten().all(|cell| cell != "error"), "{rows:?}");
}

#[test]
fn a_report_that_was_interrupted_says_so_before_its_verdict() {
    let mut report = report(&Measured::default(), &History::default(), &Final::default());
    assert_eq!(report.light(), "VERDE");
    report.interrumpido = true;
    assert_eq!(report.light(), "VERDE (se interrumpió antes de su fin)");
}

#[test]
fn an_answer_is_of_the_part_in_which_it_came() {
    let pods = vec!["tokens-1".to_owned()];
    let late = Sample { at: 1_000, took: 1_500_000, kind: Kind::Read, end: End::Done, pod: Some(0) };
    let m = Measured { samples: vec![late], pods, ..Measured::default() };
    let phases = vec![("1".to_owned(), 0, 1_000_000), ("3".to_owned(), 1_000_000, 2_000_000)];
    let (history, end) = (History::default(), Final::default());
    let verdict = crate::checker::check(&history, Some(&end));
    let of = Outcomes { history: &history, end: Ok(&end), verdict: &verdict, measured: &m };
    let report = Report::new(&run(), &of, Story { phases, ..Story::default() });
    let [one, three] = report.fases.as_slice() else { panic!("{:?}", report.fases) };
    assert_eq!((one.lecturas_por_segundo, one.lecturas_pedidas_por_segundo), (0.0, Some(1.0)));
    assert_eq!((one.reparto.len(), one.p99_micros > 1_400_000), (0, true));
    assert_eq!((three.lecturas_por_segundo, three.reparto.len(), three.p99_micros), (1.0, 1, 0));
    assert!(html::page(&report, &m).contains("<td>0.0 de 1.0</td>"));
}

#[test]
fn memory_is_told_in_what_people_count() {
    assert_eq!([super::gib("24731708 kB"), super::gib("?")], ["23.6 GiB", "?"]);
}

/// A class whose purchases nobody can list: each was acknowledged, and none can be looked for.
#[test]
fn a_market_that_cannot_be_read_is_neither_right_nor_wrong() {
    let m = Measured::default();
    let report = |status| {
        let history = History::new([Line::Request(purchase(status))]);
        let verdict = crate::checker::check(&history, None);
        let of = Outcomes { history: &history, end: Err("GET /x: 503"), verdict: &verdict, measured: &m };
        Report::new(&Run { experiment: "aula", ..run() }, &of, Story::default())
    };
    let unread = report(201);
    assert_eq!((unread.correcto, unread.right(), unread.light().as_str()), (false, None, "SIN VEREDICTO"));
    assert!(unread.veredicto.starts_with("No se comprobó si el dinero cuadra"), "{}", unread.veredicto);
    assert!(unread.veredicto.contains("GET /x: 503") && unread.dinero.is_none());
    let why = unchecked(&unread, &["kept", "money", "oversold", "audit", "disk"]);
    assert_eq!(why, ["no se pudo leer el mercado"; 5]);
    let page = html::page(&unread, &m);
    assert!(page.contains("Sin veredicto.") && !page.contains("El dinero</h2>"), "{page}");
    // what the answers say by themselves still counts
    let red = report(500);
    assert_eq!((red.right(), red.light().as_str()), (Some(false), "ROJO"));
    assert!(red.veredicto.contains("No se cumplió: Ninguna respuesta fue un 500"), "{}", red.veredicto);
    // and so does that the laboratory's own market has not come back; that is no word about its money
    let history = History::default();
    let mut verdict = crate::checker::Verdict::default();
    verdict.add("audit", "GET /x: 503".to_owned());
    let of = Outcomes { history: &history, end: Err("GET /x: 503"), verdict: &verdict, measured: &m };
    let red = Report::new(&run(), &of, Story::default());
    assert_eq!(red.right(), Some(false));
    assert!(red.veredicto.contains("No se cumplió: La auditoría"), "{}", red.veredicto);
    assert!(!red.veredicto.contains("no cuadra"), "{}", red.veredicto);
}

#[test]
fn the_money_is_not_right_only_where_a_rule_of_money_is_broken() {
    let said = |rule: &'static str| {
        let (m, history, end) = (Measured::default(), History::default(), Final::default());
        let mut verdict = crate::checker::Verdict::default();
        verdict.add(rule, "x".to_owned());
        let of = Outcomes { history: &history, end: Ok(&end), verdict: &verdict, measured: &m };
        let report = Report::new(&run(), &of, Story::default());
        assert!(!report.correcto);
        report.veredicto
    };
    assert!(said("ledger").starts_with("El dinero no cuadra: se rompió una regla: Los movimientos"));
    let other = said("error");
    assert!(other.starts_with("El dinero cuadra: 0 compras por 0 créditos en total."), "{other}");
    assert!(
        other.ends_with("No se cumplió: Ninguna respuesta fue un 500 ni un éxito ilegible (1)."),
        "{other}"
    );
}

#[test]
fn a_place_is_looked_at_and_left_as_it_was() {
    let dir = tempfile::TempDir::new().unwrap();
    let count = || std::fs::read_dir(dir.path()).unwrap().count();
    Report::place(&dir.path().join("run/new/informe.html")).unwrap();
    assert_eq!(count(), 0, "a run whose report goes into its own directory needs that one empty");
    let old = dir.path().join("old.html");
    std::fs::write(&old, "old").unwrap();
    Report::place(&old).unwrap();
    assert_eq!((count(), std::fs::read_to_string(&old).unwrap().as_str()), (1, "old"));
    std::fs::create_dir(dir.path().join("old.json")).unwrap();
    assert!(Report::place(&old).unwrap_err().contains("old.json"));
    assert!(Report::place(&old.join("x.html")).unwrap_err().contains("old.html/x.html"));
}

#[test]
fn text_table_and_picture_count_the_same() {
    let mut m = measured(2000);
    let (other, last) = (Kind::Other, 2_000_000);
    m.samples.extend((0..100).map(|_| Sample { at: 0, took: last, kind: other, end: End::Done, pod: None }));
    let report = report(&m, &History::default(), &Final::default());
    let slices = |of: fn(&super::Bucket) -> u64| report.serie.iter().map(of).sum::<u64>();
    let done = |kind| report.of(kind).unwrap().hechas;
    assert_eq!(slices(|b| b.lecturas), done(Kind::Read));
    assert_eq!(slices(|b| b.compras), done(Kind::Buy));
    assert_eq!((slices(|b| b.otras), done(other)), (100, 100));
    let page = html::page(&report, &m);
    assert!(
        page.contains("dot other") && page.contains("line other") && page.contains("otras peticiones</th>")
    );
}

#[test]
fn the_part_of_a_second_at_the_end_is_not_drawn_as_a_fall() {
    let steady = |length: u64| {
        let at = (0..length).step_by(100_000);
        let sample = |at| Sample { at, took: 1_000, kind: Kind::Read, end: End::Done, pod: Some(0) };
        Measured { samples: at.map(sample).collect(), pods: vec!["a".to_owned()], ..Measured::default() }
    };
    let drawn = |length| {
        let report = report(&steady(length), &History::default(), &Final::default());
        let line = super::svg::rates(&report);
        let line =
            line.split(r#"class="line read" d=""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
        line.split(['M', 'L']).skip(1).map(|at| at.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let line = drawn(3_300_000);
    assert_eq!(line.len(), 3);
    assert!(line.iter().all(|y| *y == line[0]), "{line:?}");
    assert_eq!(drawn(500_000).len(), 1, "a short run has no more than a part of a second");
}
