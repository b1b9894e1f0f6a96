//! Hand-made histories: for each rule one that keeps it, and one that breaks it and no other.

use super::check;
use crate::history::{History, Line, Op, Request};
use crate::shown::{AuditReport, DiskArrays, Final, Movimiento, Token, Transaccion, Usuario};
use serde_json::{Value, json};

/// Ana has 100 and buys token 1 for 40 under key k; abono a adds 10.
struct Case {
    lines: Vec<Line>,
    end: Final,
}

fn at(n: u64) -> (u64, u64) {
    (n * 1000, n * 1000 + 500)
}

fn ask(n: u64, op: Op, clave: Option<&str>, estado: Option<u16>, cuerpo: Value) -> Line {
    let (desde, hasta) = at(n);
    Line::Request(Request {
        cliente: 1,
        op,
        sujeto: None,
        clave: clave.map(str::to_owned),
        desde,
        hasta,
        estado,
        cuerpo,
        pod: None,
    })
}

fn compra() -> Op {
    Op::Buy { usuario: 1, token: 1, precio: Some(40) }
}

fn bought() -> Value {
    json!({"id": 1, "usuarioId": 1, "tokenId": 1, "fecha": "2026-01-01T00:00:00Z", "precio": 40})
}

fn refused() -> Value {
    json!({"codigo": "token-no-disponible"})
}

fn movimiento(id: u64, tipo: &str, monto: i64) -> Movimiento {
    let clave = (tipo == "abono").then(|| "a".to_owned());
    let confirmado = (tipo == "cargo").then_some(true);
    Movimiento { id, usuario_id: 1, tipo: tipo.to_owned(), monto, confirmado, clave }
}

impl Case {
    fn new() -> Self {
        let mut case = Self::without_answers();
        case.lines.push(ask(1, compra(), Some("k"), Some(201), bought()));
        case
    }

    /// Without the purchase's answer.
    fn without_answers() -> Self {
        let ana = |saldo| Usuario { id: 1, nombre: "Ana".to_owned(), saldo };
        let token = |vendido| Token { id: 1, nombre: "Gato".to_owned(), precio: 40, vendido };
        let abono = ask(
            2,
            Op::Credit { usuario: 1, monto: 10 },
            Some("a"),
            Some(201),
            json!({"id": 3, "usuarioId": 1, "monto": 10}),
        );
        let venta = Transaccion {
            id: 1,
            usuario_id: 1,
            token_id: 1,
            fecha: "2026-01-01T00:00:00Z".to_owned(),
            precio: 40,
            intento: None,
        };
        let movimientos =
            vec![movimiento(1, "apertura", 100), movimiento(2, "cargo", -40), movimiento(3, "abono", 10)];
        let unsigned = movimientos.iter().map(|m| Movimiento { monto: m.monto.abs(), ..m.clone() }).collect();
        let end = Final {
            usuarios: vec![ana(70)],
            tokens: vec![token(true)],
            transacciones: vec![venta.clone()],
            auditoria: Some(AuditReport {
                correcto: true,
                transacciones: 1,
                pendientes: 0,
                diferencias: vec![],
            }),
            disco: Some(DiskArrays {
                usuarios: vec![ana(70)],
                movimientos: unsigned,
                tokens: vec![token(true)],
                transacciones: vec![Transaccion { intento: Some("k#1".to_owned()), ..venta }],
            }),
            movimientos: Some(movimientos),
        };
        let opening = Line::Opening { usuarios: vec![ana(100)], tokens: vec![token(false)] };
        Self { lines: vec![opening, abono], end }
    }

    fn and(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    fn disk(&mut self) -> &mut DiskArrays {
        self.end.disco.as_mut().unwrap()
    }

    /// A change that the API and the disk show alike.
    fn both(mut self, change: impl Fn(&mut Vec<Usuario>, &mut Vec<Token>, &mut Vec<Transaccion>)) -> Self {
        change(&mut self.end.usuarios, &mut self.end.tokens, &mut self.end.transacciones);
        let d = self.disk();
        change(&mut d.usuarios, &mut d.tokens, &mut d.transacciones);
        self.end.auditoria.as_mut().unwrap().transacciones = self.end.transacciones.len() as u64;
        self
    }

    fn rules(self) -> Vec<&'static str> {
        let v = check(&History::new(self.lines), Some(&self.end));
        v.by_rule().into_keys().collect()
    }

