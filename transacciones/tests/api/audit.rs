//! `/transacciones/auditoria`: never a false alarm, and nothing that is wrong goes unseen.

use crate::helpers::{
    Market, Service, audit, compra, insist, metric, number, person, statuses, token, tokens, transacciones,
    usuarios,
};
use ::usuarios::store::state::{Change, State};
use futures_util::future::{join, join_all};
use journal::{Journal, Options};
use market::domain::{Monto, UsuarioId};
use serde_json::{Value, json};
use std::future::IntoFuture;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::postgres::is_chosen;
use testkit::{Api, PATIENCE, eventually, files_only};

#[tokio::test]
async fn a_new_market_agrees() {
    let m = Market::start();
    let verdict = m.transacciones.api.get("/transacciones/auditoria").await.expect(200);
    let expected = json!({"correcto": true, "transacciones": 0, "pendientes": 0, "diferencias": []});
    assert_eq!(verdict.json(), expected);
    m.compra(1, 101).await.expect(201);
    assert_eq!(m.looker.calm().await["transacciones"], 1);
    let bad = m.transacciones.api.get("/transacciones/auditoria?todo=si").await;
    bad.assert_problem(422, "datos-invalidos");
}

#[tokio::test]
async fn under_load_there_is_no_false_alarm() {
    let users: Vec<_> = (1..=64).map(|id| person(id, 30)).collect();
    let catalogue: Vec<_> = (1..=320).map(|id| token(id, 10)).collect();
    let m = Market::with(&json!(users), &json!(catalogue));
    let other = m.replica();
    let done = AtomicBool::new(false);
    let buyers = async {
        let answers = join_all((1..=64_u64).map(|usuario| {
            let (m, other) = (&m, &other);
            async move {
                let mut answers = Vec::new();
                for n in 0..5 {
                    // neighbours want the same tokens, and nobody has money for more than three
                    let api = if n % 2 == 0 { &m.transacciones.api } else { &other.api };
                    let (token, key) = ((usuario * 5 + n * 3) % 320 + 1, format!("{usuario}-{n}"));
                    answers.push(if is_chosen() {
                        // a database is slower than the deadlines where the machine is busy
                        insist(api, &key, usuario, token).await
                    } else {
                        compra(api, usuario, token).header("Idempotency-Key", &key).await
                    });
                }
                answers
            }
        }))
        .await
        .concat();
        done.store(true, Ordering::Release);
        answers
    };
    let auditor = async |api: &Api| {
        let mut audits = 0;
        while !done.load(Ordering::Acquire) {
            let verdict = audit(api).await;
            assert_eq!(verdict["correcto"], true, "{verdict}");
            audits += 1;
        }
        audits
    };
    let (answers, (mine, others)) =
        join(buyers, join(auditor(&m.transacciones.api), auditor(&other.api))).await;
    let counts = statuses(&answers);
    assert_eq!(counts[&201] + counts[&409], 320, "{counts:?}");
    assert_eq!(m.looker.check().await.len(), counts[&201]);
    assert!(mine > 2 && others > 2, "{mine} and {others} audits beside the purchases");
    for api in [&m.transacciones.api, &other.api] {
        assert_eq!(
            metric(api, "audits_of_lists_total").await,
            0,
            "what is in flight is known without the lists"
        );
    }
}

#[tokio::test]
async fn any_number_of_clients_share_one_audit_a_while() {
    let m = Market::start();
    let (people, goods) = (m.usuarios.internal, m.tokens.internal);
    let mine = transacciones(m.dir.path(), people, goods, &["--audit-pause-ms=2000"]);
    let audits = async || metric(&mine.api, "audits_total").await;
    let ask = || mine.api.get("/transacciones/auditoria").into_future();
    ask().await.expect(200);
    assert_eq!(audits().await, 1);
    // half of them hang up while they wait, and whoever is left is answered
    let mut gone: Vec<_> = (0..32).map(|_| tokio::spawn(ask())).collect();
    let waiting = join_all((0..32).map(|_| ask()));
    let hang_up = async {
        eventually(PATIENCE, async || (metric(&mine.api, "http_connections").await > 32).then_some(())).await;
        gone.drain(..).for_each(|task| task.abort());
    };
    let (answers, ()) = join(waiting, hang_up).await;
    for answer in answers {
        assert_eq!(answer.expect(200).json()["correcto"], true);
    }
    // the one before; one for all who asked during the pause; one for such as came after that one had begun
    let audits = audits().await;
    assert!((2..=4).contains(&audits), "{audits} audits for 64 clients");
    // and what is asked after a change shows it
    m.compra(1, 101).await.expect(201);
    assert_eq!(ask().await.expect(200).json()["transacciones"], 1);
}

/// What the audit finds, as `(tipo, intento)`.
async fn findings(api: &Api) -> Vec<(String, String)> {
    let verdict = api.get("/transacciones/auditoria").await.expect(200).json();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let differences = verdict["diferencias"].as_array().unwrap();
    assert_eq!(verdict["correcto"], differences.is_empty(), "{verdict}");
    assert!(differences.iter().all(|d| !text(&d["detalle"]).is_empty()), "{verdict}");
    let mut found: Vec<_> = differences.iter().map(|d| (text(&d["tipo"]), text(&d["intento"]))).collect();
    found.sort();
    found
}

