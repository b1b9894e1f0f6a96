//! Bad input and trouble: what is no token, no password and no name of ours.

use super::{as_demo, buy, log_in, market, text};
use crate::helpers::Process;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_any_other_form_is_refused() {
    let market = market().await;
    let session = log_in(&market.api, "ana", "demo-ana").await.expect(201).json();
    let token = text(&session["token"]);
    let read =
        |token: &str| market.api.get("/usuarios/1").header("Authorization", &format!("Bearer {token}"));
    read(token).await.expect(200);
    let mut parts: Vec<_> = token.split('.').collect();
    let signature = parts.pop().unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for wrong in [
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{}.", parts.join(".")),
        format!("{}.{flipped}{}", parts.join("."), &signature[1..]),
        "x".repeat(8000),
        "a.b.c".to_owned(),
    ] {
        let answer = read(&wrong).await;
        answer.assert_problem(401, "no-autenticado");
        let shown = wrong.get(..20).unwrap_or(&wrong);
        assert!(!answer.text().contains(shown), "what came is not repeated: {}", answer.text());
    }
    let twice = read(token).header("Authorization", &format!("Bearer {token}")).await;
    twice.assert_problem(401, "no-autenticado");
    for query in ["access_token", "token"] {
        let path = format!("/usuarios/1?{query}={token}");
        market.api.get(&path).await.assert_problem(401, "no-autenticado");
        market
            .api
            .get(&path)
            .header("Authorization", &format!("Bearer {token}"))
            .await
            .assert_problem(401, "no-autenticado");
    }
    market
        .api
        .get("/tokens")
        .header("Authorization", "Bearer wrong")
        .await
        .assert_problem(401, "no-autenticado");
    market
        .api
        .get("/usuarios/1")
        .header("Authorization", "Basic YTpi")
        .await
        .assert_problem(401, "no-autenticado");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_and_a_wrong_password_are_the_same_answer() {
    let market = market().await;
    let mut answers = Vec::new();
    for (name, password) in [
        ("ana", "x"),
        ("nadie", "demo-ana"),
        ("аna", "demo-ana"),
        ("ana ", "demo-ana"),
        ("ana", "demo-luis"),
        ("", ""),
    ] {
        let answer = log_in(&market.api, name, password).await;
        if name.is_empty() {
            assert_eq!(answer.expect(422).fields(), ["contrasena", "nombre"]);
            continue;
        }
        let mut document = answer.assert_problem(401, "no-autenticado");
        document["solicitud"] = json!("");
        answers.push(document);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    log_in(&market.api, "ANA", "demo-ana").await.expect(201);
    log_in(&market.api, "ana", &"x".repeat(10_000)).await.assert_problem(413, "cuerpo-demasiado-grande");
    assert_eq!(log_in(&market.api, "ana", &"x".repeat(2000)).await.expect(422).fields(), ["contrasena"]);
    let fields = |body| market.api.post("/sesiones").json(body);
    assert_eq!(fields(json!({})).await.expect(422).fields(), ["contrasena", "nombre"]);
    assert_eq!(fields(json!({"nombre": "ana"})).await.expect(422).fields(), ["contrasena"]);
    let both = json!({"nombre": "ana", "contrasena": "demo-ana", "claveApi": "k"});
    assert_eq!(fields(both).await.expect(422).fields(), ["claveApi"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_not_count_where_a_session_an_account_or_an_api_key_is_made_and_is_refused() {
    let market = market().await;
    let tesorero = as_demo(&market.api, "tesorero").await;
    let account = json!({"nombre": "eva", "contrasena": "gato-cosmico", "usuarioId": 1});
    for call in [
        log_in(&market.api, "ana", "demo-ana"),
        tesorero.post("/sesiones/renovacion"),
        tesorero.post("/cuenta/claves-api").json(json!({"nombre": "k6"})),
        tesorero.post("/cuentas").json(account),
    ] {
        assert_eq!(call.header("Idempotency-Key", "k").await.expect(422).fields(), ["Idempotency-Key"]);
    }
    assert_eq!(tesorero.get("/cuenta/claves-api").await.expect(200).json(), json!([]));
    assert_eq!(tesorero.get("/cuentas").await.expect(200).json().as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_is_slowed_down_and_others_are_not() {
    let market = market().await;
    let mut waits = 0;
    for _ in 0..15 {
        let answer = log_in(&market.api, "ana", "guess").await;
        if answer.status == 429 {
            assert_eq!(answer.code(), "demasiados-intentos");
            assert!(answer.header("Retry-After").parse::<u32>().unwrap() >= 1);
            waits += 1;
        } else {
            answer.assert_problem(401, "no-autenticado");
        }
    }
    assert!((1..=5).contains(&waits), "{waits}");
    log_in(&market.api, "luis", "demo-luis").await.expect(201);
    let metrics = market.api.get("/metrics").await.expect(200);
    assert!(metrics.text().contains(&format!("logins_limited_total {waits}")), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_at_an_account_does_not_lock_its_owner_out() {
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(dir, &["--cuentas=si", "--behind-gateway=si"]).await;
    let from = |address: &str, password: &str| {
        log_in(&market.api, "ana", password).header("X-Forwarded-For", address)
    };
    let session = from("192.0.2.9", "demo-ana").await.expect(201).json();
    let mut refused = 0;
    for _ in 0..15 {
        refused += u32::from(from("192.0.2.2", "guess").await.status == 429);
    }
    assert!((1..=5).contains(&refused), "{refused}");
    // an attempt comes back now and then: what counts is a round that was quicker than the wait which the guess was told
    eventually(PATIENCE, async || {
        let asked = Instant::now();
        let guess = from("192.0.2.2", "guess").await;
        if guess.status != 429 {
            return None;
        }
        let wait: u64 = guess.header("Retry-After").parse().unwrap();
        // where she has been, and where she has not
        for address in ["192.0.2.9", "192.0.2.10"] {
            from(address, "demo-ana").await.expect(201);
        }
        let right = from("192.0.2.2", "demo-ana").await;
        (asked.elapsed() < Duration::from_secs(wait - 1)).then_some(right)
    })
    .await
    .assert_problem(429, "demasiados-intentos");
    let ana = market.api.clone().with_token(text(&session["token"]));
    let change = |actual: &str| {
        let body = json!({"actual": actual, "nueva": "gato-cosmico"});
        ana.put("/cuenta/contrasena").header("X-Forwarded-For", "192.0.2.2").json(body)
    };
    change("demo-ana").await.expect(201);
}

/// Each has a thread of its own, whose part of the heap would keep 19 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_ins_do_not_add_up_in_memory() {
    let market = market().await;
    as_demo(&market.api, "ana").await;
    let before = market.peak_memory();
    for _ in 0..6 {
        let logins: Vec<_> =
            (0..5).map(|_| tokio::spawn(log_in(&market.api, "ana", "demo-ana").attempt())).collect();
        for login in logins {
            login.await.unwrap().unwrap().expect(201);
        }
    }
    let grown = market.peak_memory() - before;
    assert!(grown < 40 << 20, "{} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_log_in_at_once_do_not_stop_the_others() {
    let dir = Arc::new(TempDir::new().unwrap());
    let market = Process::on(dir, &["--cuentas=si", "--workers=1"]).await;
    let ana = as_demo(&market.api, "ana").await;
    // each comes again until the others were seen: how long a hundred of them take is the machine's affair
    let stop = Arc::new(AtomicBool::new(false));
    let logins: Vec<_> = (0..100)
        .map(|n| {
            let (api, stop) = (market.api.clone(), Arc::clone(&stop));
            let name = if n % 2 == 0 { "luis" } else { "nadie" };
            tokio::spawn(async move {
                let mut seen = BTreeMap::<u16, usize>::new();
                loop {
                    let status = log_in(&api, name, "demo-luis").await.status;
                    *seen.entry(status).or_default() += 1;
                    if stop.load(Ordering::Relaxed) {
                        return seen;
                    }
                    if status == 429 {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            })
        })
        .collect();
    let waiting = async || {
        let metrics = market.api.get("/metrics").await.expect(200);
        let line =
            metrics.text().lines().find_map(|line| line.strip_prefix("logins_waiting ")).unwrap().to_owned();
        line.parse::<u64>().unwrap()
    };
    // they are answered while others wait
    eventually(PATIENCE, async || {
        let before = waiting().await;
        market.api.get("/tokens").await.expect(200);
        buy(&ana, 101).header("Idempotency-Key", "k").await.expect(201);
        (before > 5 && waiting().await > 0).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut seen = BTreeMap::<u16, usize>::new();
    for login in logins {
        for (status, times) in login.await.unwrap() {
            *seen.entry(status).or_default() += times;
        }
    }
    assert!(seen.keys().all(|status| matches!(status, 201 | 401 | 429)), "{seen:?}");
    assert!(seen[&201] >= 10, "{seen:?}");
}
