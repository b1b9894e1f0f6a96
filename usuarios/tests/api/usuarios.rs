//! `/usuarios` and `/usuarios/{id}`.

use crate::helpers::{MAX, TestApp};
use serde_json::json;

#[tokio::test]
async fn the_seed_is_there_as_it_stands_in_the_file() {
    let app = TestApp::seeded().await;
    let list = app.api.get("/usuarios").await.expect(200);
    assert_eq!(list.text(), r#"[{"id":1,"nombre":"Ana","saldo":100},{"id":2,"nombre":"Luis","saldo":150}]"#);
    assert_eq!(list.header("Content-Type"), "application/json");
    assert_eq!(list.header("X-Total-Count"), "2");
    assert_eq!(list.next(), None);
    let one = app.api.get("/usuarios/2").await.expect(200);
    assert_eq!(one.text(), r#"{"id":2,"nombre":"Luis","saldo":150}"#);
    assert_eq!((app.balanced_saldo(1).await, app.balanced_saldo(2).await), (100, 150));
}

#[tokio::test]
async fn what_is_created_is_found_where_location_says() {
    let app = TestApp::start().await;
    assert_eq!(app.api.get("/usuarios").await.expect(200).text(), "[]");
    let made = app.api.post("/usuarios").json(json!({"nombre": "  Zoë ", "saldo": MAX})).await.expect(201);
    assert_eq!(made.json(), json!({"id": 1, "nombre": "Zoë", "saldo": MAX}));
    assert_eq!(made.header("Location"), "/usuarios/1");
    assert_eq!(app.api.get(made.header("Location")).await.expect(200).json(), made.json());
    assert_eq!(app.create("cero", 0).await, 2, "ids go up");
    assert_eq!(app.balanced_saldo(2).await, 0);
    // 7.0 is seven: JSON knows one kind of number
    let text = r#"{"nombre":"siete","saldo":7.0}"#;
    let made =
        app.api.post("/usuarios").header("Content-Type", "Application/JSON; charset=utf-8").body(text).await;
    assert_eq!(made.expect(201).json()["saldo"], 7);
}

#[tokio::test]
async fn a_key_does_not_count_here_and_is_refused() {
    let app = TestApp::start().await;
    for (body, fields) in [
        (json!({"nombre": "Zoe", "saldo": 1}), &["Idempotency-Key"][..]),
        (json!({"nombre": "Zoe", "saldo": -1}), &["Idempotency-Key", "saldo"]),
    ] {
        let refused = app.api.post("/usuarios").header("Idempotency-Key", "k").json(body).await;
        refused.assert_problem(422, "datos-invalidos");
        assert_eq!(refused.fields(), fields);
    }
    assert_eq!(app.api.get("/usuarios").await.expect(200).text(), "[]");
}

#[tokio::test]
async fn a_new_name_changes_the_name_alone() {
    let app = TestApp::seeded().await;
    let renamed = app.api.patch("/usuarios/1").json(json!({"nombre": "Ana María"})).await.expect(200);
    assert_eq!(renamed.json(), json!({"id": 1, "nombre": "Ana María", "saldo": 100}));
    assert_eq!(app.api.get("/usuarios/1").await.json(), renamed.json());
    assert_eq!(app.balanced_saldo(1).await, 100);
    let unknown = app.api.patch("/usuarios/9").json(json!({"nombre": "Nadie"})).await;
    unknown.assert_problem(404, "usuario-no-encontrado");
}

#[tokio::test]
async fn a_user_that_is_not_there_is_404() {
    let app = TestApp::start().await;
    let document = app.api.get("/usuarios/1").await.assert_problem(404, "usuario-no-encontrado");
    assert_eq!(document["title"], "No existe este usuario");
    app.api.get(&format!("/usuarios/{MAX}")).await.assert_problem(404, "usuario-no-encontrado");
}

#[tokio::test]
async fn pages_lead_to_the_last_row_and_none_comes_twice() {
    let app = TestApp::start().await;
    for n in 1..=23 {
        app.create(&format!("u{n}"), n).await;
    }
    for limit in [1, 5, 23, 24, 1000] {
        let mut path = format!("/usuarios?limite={limit}");
        let mut ids = Vec::new();
        loop {
            let page = app.api.get(&path).await.expect(200);
            assert_eq!(page.header("X-Total-Count"), "23");
            let rows = page.json();
            assert!(rows.as_array().unwrap().len() <= limit);
            ids.extend(rows.as_array().unwrap().iter().map(|u| u["id"].as_u64().unwrap()));
            let Some(next) = page.next() else { break };
            assert_eq!(rows.as_array().unwrap().len(), limit, "a page that is not the last is full");
            path = next;
        }
        assert_eq!(ids, (1..=23).collect::<Vec<_>>(), "limite={limit}");
    }
    assert_eq!(app.api.get("/usuarios?despues=23").await.expect(200).text(), "[]");
    assert_eq!(app.api.get("/usuarios?despues=20&limite=2").await.json()[1]["id"], 22);
}

#[tokio::test]
async fn a_row_that_comes_while_somebody_pages_shifts_nothing() {
    let app = TestApp::seeded().await;
    let first = app.api.get("/usuarios?limite=1").await.expect(200);
    app.create("Eva", 1).await;
    let second = app.api.get(&first.next().unwrap()).await.expect(200);
    assert_eq!(second.json()[0]["id"], 2);
    assert_eq!(app.api.get(&second.next().unwrap()).await.json()[0]["id"], 3);
}

#[tokio::test]
async fn a_hundred_rows_where_nobody_says_how_many() {
    let app = TestApp::start().await;
    let all = (0..101).map(|n| app.create("u", n));
    futures_util::future::join_all(all).await;
    let page = app.api.get("/usuarios").await.expect(200);
    assert_eq!(page.json().as_array().unwrap().len(), 100);
    assert_eq!(page.next().as_deref(), Some("/usuarios?despues=100"));
}
