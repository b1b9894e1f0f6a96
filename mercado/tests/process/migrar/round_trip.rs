//! There and back: nothing is lost, added or forgotten.

use super::{SOON, arrays, database, datos, leave_tries, lived_in, migrar, on, stop};
use crate::helpers::{Process, all, compra, filled, read, run};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{Api, PATIENCE, eventually};

#[tokio::test]
async fn a_market_goes_to_postgresql_and_back_and_every_file_is_the_same() {
    let (here, there) = (lived_in().await, TempDir::new().unwrap());
    // an era begins after hours only: a person writes one, and a start takes it
    let desde = market::domain::timestamp();
    let era = json!([{"epoca": 2, "desde": desde}]);
    std::fs::write(here.path().join("datos").join("epocas.json"), era.to_string()).unwrap();
    stop(Process::on(here.clone(), &[]).await).await;
    let before = arrays(here.path());
    assert!(
        before.values().all(|records| !records.is_empty()),
        "there is something of everything: {before:?}"
    );
    let (one, _) = database(Server::shared()).await;
    let (two, _) = database(Server::serializable()).await;
    let report = migrar(&datos(here.path()), &one, 0);
    for (collection, records) in &before {
        let line = report.lines().find(|line| line.starts_with(&format!("{collection} "))).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(records.len().to_string().as_str()), "{report}");
    }
    assert!(report.contains("audit: 3 transacciones, 0 pending, correct on both sides"), "{report}");
    assert_eq!(arrays(here.path()), before, "the source is as it was");
    migrar(&one, &two, 0);
    migrar(&two, &datos(there.path()), 0);
    assert_eq!(arrays(there.path()), before);
    let third = TempDir::new().unwrap();
    migrar(&datos(there.path()), &datos(third.path()), 0);
    assert_eq!(arrays(third.path()), before);
    let (code, report, _) = run(third.path(), &["journal", "check", "datos"]);
    assert_eq!(code, 0, "{report}");
    // each is a market, and says so itself; a start and a stop add nothing
    for store in [&one, &two, &datos(third.path())] {
        let market = on(store, &[]).await;
        let verdict = market.api.get("/transacciones/auditoria").await.json();
        assert_eq!((&verdict["correcto"], &verdict["transacciones"]), (&json!(true), &json!(3)), "{verdict}");
        stop(market).await;
    }
    assert_eq!(arrays(third.path()), before);
}

/// What a client may rely on, of a market that was moved.
async fn goes_on(api: &Api, keys: &[(u64, u64, &str)], bodies: &[Value], next: u64) {
    for ((user, token, key), body) in keys.iter().zip(bodies) {
        let again = compra(api, *user, *token).header("Idempotency-Key", key).await.expect(201);
        assert_eq!((again.header("Idempotency-Replayed"), again.json()), ("true", body.clone()));
        let other = compra(api, *user, 102).header("Idempotency-Key", key).await;
        other.assert_problem(422, "clave-reutilizada");
    }
    let saldo = api.get("/usuarios/3").await.json()["saldo"].clone();
    let abono = api.post("/usuarios/3/abonos").json(json!({"monto": 1000}));
    let abono = abono.header("Idempotency-Key", "abono-1").await;
    assert!(abono.status / 100 == 2, "{}", abono.text());
    assert_eq!(api.get("/usuarios/3").await.json()["saldo"], saldo, "it was made before");
    // the last id was given, and its token deleted
    let made = api.post("/tokens").json(json!({"nombre": "x", "precio": 1})).await.expect(201);
    assert_eq!(made.json()["id"], next);
    api.delete(&format!("/tokens/{next}")).await.expect(204);
}

