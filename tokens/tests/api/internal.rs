//! `/interno/…`: this service as a participant in purchases.

use crate::helpers::{Market, TOKEN, invalid, problem, statuses, try_path};
use futures_util::future::join_all;
use market::contract::{Digest, Hold};
use market::domain::{Intento, Monto, RunningDigest, TokenId, UsuarioId};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::files_only;

#[tokio::test]
async fn only_the_other_services_come_in() {
    let m = Market::start().await;
    for (method, path) in [
        (Method::PUT, try_path("a#1")),
        (Method::DELETE, try_path("a#1")),
        (Method::PUT, try_path("a#1") + "/venta"),
        (Method::GET, "/interno/reservas?pendientes=true".to_owned()),
        (Method::GET, "/interno/resumen".to_owned()),
    ] {
        let denied = m.outsider(method.clone(), &path).send().await.unwrap();
        assert_eq!(denied.headers()["www-authenticate"], "Bearer");
        problem(denied, 401, "no-autorizado").await;
        let wrong = TOKEN.replace('0', "1");
        let denied = m.outsider(method.clone(), &path).bearer_auth(wrong).send().await.unwrap();
        problem(denied, 401, "no-autorizado").await;
        // and not at all on the public port
        let public = m.call(method, &path).bearer_auth(TOKEN).send().await.unwrap();
        problem(public, 404, "ruta-no-encontrada").await;
    }
    assert_eq!(m.inner_json("/livez").await["estado"], "ok", "probes need no token");
}

#[tokio::test]
async fn a_reservation_repeats_and_is_for_one_attempt_with_one_body() {
    let m = Market::start().await;
    let made = m.reserve("a#1", 101, 7).await;
    assert_eq!(made.status(), 201);
    assert_eq!(made.json::<Value>().await.unwrap(), json!({"precio": 50}));
    for _ in 0..2 {
        let again = m.reserve("a#1", 101, 7).await;
        assert_eq!(again.status(), 200);
        assert_eq!(again.json::<Value>().await.unwrap(), json!({"precio": 50}));
    }
    problem(m.reserve("a#1", 101, 8).await, 422, "clave-reutilizada").await;
    problem(m.reserve("a#1", 102, 7).await, 422, "clave-reutilizada").await;
    problem(m.reserve("a#1", 999, 7).await, 422, "clave-reutilizada").await;
    problem(m.reserve("a#2", 101, 7).await, 409, "token-no-disponible").await;
    problem(m.reserve("b#1", 999, 7).await, 404, "token-no-encontrado").await;
    assert_eq!(m.json("/tokens/101").await["vendido"], false, "held is not sold");
}

#[tokio::test]
async fn a_sale_repeats_and_is_final() {
    let m = Market::start().await;
    problem(m.sell("a#1").await, 404, "intento-no-encontrado").await;
    m.reserve("a#1", 101, 7).await;
    for _ in 0..3 {
        assert_eq!(m.sell("a#1").await.status(), 204);
    }
    assert_eq!(m.json("/tokens/101").await["vendido"], true);
    problem(m.release("a#1").await, 409, "intento-confirmado").await;
    let again = m.reserve("a#1", 101, 7).await;
    assert_eq!(again.status(), 200, "this attempt has bought it already");
    assert_eq!(again.json::<Value>().await.unwrap(), json!({"precio": 50}));
    problem(m.reserve("a#1", 101, 8).await, 422, "clave-reutilizada").await;
    problem(m.reserve("b#1", 101, 7).await, 409, "token-no-disponible").await;
    problem(m.sell("b#1").await, 404, "intento-no-encontrado").await;
}

#[tokio::test]
async fn a_release_repeats_and_gives_the_token_to_the_next() {
    let m = Market::start().await;
    assert_eq!(m.release("a#1").await.status(), 204, "nothing is held: nothing to do");
    m.reserve("a#1", 101, 7).await;
    for _ in 0..3 {
        assert_eq!(m.release("a#1").await.status(), 204);
    }
    problem(m.sell("a#1").await, 404, "intento-no-encontrado").await;
    assert_eq!(m.reserve("b#1", 101, 8).await.status(), 201);
    assert_eq!(m.release("a#1").await.status(), 204, "a late repeat");
    assert_eq!(m.sell("b#1").await.status(), 204, "took nothing from the next");
}