    #[track_caller]
    fn green(self) {
        let v = check(&History::new(self.lines), Some(&self.end));
        assert_eq!(v.findings, []);
    }

    #[track_caller]
    fn red(self, rule: &str) {
        let rules = self.rules();
        assert!(rules.contains(&rule), "{rule} is not among {rules:?}");
    }
}

#[test]
fn a_good_market_is_green() {
    Case::new().green();
}

#[test]
fn kept() {
    Case::new().both(|_, _, t| t.clear()).red("kept");
    Case::new().both(|_, _, t| t[0].fecha = "2027-01-01T00:00:00Z".to_owned()).red("kept");
    let mut lost = Case::new();
    lost.disk().movimientos.retain(|m| m.tipo != "abono");
    lost.red("kept");
    let made = Op::CreateToken { nombre: "Nuevo".to_owned(), precio: 5 };
    let new = Token { id: 2, nombre: "Nuevo".to_owned(), precio: 5, vendido: false };
    let case = || Case::new().and(ask(3, made.clone(), None, Some(201), json!(new)));
    case().both(|_, tokens, _| tokens.push(new.clone())).green();
    case().red("kept");
}

#[test]
fn replay() {
    Case::new().and(ask(3, compra(), Some("k"), Some(201), bought())).green();
    let mut other = bought();
    other["id"] = json!(2);
    Case::new().and(ask(3, compra(), Some("k"), Some(201), other)).red("replay");
    Case::new().and(ask(3, compra(), Some("k"), Some(409), refused())).red("replay");
    Case::new().and(ask(3, compra(), Some("other"), Some(201), bought())).red("replay");
}

#[test]
fn once() {
    let twice = |_: &mut Vec<Usuario>, _: &mut Vec<Token>, t: &mut Vec<Transaccion>| {
        t.push(Transaccion { id: 2, ..t[0].clone() });
    };
    Case::new().both(twice).red("once");
    let op = Op::Buy { usuario: 1, token: 1, precio: Some(30) };
    Case::without_answers().and(ask(1, op, Some("k"), None, Value::Null)).red("once");
}

#[test]
fn refusal() {
    let unanswered = || Case::without_answers().and(ask(1, compra(), Some("k"), None, Value::Null));
    let no = |n| ask(n, compra(), Some("k"), Some(409), refused());
    unanswered().green();
    // sent again after it
    unanswered().and(no(3)).and(ask(4, compra(), Some("k"), None, Value::Null)).green();
    // not sent again: the request of before must not buy
    assert_eq!(unanswered().and(no(3)).rules(), ["refusal"]);
    // it may have lain in front of the service
    unanswered().and(no(3)).and(Line::Delay { desde: 1200, hasta: 1300 }).green();
    // both at once: the server may have seen the refused one first
    unanswered().and(no(1)).green();
    // refused, and nothing else
    assert_eq!(Case::without_answers().and(no(1)).rules(), ["refusal"]);
}

#[test]
fn invented() {
    Case::without_answers().red("invented");
    let unkeyed = |estado| ask(1, compra(), None, estado, Value::Null);
    let case = || {
        let mut case = Case::without_answers();
        case.disk().transacciones[0].intento = Some("made-by-the-server#1".to_owned());
        case
    };
    case().and(unkeyed(None)).green();
    case().and(unkeyed(Some(409))).red("invented");
    let mut abono = Case::new();
    abono.disk().movimientos[2].clave = Some("nobody's".to_owned());
    abono.red("invented");
}

