//! Every operation, as every role, for one's own and for another's: what the table says is what happens.

use super::{as_demo, buy, is_allowed, market};
use market::accounts::rules::{Grant, OPEN, RULES, Role, Rule};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Api, Call, HttpAnswer};

/// The account of the sample market that has a role, and no other.
fn account(role: Role) -> Option<&'static str> {
    match role {
        Role::Visitor => None,
        Role::Buyer => Some("ana"),
        Role::Publisher => Some("publicador"),
        Role::Treasurer => Some("tesorero"),
        Role::Auditor => Some("auditor"),
    }
}

/// A call of an operation, for what is of `usuario` and of the purchase `compra`.
fn call(api: &Api, rule: &Rule, usuario: u64, compra: u64) -> Call {
    let path = match rule.path {
        "/usuarios/{id}" | "/usuarios/{id}/abonos" | "/usuarios/{id}/movimientos" => {
            rule.path.replace("{id}", &usuario.to_string())
        }
        "/transacciones/{id}" => rule.path.replace("{id}", &compra.to_string()),
        "/transacciones" if rule.method == "GET" => format!("{}?usuarioId={usuario}", rule.path),
        path => path.replace("{id}", "102").replace("{nombre}", "nadie"),
    };
    let body = match (rule.method, rule.path) {
        ("POST", "/transacciones") => Some(json!({"usuarioId": usuario, "tokenId": 999})),
        ("POST", "/usuarios") => Some(json!({"nombre": "Eva", "saldo": 1})),
        ("PATCH", "/usuarios/{id}") => Some(json!({"nombre": "Otra"})),
        ("POST", "/usuarios/{id}/abonos") => Some(json!({"monto": 1})),
        ("POST", "/tokens") => Some(json!({"nombre": "Roca", "precio": 1})),
        ("PATCH", "/tokens/{id}") => Some(json!({"precio": 7})),
        ("POST", "/cuentas") => {
            Some(json!({"nombre": "eva", "contrasena": "gato-cosmico", "usuarioId": 999}))
        }
        ("PUT", "/cuenta/contrasena") => Some(json!({"actual": "no es", "nueva": "gato-cosmico"})),
        ("POST", "/cuenta/claves-api") => Some(json!({"nombre": "k6"})),
        _ => None,
    };
    // a stream would not end; its head says as much
    let method = if rule.path.ends_with("/eventos") { Method::HEAD } else { rule.method.parse().unwrap() };
    match body {
        Some(body) => api.call(method, &path).json(body),
        None => api.call(method, &path),
    }
}

#[track_caller]
fn assert_refused(answer: &HttpAnswer, rule: &Rule, role: Role) {
    let what = format!("{} {} as {role}", rule.method, rule.path);
    if rule.path.ends_with("/eventos") {
        assert!(!is_allowed(answer), "{what}");
    } else if role == Role::Visitor {
        answer.assert_problem(401, "no-autenticado");
    } else {
        answer.assert_problem(403, "prohibido");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_does_what_the_table_says_for_every_role() {
    let market = market().await;
    let (ana, luis) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "luis").await);
    buy(&luis, 101).await.expect(201);
    // what would be Ana's: there is no such purchase, and of Luis' one she is told the same
    let (mine, another) = (2, 1);
    for role in Role::ALL {
        let api = match account(role) {
            None => market.api.clone(),
            Some("ana") => ana.clone(),
            Some(name) => as_demo(&market.api, name).await,
        };
        for rule in RULES {
            let what = format!("{} {} as {role}", rule.method, rule.path);
            let (own, other) = (call(&api, rule, 1, mine).await, call(&api, rule, 2, another).await);
            match rule.grant(&[role]) {
                Grant::No => {
                    assert_refused(&own, rule, role);
                    assert_refused(&other, rule, role);
                }
                Grant::All => {
                    assert!(is_allowed(&own), "{what}: {}", own.text());
                    assert!(is_allowed(&other), "{what}: {}", other.text());
                }
                Grant::Own => {
                    assert!(is_allowed(&own) || own.code() == "sesion-terminada", "{what}: {}", own.text());
                    match rule.path {
                        // to say 403 would say that there is one
                        "/transacciones/{id}" => {
                            other.assert_problem(404, "transaccion-no-encontrada");
                            assert_eq!(own.status, 404);
                        }
                        path if path.starts_with("/usuarios") || path == "/transacciones" => {
                            assert_refused(&other, rule, role);
                        }
                        // there is no way to name another's account
                        _ => assert!(is_allowed(&other) || other.code() == "sesion-terminada", "{what}"),
                    }
                }
            }
            if rule.method == "GET" && !rule.path.ends_with("/eventos") {
                let head = api.head(rule.path.replace("{id}", "1").as_str()).await;
                let get = api.get(rule.path.replace("{id}", "1").as_str()).await;
                assert_eq!(head.status, get.status, "HEAD {what}");
            }
        }
    }
    let verdict =
        as_demo(&market.api, "auditor").await.get("/transacciones/auditoria").await.expect(200).json();
    assert_eq!((&verdict["correcto"], &verdict["transacciones"]), (&json!(true), &json!(1)), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_has_the_table() {
    let market = market().await;
    let api = market.api.get("/openapi.json").await.expect(200).json();
    let mut described = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let rule = RULES.iter().find(|rule| (rule.method, rule.path) == (method.as_str(), path.as_str()));
            let open = OPEN.contains(&(method.as_str(), path.as_str()));
            assert!(rule.is_some() != open, "{method} {path} has one place in the table");
            let needs_session = rule.is_some_and(|rule| rule.grants[0] == Grant::No);
            assert_eq!(operation["security"].is_array(), needs_session, "{method} {path}");
            let says = |status: &str| operation["responses"][status].is_object();
            // a token that does not count is refused also where none is needed
            assert_eq!(says("401"), rule.is_some() || path == "/sesiones", "{method} {path}");
            assert_eq!(says("403"), needs_session || path == "/sesiones", "{method} {path}");
            described.insert((method, path.clone()));
        }
    }
    for rule in RULES {
        assert!(described.contains(&(rule.method.to_owned(), rule.path.to_owned())), "{rule:?}");
    }
    assert!(api["components"]["securitySchemes"]["token"].is_object());
}

/// Without accounts the market is as it was, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_accounts_nobody_logs_in_and_everybody_says_who_they_are() {
    let market = crate::helpers::Process::start().await;
    assert_eq!(market.api.get("/cuenta").await.expect(200).json(), json!({"cuentas": false}));
    market.api.post("/sesiones").json(json!({})).await.assert_problem(404, "ruta-no-encontrada");
    market.api.get("/.well-known/jwks.json").await.assert_problem(404, "ruta-no-encontrada");
    market.compra(1, 101).header("Authorization", "Bearer whatever").await.expect(201);
    let refused = buy(&market.api, 102).await;
    refused.assert_problem(422, "datos-invalidos");
    assert_eq!(refused.fields(), ["usuarioId"]);
    let api = market.api.get("/openapi.json").await.expect(200).json();
    let required = &api["components"]["schemas"]["CompraNueva"]["required"];
    assert!(required.as_array().unwrap().contains(&Value::from("usuarioId")), "{required}");
    assert!(api["paths"]["/sesiones"].is_null());
}