#[tokio::test]
async fn a_token_sold_outside_is_sold_and_in_no_digest() {
    let sold = json!([{"id": 1, "nombre": "a", "imagen": "a", "precio": 1, "vendido": true}]);
    let m = Market::seeded(&sold.to_string()).await;
    problem(m.reserve("a#1", 1, 7).await, 409, "token-no-disponible").await;
    problem(m.delete(1).await, 409, "token-no-disponible").await;
    problem(m.patch(1, &json!({"precio": 2})).await, 409, "token-no-disponible").await;
    let digest: Digest = serde_json::from_value(m.inner_json("/interno/resumen").await).unwrap();
    assert_eq!(digest, Digest::default());
    assert_eq!(m.inner_json("/interno/reservas?pendientes=false").await, json!([]));
}

#[tokio::test]
async fn refusals_and_repeats_write_nothing() {
    files_only!("counts the lines of the journal");
    let m = Market::start().await;
    m.reserve("a#1", 101, 7).await;
    m.sell("a#1").await;
    m.reserve("b#1", 102, 7).await;
    let lines = || async {
        let metrics = m.get("/metrics").await.text().await.unwrap();
        metrics.lines().find(|l| l.starts_with("journal_tokens_lines_total")).unwrap().to_owned()
    };
    let before = lines().await;
    m.reserve("a#1", 101, 7).await;
    m.reserve("a#1", 101, 8).await;
    m.reserve("b#1", 102, 7).await;
    m.reserve("c#1", 101, 7).await;
    m.reserve("c#1", 102, 7).await;
    m.reserve("c#1", 999, 7).await;
    m.sell("a#1").await;
    m.sell("c#1").await;
    m.release("a#1").await;
    m.release("c#1").await;
    m.patch(101, &json!({"precio": 1})).await;
    m.delete(101).await;
    assert_eq!(lines().await, before);
}