#[test]
fn own() {
    let by = |subject, estado| {
        let Line::Request(p) = ask(1, compra(), Some("k"), estado, bought()) else { unreachable!() };
        Line::Request(Request { sujeto: Some(subject), ..p })
    };
    Case::without_answers().and(by(1, Some(201))).green();
    Case::without_answers().and(by(1, Some(201))).and(by(2, Some(403))).green();
    assert_eq!(Case::without_answers().and(by(1, Some(201))).and(by(2, Some(201))).rules(), ["own"]);
    // nobody was told, and yet it was bought
    assert_eq!(Case::without_answers().and(by(2, None)).rules(), ["own"]);
    // the purchase is another key's
    let mut other = Case::without_answers().and(by(1, Some(201)));
    other.disk().transacciones[0].intento = Some("usuario-2/k#1".to_owned());
    assert_eq!(other.rules(), ["own"]);
    // the key was somebody else's before
    let used = json!({"codigo": "clave-reutilizada"});
    let Line::Request(p) = ask(3, compra(), Some("usuario-1/k"), Some(422), used) else { unreachable!() };
    let used = Line::Request(Request { sujeto: Some(1), ..p });
    assert_eq!(Case::without_answers().and(by(1, Some(201))).and(used).rules(), ["own"]);
}

#[test]
fn money_ledger_and_conserved() {
    let rich = || Case::new().both(|u, _, _| u[0].saldo += 10);
    let rules = rich().rules();
    assert_eq!(rules, ["conserved", "ledger", "money"]);
    // an abono without an answer goes either way
    let open = || ask(3, Op::Credit { usuario: 1, monto: 10 }, Some("b"), None, Value::Null);
    Case::new().and(open()).green();
    let mut happened = rich().and(open());
    let line = Movimiento { id: 4, clave: Some("b".to_owned()), ..movimiento(4, "abono", 10) };
    happened.disk().movimientos.push(line.clone());
    happened.end.movimientos.as_mut().unwrap().push(line);
    happened.green();
    // one key, twice
    let mut twice = Case::new();
    let again = twice.disk().movimientos[2].clone();
    twice.disk().movimientos.push(again);
    twice.red("money");
    // a debit that nobody settled
    let mut left = Case::new();
    left.end.movimientos.as_mut().unwrap()[1].confirmado = Some(false);
    assert_eq!(left.rules(), ["ledger"]);
}

#[test]
fn negative() {
    Case::new().both(|u, _, _| u[0].saldo = -1).red("negative");
    let seen = |saldo: i64| ask(3, Op::ShowUsuario { usuario: 1 }, None, Some(200), json!({"saldo": saldo}));
    Case::new().and(seen(0)).green();
    assert_eq!(Case::new().and(seen(-1)).rules(), ["negative"]);
}

#[test]
fn oversold_and_sold() {
    let other = |t: &Transaccion| Transaccion { id: 2, intento: Some("other#1".to_owned()), ..t.clone() };
    let twice = Case::new().both(|_, _, t| t.push(other(&t[0])));
    twice.red("oversold");
    assert_eq!(Case::new().both(|_, t, _| t[0].vendido = false).rules(), ["sold"]);
    let to_nobody = Case::new().both(|_, tokens, _| {
        tokens.push(Token { id: 2, nombre: "X".to_owned(), precio: 1, vendido: true });
    });
    assert_eq!(to_nobody.rules(), ["sold"]);
}

#[test]
fn read() {
    let see =
        |n, vendido: bool| ask(n, Op::ShowToken { token: 1 }, None, Some(200), json!({"vendido": vendido}));
    Case::new().and(see(0, false)).and(see(3, true)).green();
    assert_eq!(Case::new().and(see(3, false)).rules(), ["read"]);
    let unanswered = || Case::without_answers().and(ask(1, compra(), Some("k"), None, Value::Null));
    unanswered().and(see(3, false)).green();
    assert_eq!(unanswered().and(see(2, true)).and(see(3, false)).rules(), ["read"]);
    // a 201 that took longer than the confirmation is tried for may come before it
    let (mut slow, later) = (Case::without_answers(), 3000);
    let Line::Request(p) = ask(1, compra(), Some("k"), Some(201), bought()) else { unreachable!() };
    slow.lines.push(Line::Request(Request { hasta: p.desde + 1_500_000, ..p }));
    slow.and(see(later, false)).green();
}

