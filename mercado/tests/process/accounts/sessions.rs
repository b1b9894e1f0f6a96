//! Logging in and out, renewing, passwords and API keys; and what a purchase has to do with them.

use super::{as_demo, buy, log_in, market, text};
use crate::helpers::Process;
use market::accounts::rules::Role;
use market::accounts::token::{Claims, LEEWAY, SEED, Signer, Subject};
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::raw::RawConnection;
use testkit::{Api, HttpAnswer, PATIENCE};

/// The cookie that an answer sets: `name=value`.
fn cookie(answer: &HttpAnswer) -> String {
    answer.header("Set-Cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ana_buys_for_herself_and_luis_cannot_buy_for_her() {
    let market = market().await;
    let session = log_in(&market.api, "Ana", "demo-ana").await.expect(201);
    assert_eq!(session.header("Cache-Control"), "no-store");
    assert_eq!(session.header("Set-Cookie"), "", "a cookie is asked for");
    let session = session.json();
    assert_eq!((&session["usuarioId"], &session["roles"]), (&json!(1), &json!(["comprador"])));
    let (ana, luis) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "luis").await);
    let who = ana.get("/cuenta").await.expect(200).json();
    assert_eq!(
        (&who["cuentas"], &who["nombre"], &who["usuarioId"]),
        (&json!(true), &json!("ana"), &json!(1))
    );

    // one key of two people is two keys
    let bought = buy(&ana, 101).header("Idempotency-Key", "k").await.expect(201).json();
    assert_eq!(bought["usuarioId"], 1);
    let other = buy(&luis, 102).header("Idempotency-Key", "k").await.expect(201).json();
    assert_eq!(other["usuarioId"], 2);
    let again = buy(&ana, 101).header("Idempotency-Key", "k").await.expect(201);
    assert_eq!((again.header("Idempotency-Replayed"), &again.json()["id"]), ("true", &bought["id"]));
    let reused = buy(&ana, 102).header("Idempotency-Key", "k").await;
    let document = reused.assert_problem(422, "clave-reutilizada");
    assert!(text(&document["detail"]).contains("«k»"), "by the name that she gave it: {document}");

    let for_ana = luis.post("/transacciones").json(json!({"usuarioId": 1, "tokenId": 102})).await;
    for_ana.assert_problem(403, "prohibido");
    luis.get("/usuarios/1").await.assert_problem(403, "prohibido");
    luis.get(&format!("/transacciones/{}", bought["id"]))
        .await
        .assert_problem(404, "transaccion-no-encontrada");
    let listed = luis.get("/transacciones").await.expect(200).json();
    assert_eq!(listed, json!([other]), "his own only");
    assert_eq!(ana.get("/usuarios/1").await.expect(200).json()["saldo"], 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_no_query_refuses_one_and_does_nothing() {
    let market = market().await;
    let ana = as_demo(&market.api, "ana").await;
    for answer in [
        ana.post("/sesiones/renovacion?color=rojo").await,
        ana.delete("/sesiones?color=rojo").await,
        ana.get("/cuenta?color=rojo").await,
        ana.get("/cuenta/claves-api?color=rojo").await,
    ] {
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), ["color"]);
    }
    ana.get("/cuenta?%74oken=x").await.assert_problem(401, "no-autenticado");
    ana.post("/sesiones/renovacion").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_ended_is_not_renewed_and_buys_nothing() {
    let market = market().await;
    let (one, two) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "ana").await);
    let renewed = one.post("/sesiones/renovacion").await.expect(201).json();
    let renewed = market.api.clone().with_token(text(&renewed["token"]));
    one.delete("/sesiones").await.expect(204);
    for ended in [&one, &renewed] {
        ended.post("/sesiones/renovacion").await.assert_problem(403, "sesion-terminada");
        buy(ended, 101).await.assert_problem(403, "sesion-terminada");
        assert_eq!(ended.get("/cuenta").await.expect(200).json(), json!({"cuentas": true}));
    }
    buy(&two, 101).await.expect(201);
    let auditor = as_demo(&market.api, "auditor").await;
    let verdict = auditor.get("/transacciones/auditoria").await.expect(200).json();
    assert_eq!((&verdict["correcto"], &verdict["transacciones"]), (&json!(true), &json!(1)), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_account_spends_nothing_although_its_token_is_valid() {
    let market = market().await;
    let (ana, tesorero) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "tesorero").await);
    for others in ["tesorero", "auditor"] {
        let answer = tesorero.delete(&format!("/cuentas/{others}")).await;
        let document = answer.assert_problem(403, "prohibido");
        assert!(text(&document["detail"]).contains("cuentas de compradores"), "{document}");
    }
    tesorero.delete("/cuentas/nadie").await.assert_problem(404, "cuenta-no-encontrada");
    tesorero.delete("/cuentas/ANA").await.expect(204);
    buy(&ana, 101).await.assert_problem(403, "sesion-terminada");
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    // her usuario can have another account, under another name
    let new = |nombre: &str| {
        tesorero
            .post("/cuentas")
            .json(json!({"nombre": nombre, "contrasena": "gato-cosmico", "usuarioId": 1}))
    };
    new("ana").await.assert_problem(409, "cuenta-existente");
    new("ana2").await.expect(201);
    new("ana3").await.assert_problem(409, "cuenta-existente");
    let unknown = tesorero
        .post("/cuentas")
        .json(json!({"nombre": "eva", "contrasena": "gato-cosmico", "usuarioId": 77}));
    unknown.await.assert_problem(404, "usuario-no-encontrado");
    let session = log_in(&market.api, "ana2", "gato-cosmico").await.expect(201).json();
    buy(&market.api.clone().with_token(text(&session["token"])), 101).await.expect(201);
    let all = tesorero.get("/cuentas").await.expect(200);
    assert!(!all.text().contains("argon2"), "{}", all.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_logged_out_writes_nothing_although_the_token_is_valid() {
    let market = market().await;
    let (ana, tesorero) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "tesorero").await);
    let publicador = as_demo(&market.api, "publicador").await;
    let patch = |api: &Api, path: &str| api.call(reqwest::Method::PATCH, path);
    for api in [&ana, &tesorero, &publicador] {
        api.delete("/sesiones").await.expect(204);
    }
    for write in [
        patch(&ana, "/usuarios/1").json(json!({"nombre": "Eva"})),
        tesorero.post("/usuarios").json(json!({"nombre": "Eva", "saldo": 5})),
        tesorero.post("/usuarios/1/abonos").json(json!({"monto": 5})),
        tesorero.post("/cuentas").json(json!({"nombre": "eva", "contrasena": "gato-cosmico"})),
        tesorero.delete("/cuentas/ana"),
        publicador.post("/tokens").json(json!({"nombre": "Sol", "precio": 1})),
        patch(&publicador, "/tokens/101").json(json!({"precio": 1})),
        publicador.delete("/tokens/101"),
    ] {
        write.await.assert_problem(403, "sesion-terminada");
    }
    tesorero.get("/usuarios").await.expect(200);
    assert_eq!(market.api.get("/tokens/101").await.expect(200).json()["precio"], 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_purchases_shows_a_token_again_when_it_has_ended() {
    let seed = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let market =
        Process::on(Arc::new(TempDir::new().unwrap()), &["--cuentas=si", "--signing-seed", seed]).await;
    let subject = Subject {
        account: 5,
        usuario_id: None,
        roles: vec![Role::Auditor],
        version: 1,
        sid: 1,
        api_key: None,
        auth_time: 0,
    };
    let (mut token, mut stream) = (String::new(), Vec::new());
    // on a machine that stands still the first ones may end before they arrive
    for seconds in [2, 4, 8, 16] {
        let mut claims = Claims::new(subject.clone(), chrono::Utc::now().timestamp());
        claims.exp = claims.iat + seconds - LEEWAY;
        token = Signer::of(&[7; SEED]).unwrap().sign(&claims).unwrap();
        let mut follower = RawConnection::open(market.api.base.trim_start_matches("http://")).await.unwrap();
        let head = format!("Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
        follower.send(format!("GET /transacciones/eventos HTTP/1.1\r\n{head}")).await.unwrap();
        stream = tokio::time::timeout(PATIENCE, follower.rest()).await.expect("an end").unwrap();
        if !stream.starts_with(b"HTTP/1.1 401 ") {
            break;
        }
    }
    assert!(stream.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&stream));
    market.api.clone().with_token(&token).get("/transacciones").await.assert_problem(401, "no-autenticado");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_ends_all_sessions() {
    let market = market().await;
    let (one, two) = (as_demo(&market.api, "ana").await, as_demo(&market.api, "ana").await);
    let change = |actual: &str, nueva: &str| {
        one.call(reqwest::Method::PUT, "/cuenta/contrasena").json(json!({"actual": actual, "nueva": nueva}))
    };
    assert_eq!(change("demo-luis", "gato-cosmico").await.expect(422).fields(), ["actual"]);
    // the last two stand in the README
    for nueva in ["x", &"x".repeat(129), "demo-ana", "demo-luis"] {
        assert_eq!(change("demo-ana", nueva).await.expect(422).fields(), ["nueva"]);
    }
    let session = change("demo-ana", "gato-cosmico").await.expect(201).json();
    for ended in [buy(&two, 101), two.post("/sesiones/renovacion")] {
        let document = ended.await.assert_problem(403, "sesion-terminada");
        assert!(text(&document["detail"]).contains("se cambió la contraseña"), "{document}");
    }
    buy(&market.api.clone().with_token(text(&session["token"])), 101).await.expect(201);
    log_in(&market.api, "ana", "demo-ana").await.assert_problem(401, "no-autenticado");
    log_in(&market.api, "ana", "gato-cosmico").await.expect(201);
}

/// As a Mac sends it: each syllable in three parts, of three bytes each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_taken_logs_in_as_it_was_typed() {
    let market = market().await;
    let ana = as_demo(&market.api, "ana").await;
    let (typed, same) = ("\u{1112}\u{1161}\u{11ab}".repeat(114), "한".repeat(114));
    let change = |api: &Api, actual: &str, nueva: &str| {
        api.put("/cuenta/contrasena").json(json!({"actual": actual, "nueva": nueva}))
    };
    change(&ana, "demo-ana", &typed).await.expect(201);
    for password in [&typed, &same] {
        log_in(&market.api, "ana", password).await.expect(201);
    }
    let session = log_in(&market.api, "ana", &typed).await.expect(201).json();
    let ana = market.api.clone().with_token(text(&session["token"]));
    change(&ana, &typed, "gato-cosmico").await.expect(201);
    log_in(&market.api, "ana", "gato-cosmico").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_logs_in_until_it_is_revoked() {
    let market = market().await;
    let ana = as_demo(&market.api, "ana").await;
    let made = ana.post("/cuenta/claves-api").json(json!({"nombre": "k6"})).await.expect(201).json();
    let key = text(&made["claveApi"]);
    let by_key = |key: &str| market.api.post("/sesiones").json(json!({"claveApi": key}));
    let listed = ana.get("/cuenta/claves-api").await.expect(200);
    assert!(!listed.text().contains(key) && listed.json()[0]["uso"].is_null(), "{}", listed.text());
    let session = by_key(key).await.expect(201).json();
    let program = market.api.clone().with_token(text(&session["token"]));
    assert!(ana.get("/cuenta/claves-api").await.expect(200).json()[0]["uso"].is_string());
    buy(&program, 101).await.expect(201);
    // a program's key does not make others
    program.post("/cuenta/claves-api").json(json!({"nombre": "x"})).await.assert_problem(403, "prohibido");
    let password = json!({"actual": "demo-ana", "nueva": "gato-cosmico"});
    program
        .call(reqwest::Method::PUT, "/cuenta/contrasena")
        .json(password)
        .await
        .assert_problem(403, "prohibido");

    // one in sixteen ends with an A
    let end = if key.ends_with('A') { 'E' } else { 'A' };
    let other = format!("{}{end}", &key[..key.len() - 1]);
    for wrong in [
        "",
        "mdt_1_1_",
        "mdt_1_2_x",
        &other,
        &key[..key.len() - 1],
        &format!("{key}A"),
        &key.replacen("_1_", "_2_", 1),
    ] {
        let status = by_key(wrong).await.status;
        assert!(matches!(status, 401 | 422), "{wrong}: {status}");
    }
    ana.delete(&format!("/cuenta/claves-api/{}", made["id"])).await.expect(204);
    by_key(key).await.assert_problem(401, "no-autenticado");
    buy(&program, 102).await.assert_problem(403, "sesion-terminada");
    for nobodys in ["1", "4294967296", "9007199254740991"] {
        let path = format!("/cuenta/claves-api/{nobodys}");
        let document = ana.delete(&path).await.assert_problem(404, "clave-no-encontrada");
        assert!(!document.to_string().contains("esta cuenta"), "{document}");
    }
    for n in 0..20 {
        ana.post("/cuenta/claves-api").json(json!({"nombre": format!("k{n}")})).await.expect(201);
    }
    ana.post("/cuenta/claves-api")
        .json(json!({"nombre": "k"}))
        .await
        .assert_problem(409, "demasiadas-claves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browsers_cookie_is_its_own_and_writes_from_the_own_page_only() {
    let market = market().await;
    let api: &Api = &market.api;
    let own = api.base.as_str();
    let body = json!({"nombre": "ana", "contrasena": "demo-ana", "cookie": true});
    api.post("/sesiones").json(&body).await.assert_problem(403, "origen-no-permitido");
    let evil = api.post("/sesiones").json(&body).header("Origin", "http://evil.example").await;
    evil.assert_problem(403, "origen-no-permitido");
    let session = api.post("/sesiones").json(&body).header("Origin", own).await.expect(201);
    assert!(session.json()["token"].is_null(), "what runs in the page does not see it");
    let set = session.header("Set-Cookie");
    for part in ["sesion=ey", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(
        !set.contains("Secure") && !set.contains("__Host-"),
        "without TLS a browser would not take it: {set}"
    );
    let cookie = cookie(&session);

    assert_eq!(api.get("/cuenta").header("Cookie", &cookie).await.expect(200).json()["nombre"], "ana");
    buy(api, 101).header("Cookie", &cookie).await.assert_problem(403, "origen-no-permitido");
    buy(api, 101).header("Cookie", &cookie).header("Origin", own).await.expect(201);
    let both = api.get("/usuarios/1").header("Cookie", &cookie).header("Authorization", "Bearer x.y.z").await;
    both.assert_problem(401, "no-autenticado");
    // neither is wrong, and they are two people
    let luis = as_demo(api, "luis").await.get("/cuenta").header("Cookie", &cookie).await;
    luis.assert_problem(401, "no-autenticado");
    let twice = api.get("/usuarios/1").header("Cookie", &format!("{cookie}; {cookie}")).await;
    twice.assert_problem(401, "no-autenticado");
    // an old cookie comes without being asked for, and hides nothing that everybody may see
    api.get("/tokens").header("Cookie", "sesion=old").await.expect(200);
    api.get("/usuarios/1").header("Cookie", "sesion=old").await.assert_problem(401, "no-autenticado");
    let renewed =
        api.post("/sesiones/renovacion").header("Cookie", &cookie).header("Origin", own).await.expect(201);
    assert!(renewed.header("Set-Cookie").starts_with("sesion=ey") && renewed.json()["token"].is_null());
    let out = api.delete("/sesiones").header("Cookie", &cookie).header("Origin", own).await.expect(204);
    assert!(
        out.header("Set-Cookie").starts_with("sesion=;") && out.header("Set-Cookie").contains("Max-Age=0")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_with_tls_the_cookie_is_of_this_host_only() {
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(dir, &["--cuentas=si", "--behind-gateway=si"]).await;
    let body = json!({"nombre": "ana", "contrasena": "demo-ana", "cookie": true});
    let session = market.api.post("/sesiones").json(&body).header("Origin", &market.api.base);
    let session = session.header("X-Forwarded-Proto", "https").await.expect(201);
    let set = session.header("Set-Cookie");
    assert!(
        set.starts_with("__Host-sesion=ey") && set.contains("; Secure") && set.contains("Path=/"),
        "{set}"
    );
    let cookie = cookie(&session);
    let who = market.api.get("/cuenta").header("Cookie", &cookie).header("X-Forwarded-Proto", "https");
    assert_eq!(who.await.expect(200).json()["nombre"], "ana");
    let plain = market.api.get("/cuenta").header("Cookie", &cookie.replace("__Host-", ""));
    let plain = plain.header("X-Forwarded-Proto", "https").await.expect(200).json();
    assert_eq!(plain, json!({"cuentas": true}), "a cookie that any page could set does not count there");
}