fn found(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(tipo, intento)| ((*tipo).to_owned(), (*intento).to_owned())).collect()
}

#[tokio::test]
async fn what_was_charged_or_sold_for_nothing_is_found() {
    let m = Market::start();
    m.compra(1, 101).await.expect(201);
    m.looker.calm().await;
    let api = &m.transacciones.api;
    let cargo = "/interno/cargos/x%231";
    let body = json!({"usuarioId": 2, "monto": 7});
    m.usuarios.internal_api.put(cargo).json(body).await;
    assert_eq!(findings(api).await, [], "pending only: a purchase may be under way");
    let verdict = audit(api).await;
    assert_eq!(verdict["pendientes"], 1);
    let age = number(&verdict["masAntiguo"]);
    assert!(age < 60_000, "the oldest is of this test: {verdict}");
    eventually(PATIENCE, async || (number(&audit(api).await["masAntiguo"]) > age).then_some(())).await;
    m.usuarios.internal_api.put(&format!("{cargo}/confirmacion")).await.expect(204);
    assert_eq!(findings(api).await, found(&[("cargo-sin-transaccion", "x#1")]));
    let reserva = "/interno/reservas/y%231";
    let body = json!({"usuarioId": 2, "tokenId": 102});
    m.tokens.internal_api.put(reserva).json(body).await.expect(201);
    m.tokens.internal_api.put(&format!("{reserva}/venta")).await.expect(204);
    let both = found(&[("cargo-sin-transaccion", "x#1"), ("venta-sin-transaccion", "y#1")]);
    assert_eq!(findings(api).await, both);
    // in the reader's words, with names, and with what they are about as fields
    let spanish = json!([
        {"tipo": "cargo-sin-transaccion", "intento": "x#1", "usuarioId": 2, "monto": 7,
            "detalle": "A Luis se le cobraron 7 créditos sin ninguna compra."},
        {"tipo": "venta-sin-transaccion", "intento": "y#1", "usuarioId": 2, "tokenId": 102, "monto": 70,
            "detalle": "Token 102 figura como vendido a Luis por 70 créditos sin ninguna compra."},
    ]);
    let answer = api.get("/transacciones/auditoria").await.expect(200);
    assert_eq!(answer.json()["diferencias"], spanish);
    assert!(answer.header("Vary").contains("accept-language"));
    assert!(answer.json()["masAntiguo"].is_null(), "nothing is pending");
    let english =
        api.get("/transacciones/auditoria").header("Accept-Language", "en-GB").await.expect(200).json();
    assert_eq!(english["diferencias"][0]["detalle"], "Luis was charged 7 credits for no purchase.");
}

#[tokio::test]
async fn names_are_told_a_hundred_at_a_time_and_only_inside() {
    let m = Market::start();
    let names = async |path: &str| m.tokens.internal_api.get(path).await;
    let known = names("/interno/nombres?ids=102,999,0").await.expect(200).json();
    assert_eq!(known, json!([{"id": 102, "nombre": "Token 102"}]));
    let many: Vec<_> = (1..=101).map(|id| id.to_string()).collect();
    for bad in ["", "x", "1,", &many.join(",")] {
        names(&format!("/interno/nombres?ids={bad}")).await.assert_problem(422, "datos-invalidos");
    }
    m.tokens.api.get("/interno/nombres?ids=1").await.assert_problem(404, "ruta-no-encontrada");
}

/// A purchase `k` of token 101 by Ana for 50, everything stopped.
async fn stopped() -> Market {
    let m = Market::start();
    m.compra(1, 101).header("Idempotency-Key", "k").await.expect(201);
    m.compra(2, 102).header("Idempotency-Key", "other").await.expect(201);
    m.looker.calm().await;
    m
}

/// Edits an array of a stopped market and audits it.
async fn edited(name: &str, edit: impl FnOnce(Vec<Value>) -> Vec<Value>) -> Vec<(String, String)> {
    let Market { usuarios: people, tokens: goods, transacciones: mine, dir, .. } = stopped().await;
    for service in [mine, people, goods] {
        service.stop().await;
    }
    let file = dir.path().join(format!("{name}.json"));
    let array = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::write(&file, json!(edit(array)).to_string()).unwrap();
    let (people, goods): (Service, Service) = (usuarios(dir.path()), tokens(dir.path()));
    let mine = transacciones(dir.path(), people.internal, goods.internal, &[]);
    findings(&mine.api).await
}