#[tokio::test]
async fn keys_and_ids_go_on_where_they_were() {
    let (here, there) = (lived_in().await, TempDir::new().unwrap());
    let (url, _) = database(Server::shared()).await;
    let mut keys = vec![(1, 101, "ana-101"), (3, 106, "zoe-106")];
    let market = Process::on(here.clone(), &[]).await;
    let mut bodies = Vec::new();
    for (user, token, key) in &keys {
        let again = compra(&market.api, *user, *token).header("Idempotency-Key", key).await.expect(201);
        bodies.push(again.json());
    }
    let pages = async |api: &Api| -> Vec<Value> {
        let mut pages = vec![api.get("/transacciones?usuarioId=3").await.json()];
        for after in 1..=3 {
            pages.push(api.get(&format!("/transacciones?despues={after}")).await.json());
        }
        for user in 1..=3 {
            pages.push(json!(all(api, &format!("/usuarios/{user}/movimientos?limite=2")).await));
        }
        pages.push(json!(all(api, "/tokens?orden=nombre&limite=2").await));
        pages
    };
    let before = pages(&market.api).await;
    stop(market).await;

    migrar(&datos(here.path()), &url, 0);
    let market = on(&url, &[]).await;
    assert_eq!(pages(&market.api).await, before);
    goes_on(&market.api, &keys, &bodies, 108).await;
    let more = market.compra(3, 105).header("Idempotency-Key", "en-pg").await.expect(201).json();
    keys.push((3, 105, "en-pg"));
    bodies.push(more);
    let before = pages(&market.api).await;
    let user = market.api.post("/usuarios").json(json!({"nombre": "Eva", "saldo": 1})).await.expect(201);
    assert_eq!(user.json()["id"], 4);
    stop(market).await;

    migrar(&url, &datos(there.path()), 0);
    let market = on(&datos(there.path()), &[]).await;
    assert_eq!(pages(&market.api).await, before);
    goes_on(&market.api, &keys, &bodies, 109).await;
    let user = market.api.post("/usuarios").json(json!({"nombre": "Iván", "saldo": 1})).await.expect(201);
    assert_eq!(user.json()["id"], 5);
    market.compra(1, 103).await.assert_problem(409, "token-no-disponible");
}

