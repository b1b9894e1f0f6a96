//! Reports of invented runs.

use super::{Outcomes, Report, Run, Story, html};
use crate::chance::Chance;
use crate::history::{Final, History, Line, Op, Request, Token, Transaccion, Usuario};
use crate::measure::{End, Kind, Mark, Measured, Sample};
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
    let verdict = crate::checker::check(history, end);
    Report::new(&run(), &Outcomes { history, end, verdict: &verdict, measured: m }, Story::default())
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
    let told = Request {
        sujeto: None,
        cliente: 1,
        op: Op::Buy { usuario: 1, token: 2, precio: None },
        clave: Some("k".to_owned()),
        desde: 1,
        hasta: 2,
        estado: Some(201),
        cuerpo: json!({"id": 9, "usuarioId": 1, "tokenId": 2, "precio": 25, "fecha": "x"}),
        pod: None,
    };
    let tokens = vec![token(1, 40, false), token(2, 25, false)];
    let history = History::new([Line::Opening { usuarios: vec![ana(100)], tokens }, Line::Request(told)]);
    let end = Final {
        usuarios: vec![ana(10)],
        tokens: vec![token(1, 40, true), token(2, 25, false)],
        transacciones: vec![sale(1), sale(2)],
        ..Final::default()
    };
    let report = report(&Measured::default(), &history, &end);
    assert!(!report.correcto);
    let d = &report.dinero;
    assert_eq!((d.antes, d.pagado, d.despues, d.diferencia), (100, 80, 10, -10));
    assert_eq!((d.tokens_vendidos_de_mas, d.creditos_vendidos_de_mas), (1, 40));
    assert_eq!((d.compras_perdidas, d.creditos_perdidos), (1, 25));
    assert!(report.veredicto.starts_with("El dinero no cuadra"), "{}", report.veredicto);
}