#[test]
fn edit() {
    let rename = |n, nombre: &str, estado| {
        ask(n, Op::Rename { usuario: 1, nombre: nombre.to_owned() }, None, estado, json!({}))
    };
    let named = |nombre: &'static str| Case::new().both(move |u, _, _| nombre.clone_into(&mut u[0].nombre));
    named("Eva").and(rename(3, "Eva", Some(200))).green();
    named("Eva").and(rename(3, "Eva", None)).green();
    Case::new().and(rename(3, "Eva", None)).green();
    assert_eq!(Case::new().and(rename(3, "Eva", Some(200))).rules(), ["edit"]);
    let twice = named("Eva").and(rename(3, "Eva", Some(200))).and(rename(4, "Sol", Some(200)));
    assert_eq!(twice.rules(), ["edit"]);
    let price = |estado| ask(0, Op::ChangePrecio { token: 1, precio: 39 }, None, estado, json!({}));
    Case::new().and(price(Some(409))).green();
    assert_eq!(Case::new().and(price(Some(200))).rules(), ["edit"]);
}

#[test]
fn audit_disk_and_error() {
    let mut wrong = Case::new();
    wrong.end.auditoria.as_mut().unwrap().correcto = false;
    assert_eq!(wrong.rules(), ["audit"]);
    let mut left = Case::new();
    left.end.auditoria.as_mut().unwrap().pendientes = 1;
    assert_eq!(left.rules(), ["audit"]);
    let mut miscounted = Case::new();
    miscounted.end.auditoria.as_mut().unwrap().transacciones = 2;
    assert_eq!(miscounted.rules(), ["audit"]);
    let mut other = Case::new();
    other.disk().usuarios[0].nombre = "Eva".to_owned();
    assert_eq!(other.rules(), ["disk"]);
    let bug = ask(3, Op::ShowUsuario { usuario: 1 }, None, Some(500), Value::Null);
    assert_eq!(Case::new().and(bug).rules(), ["error"]);
    let unreadable = ask(1, compra(), Some("k"), Some(201), Value::Null);
    assert_eq!(Case::without_answers().and(unreadable).rules(), ["error"], "it may have bought or not");
    let busy = ask(3, Op::ShowUsuario { usuario: 1 }, None, Some(503), Value::Null);
    Case::new().and(busy).green();
}

#[test]
fn a_line_of_the_history_reads_back() {
    for line in [ask(1, compra(), Some("k"), Some(201), bought()), ask(1, compra(), None, None, Value::Null)]
    {
        let text = serde_json::to_string(&line).unwrap();
        let again: Line = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}

#[test]
fn a_history_on_disk_keeps_its_words() {
    for text in [
        r#"{"linea":"apertura","usuarios":[{"id":1,"nombre":"Ana","saldo":100}],"tokens":[{"id":1,"nombre":"Gato","precio":40,"vendido":false}]}"#,
        r#"{"linea":"peticion","cliente":1,"op":"comprar","usuario":1,"token":1,"precio":40,"clave":"k","desde":1,"hasta":2,"estado":503,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"abonar","usuario":1,"monto":10,"clave":"a","desde":1,"hasta":2,"estado":null,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"renombrar","usuario":1,"nombre":"Eva","desde":1,"hasta":2,"estado":200,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"cambiarPrecio","token":1,"precio":39,"desde":1,"hasta":2,"estado":200,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"crearToken","nombre":"Sol","precio":5,"desde":1,"hasta":2,"estado":201,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"verToken","token":1,"desde":1,"hasta":2,"estado":200,"cuerpo":null}"#,
        r#"{"linea":"peticion","cliente":1,"op":"verUsuario","usuario":1,"desde":1,"hasta":2,"estado":200,"cuerpo":null}"#,
        r#"{"linea":"demora","desde":1,"hasta":2}"#,
        r#"{"linea":"falla","en":1,"que":"Disco(123ms)"}"#,
    ] {
        let line: Line = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
    }
}