#[tokio::test]
async fn of_fifty_who_want_one_token_one_gets_it() {
    let m = Market::start().await;
    let names: Vec<_> = (0..50).map(|n| format!("rush-{n}#1")).collect();
    let answers = join_all(names.iter().zip(1..).map(|(name, user)| m.reserve(name, 101, user))).await;
    let mut expected = vec![409; 50];
    expected[0] = 201;
    assert_eq!(statuses(&answers), expected);
    let winner = answers.iter().position(|r| r.status() == 201).unwrap();
    let pending = m.inner_json("/interno/reservas?pendientes=true").await;
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_eq!(pending[0]["intento"], names[winner]);

    // one attempt, sent by all at once: made once, and the others learn that it is there
    let answers = join_all((0..50).map(|_| m.reserve("same#1", 102, 9))).await;
    let mut expected = vec![200; 50];
    expected[49] = 201;
    assert_eq!(statuses(&answers), expected);
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let m = Market::start().await;
    for intento in ["a", "a#0", "a#01", "a%20b#1"] {
        invalid(m.reserve(intento, 101, 7).await, &["intento"]).await;
        invalid(m.sell(intento).await, &["intento"]).await;
        invalid(m.release(intento).await, &["intento"]).await;
    }
    let put = |body: Value| m.inner(Method::PUT, &try_path("a#1")).json(&body).send();
    invalid(put(json!({})).await.unwrap(), &["tokenId", "usuarioId"]).await;
    invalid(
        put(json!({"tokenId": 0, "usuarioId": "7", "x": 1})).await.unwrap(),
        &["tokenId", "usuarioId", "x"],
    )
    .await;
    for (query, campos) in [
        ("", &["pendientes"][..]),
        ("pendientes=1", &["pendientes"]),
        ("pendientes=true&antes=-1", &["antes"]),
        ("pendientes=false&despues=a", &["despues"]),
    ] {
        let path = format!("/interno/reservas?{query}");
        invalid(m.inner(Method::GET, &path).send().await.unwrap(), campos).await;
    }
    for (method, path, allow) in [
        (Method::POST, try_path("a#1"), "PUT, DELETE"),
        (Method::DELETE, try_path("a#1") + "/venta", "PUT"),
        (Method::DELETE, "/interno/reservas".to_owned(), "HEAD, GET"),
        (Method::PUT, "/interno/resumen".to_owned(), "HEAD, GET"),
    ] {
        let response = m.inner(method, &path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{path}");
        problem(response, 405, "metodo-no-permitido").await;
    }
}

#[tokio::test]
async fn lists_and_digest_tell_what_is_pending_and_what_is_settled() {
    let many: Vec<_> = (1..=6)
        .map(|n| json!({"id": n, "nombre": "a", "imagen": "a", "precio": n * 10, "vendido": false}))
        .collect();
    let m = Market::with(&many).await;
    for (intento, token) in [("c#1", 3), ("a#2", 1), ("b#1", 2), ("d#1", 4), ("a#10", 5)] {
        assert_eq!(m.reserve(intento, token, 7).await.status(), 201);
    }
    m.sell("c#1").await;
    m.sell("a#2").await;
    m.sell("a#10").await;
    m.release("d#1").await;
    let holds = |query: &'static str| {
        let m = &m;
        async move {
            let list = m.inner_json(&format!("/interno/reservas?{query}")).await;
            serde_json::from_value::<Vec<Hold>>(list).unwrap()
        }
    };
    let names = |holds: &[Hold]| holds.iter().map(|t| t.intento.to_string()).collect::<Vec<_>>();

    let pending = holds("pendientes=true").await;
    assert_eq!(names(&pending), ["b#1"]);
    assert_eq!(pending[0].token_id.map(|t| t.get()), Some(2));
    assert_eq!((pending[0].usuario_id.get(), pending[0].monto.get()), (7, 20));
    assert_eq!(names(&holds("pendientes=true&antes=60000").await), [""; 0], "too young");
    assert_eq!(names(&holds("pendientes=false").await), ["a#2", "c#1", "a#10"], "by token");
    assert_eq!(names(&holds("pendientes=false&despues=a%232").await), ["c#1", "a#10"]);
    assert_eq!(names(&holds("pendientes=false&despues=c%231").await), ["a#10"]);

    let mut confirmados = RunningDigest::default();
    for (intento, token, precio) in [("a#2", 1, 10), ("a#10", 5, 50), ("c#1", 3, 30)] {
        let intento: Intento = intento.parse().unwrap();
        let (owner, token) = (UsuarioId::new(7).unwrap(), TokenId::new(token));
        confirmados.add(&intento, owner, token, Monto::new(precio).unwrap());
    }
    let digest: Digest = serde_json::from_value(m.inner_json("/interno/resumen").await).unwrap();
    assert_eq!((digest.confirmados, digest.pendientes, digest.descuadrados), (confirmados, 1, 0));
    assert_eq!(names(&digest.in_flight), ["b#1"]);
}

#[tokio::test]
async fn pending_ones_come_oldest_first_and_old_ones_alone_where_asked() {
    let old = |id: u64, minute: u64| {
        let desde = format!("2025-09-10T17:{minute:02}:00Z");
        let reserva = json!({"intento": format!("x{id}#1"), "usuarioId": 7, "desde": desde});
        json!({"id": id, "nombre": "a", "imagen": "a", "precio": 1, "vendido": false, "reserva": reserva})
    };
    let free = json!({"id": 4, "nombre": "a", "imagen": "a", "precio": 1, "vendido": false});
    let m = Market::with(&[old(1, 30), old(2, 10), old(3, 20), free]).await;
    assert_eq!(m.reserve("new#1", 4, 7).await.status(), 201);
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|t| t["intento"].as_str().unwrap().to_owned()).collect()
    };
    let all = m.inner_json("/interno/reservas?pendientes=true&antes=0").await;
    assert_eq!(names(&all), ["x2#1", "x3#1", "x1#1", "new#1"]);
    let aged = m.inner_json("/interno/reservas?pendientes=true&antes=86400000").await;
    assert_eq!(names(&aged), ["x2#1", "x3#1", "x1#1"]);
}