/// The ids of a list, page by page.
async fn ids(api: &Api, first: &str) -> Vec<u64> {
    all(api, first).await.iter().map(|t| t["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_order_that_lists_have_shown_stays_where_it_is_not_that_of_ids() {
    let (server, seed) = (Server::shared(), filled(2, 20));
    let (url, name) = database(server).await;
    let arrays = seed.path().join("datos").display().to_string();
    let market = on(&url, &["--seed-dir", &arrays]).await;
    for token in 1..=8 {
        market.compra(1 + token % 2, token).await.expect(201);
    }
    // who lists gives places, and posts
    assert_eq!(ids(&market.api, "/transacciones").await.len(), 8);
    stop(market).await;
    // as if 3 had been committed after 5, and 7 after 8
    let place = "update transacciones.claves set asiento = -asiento;
                 update transacciones.claves set asiento = case id
                     when 3 then 5 when 4 then 3 when 5 then 4 when 7 then 8 when 8 then 7 else id end";
    server.execute(&name, place).await;
    let order = [1, 2, 4, 5, 3, 6, 8, 7];
    let shown = async |api: &Api, last: &[u64]| {
        let all: Vec<_> = order.iter().chain(last).copied().collect();
        assert_eq!(ids(api, "/transacciones?limite=3").await, all);
        let odd: Vec<_> = order.iter().copied().filter(|id| id % 2 == 1).collect();
        assert_eq!(ids(api, "/transacciones?usuarioId=2&limite=2").await[..odd.len()], odd);
        for (at, id) in order.iter().enumerate() {
            assert_eq!(ids(api, &format!("/transacciones?despues={id}&limite=1000")).await, all[at + 1..]);
        }
    };
    let market = on(&url, &[]).await;
    shown(&market.api, &[]).await;
    stop(market).await;

    let there = TempDir::new().unwrap();
    migrar(&url, &datos(there.path()), 0);
    let market = on(&datos(there.path()), &[]).await;
    shown(&market.api, &[]).await;
    // what comes now is behind all of them
    let new = market.compra(2, 9).await.expect(201).json()["id"].clone();
    shown(&market.api, &[new.as_u64().unwrap()]).await;
    stop(market).await;
    let (back, _) = database(server).await;
    migrar(&datos(there.path()), &back, 0);
    let market = on(&back, &[]).await;
    shown(&market.api, &[new.as_u64().unwrap()]).await;
    drop(market);

    // a place is another one's id: a person cannot take one of the two out of the file
    let file = there.path().join("datos/transacciones.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("\"lugar\"").count(), 5, "those that are not at their ids");
    let without: Vec<_> = text.lines().filter(|line| !line.starts_with("{\"id\":4,")).collect();
    std::fs::write(&file, without.join("\n")).unwrap();
    let (code, _, said) = run(there.path(), &["--port=0"]);
    assert!(code == 65 && said.contains("lugar 4"), "{said}");
}

/// Waits for recovery, then looks at the two holds that were left.
async fn settled(store: &str) {
    let market = on(store, &SOON).await;
    eventually(PATIENCE, async || {
        let verdict = read(&market.api, "/transacciones/auditoria").await.json();
        assert_eq!(verdict["correcto"], true, "{verdict}");
        (verdict["pendientes"] == 0).then_some(())
    })
    .await;
    assert_eq!(read(&market.api, "/tokens/102").await.json()["vendido"], false, "it was not committed");
    assert_eq!(read(&market.api, "/tokens/104").await.json()["vendido"], true, "it was");
    assert_eq!(read(&market.api, "/usuarios/2").await.json()["saldo"], 150 - 1 - 6);
    let again = market.compra(2, 104).header("Idempotency-Key", "viva").await.expect(201);
    assert_eq!(again.header("Idempotency-Replayed"), "true");
    market.compra(1, 102).await.assert_problem(409, "saldo-insuficiente");
    stop(market).await;
}

fn pending(dir: &Path) -> (usize, usize) {
    let all = arrays(dir);
    let cargos = all["movimientos"].iter().filter(|m| m["confirmado"] == false).count();
    (cargos, all["tokens"].iter().filter(|t| t["reserva"].is_object()).count())
}

#[tokio::test]
async fn tries_that_a_kill_left_are_settled_in_the_new_store() {
    let (here, there) = (lived_in().await, TempDir::new().unwrap());
    let (url, name) = database(Server::shared()).await;
    leave_tries(here.path()).await;
    let report = migrar(&datos(here.path()), &url, 0);
    assert!(report.contains("4 transacciones, 2 pending"), "{report}");
    migrar(&url, &datos(there.path()), 0);
    assert_eq!(pending(there.path()), (2, 2));
    settled(&url).await;
    settled(&datos(there.path())).await;
    // of a database in which nobody has given places or posted since
    Server::shared()
        .execute(
            &name,
            "insert into transacciones.claves (clave, usuario_id, token_id, id, numero, precio, fecha)
                 values ('tarde', 1, 105, 9, 1, 3, now());
             insert into usuarios.movimientos (usuario_id, id, tipo, efecto, fecha, clave, numero, confirmado)
                 values (1, 900, 'cargo', -3, now(), 'tarde', 1, true);
             update usuarios.usuarios set saldo = saldo - 3 where id = 1;
             update tokens.tokens set (estado, clave, numero, usuario_id, desde) =
                 ('reservado', 'tarde', 1, 1, now() - interval '1 minute') where id = 105",
        )
        .await;
    let late = TempDir::new().unwrap();
    migrar(&url, &datos(late.path()), 0);
    let market = on(&datos(late.path()), &SOON).await;
    assert_eq!(ids(&market.api, "/transacciones").await, [1, 2, 3, 4, 9]);
    eventually(PATIENCE, async || {
        (market.api.get("/tokens/105").await.json()["vendido"] == true).then_some(())
    })
    .await;
}