#[tokio::test]
async fn a_purchase_that_was_edited_is_found() {
    files_only!("edits a file");
    let array = |mut array: Vec<Value>| {
        array[0]["precio"] = json!(51);
        array
    };
    let expected = found(&[("cargo-distinto", "k#1"), ("venta-distinta", "k#1")]);
    assert_eq!(edited("transacciones", array).await, expected);
    let array = |mut array: Vec<Value>| {
        array[0]["tokenId"] = json!(7);
        array
    };
    assert_eq!(edited("transacciones", array).await, found(&[("venta-distinta", "k#1")]));
    let array = |mut array: Vec<Value>| {
        array[0]["usuarioId"] = json!(2);
        array
    };
    assert_eq!(edited("transacciones", array).await, expected);
    let array = |mut array: Vec<Value>| {
        array[0]["intento"] = json!("z#1");
        array
    };
    let expected = found(&[
        ("cargo-sin-transaccion", "k#1"),
        ("transaccion-sin-cargo", "z#1"),
        ("transaccion-sin-venta", "z#1"),
        ("venta-sin-transaccion", "k#1"),
    ]);
    assert_eq!(edited("transacciones", array).await, expected);
}

#[tokio::test]
async fn a_purchase_that_was_taken_out_is_found() {
    files_only!("edits a file");
    let expected = found(&[("cargo-sin-transaccion", "k#1"), ("venta-sin-transaccion", "k#1")]);
    assert_eq!(edited("transacciones", |array| array[1..].to_vec()).await, expected);
}

#[tokio::test]
async fn a_purchase_made_up_by_hand_is_found() {
    files_only!("edits a file");
    let array = |mut array: Vec<Value>| {
        let fecha = "2025-09-10T17:00:00Z";
        array.push(
            json!({"id": 9, "usuarioId": 1, "tokenId": 5, "fecha": fecha, "precio": 5, "intento": "z#3"}),
        );
        array
    };
    let expected = found(&[("transaccion-sin-cargo", "z#3"), ("transaccion-sin-venta", "z#3")]);
    assert_eq!(edited("transacciones", array).await, expected);
    // one without an attempt is a person's note, and leaves the money alone
    let array = |mut array: Vec<Value>| {
        array.push(json!({"id": 9, "usuarioId": 1, "tokenId": 5, "fecha": "2025-09-10T17:00:00Z"}));
        array
    };
    assert_eq!(edited("transacciones", array).await, []);
}

#[tokio::test]
async fn a_sale_that_was_undone_by_hand_is_found() {
    files_only!("edits a file");
    let array = |mut array: Vec<Value>| {
        let token = array[0].as_object_mut().unwrap();
        token.remove("venta");
        token["vendido"] = json!(false);
        array
    };
    assert_eq!(edited("tokens", array).await, found(&[("transaccion-sin-venta", "k#1")]));
    let array = |mut array: Vec<Value>| {
        array[0]["precio"] = json!(49);
        array
    };
    assert_eq!(edited("tokens", array).await, found(&[("venta-distinta", "k#1")]));
    let array = |mut array: Vec<Value>| {
        array[0]["venta"]["usuarioId"] = json!(2);
        array
    };
    assert_eq!(edited("tokens", array).await, found(&[("venta-distinta", "k#1")]));
}

#[tokio::test]
async fn a_debit_that_was_changed_by_hand_is_found() {
    files_only!("edits a file");
    let array = |mut array: Vec<Value>| {
        array.iter_mut().filter(|m| m["intento"] == "k#1").for_each(|m| m["monto"] = json!(1));
        array
    };
    assert_eq!(edited("movimientos", array).await, found(&[("cargo-distinto", "k#1")]));
    let array = |mut array: Vec<Value>| {
        array.retain(|m| m["intento"] != "k#1");
        array
    };
    assert_eq!(edited("movimientos", array).await, found(&[("transaccion-sin-cargo", "k#1")]));
}

#[tokio::test]
async fn a_balance_that_is_not_its_ledger_is_found() {
    files_only!("edits a file");
    let m = stopped().await;
    // no service does this: a write past them all, into the store itself
    let journal = Journal::<State>::open(Options::new(m.dir.path())).unwrap();
    let ana = UsuarioId::new(1).unwrap();
    let give = |saldo: u64| {
        journal.write(move |tx| {
            let mut rich = tx.usuario(ana).unwrap().clone();
            rich.saldo = Monto::new(saldo).unwrap();
            tx.put(Change::Usuario(rich));
            Ok::<_, ()>(())
        })
    };
    give(1_000_000).await.unwrap().unwrap();
    assert_eq!(findings(&m.transacciones.api).await, found(&[("saldo-descuadrado", "")]));
    give(50).await.unwrap().unwrap();
    assert_eq!(findings(&m.transacciones.api).await, []);
}

#[tokio::test]
async fn without_a_participant_there_is_no_verdict() {
    let m = Market::start();
    let hasty = ["--purchase-deadline-ms=400", "--orphan-age-ms=401"];
    let mine = transacciones(m.dir.path(), m.usuarios.internal, m.tokens.internal, &hasty);
    let Market { tokens: goods, transacciones: _other, usuarios: _people, dir: _dir, .. } = m;
    goods.stop().await;
    let answer = mine.api.get("/transacciones/auditoria").await;
    answer.assert_problem(503, "servicio-no-disponible");
}
