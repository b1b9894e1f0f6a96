//! The memory that records may take: what is refused beyond it, what goes on, and that the count is true.

use crate::helpers::{Process, all, array, filled};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::{Api, Call};

/// What the market may take in these tests.
const MIB: u64 = 2;
const OPTION: &str = "--store-memory-mib=2";
const CLIENTS: u64 = 64;

/// A name and a file name as long as they may be, in characters of three bytes.
fn long_token(api: &Api) -> Call {
    let (nombre, imagen) = ("猫".repeat(85), format!("{}.png", "a".repeat(251)));
    api.post("/tokens").json(json!({"nombre": nombre, "precio": 1, "imagen": imagen}))
}

/// One number of `/metrics`.
async fn metric(api: &Api, name: &str) -> u64 {
    let text = api.get("/metrics").await.expect(200).text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Posts until the market is full; how many were taken.
async fn post_until_full(api: Api) -> u64 {
    for taken in 0..100_000 {
        let answer = long_token(&api).await;
        if answer.status != 201 {
            answer.assert_problem(507, "almacen-lleno");
            return taken;
        }
    }
    panic!("it is never full")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_market_refuses_what_adds_goes_on_selling_and_starts_again() {
    let dir = filled(10, 200);
    let market = Process::on(Arc::clone(&dir), &[OPTION]).await;
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(post_until_full(Api::new(market.address)))).collect();
    let mut taken = 0;
    for client in clients {
        taken += client.await.unwrap();
    }
    assert!((1000..3000).contains(&taken), "{taken} tokens of about 1.1 KB in {MIB} MiB");
    let api = &market.api;
    assert_eq!(metric(api, "store_memory_budget_bytes").await, MIB << 20);
    assert!(metric(api, "journal_tokens_full_total").await >= CLIENTS);
    let full = async |call: Call| call.await.assert_problem(507, "almacen-lleno");
    // what is smaller than a long token may have found room
    let zoe = || api.post("/usuarios").json(json!({"nombre": "Zoe", "saldo": 1000}));
    while zoe().await.status == 201 {}
    full(zoe()).await;
    let long_key = "k".repeat(250);
    let abono = api.post("/usuarios/1/abonos").json(json!({"monto": 1}));
    full(abono.header("Idempotency-Key", &long_key)).await;
    // a refusal that would have to be kept for its key is none: nobody fills the reserve with such keys
    let beyond = || market.compra(1, 9_999_999);
    full(beyond().header("Idempotency-Key", &long_key)).await;
    beyond().await.assert_problem(404, "token-no-encontrado");
    for token in 1..=40 {
        market
            .compra(token % 10 + 1, token)
            .header("Idempotency-Key", &format!("k{token}"))
            .await
            .expect(201);
    }
    let used = metric(api, "store_memory_bytes").await;
    assert!(used > MIB << 20 && used < (MIB << 20) * 124 / 100, "{used}");
    market.kill();

    let market = Process::on(Arc::clone(&dir), &[OPTION]).await;
    let api = &market.api;
    assert_eq!(all(api, "/tokens?limite=1000").await.len() as u64, 200 + taken);
    assert_eq!(crate::helpers::check(api, 1000).await.len(), 40);
    // the same records come to the same number
    let again = metric(api, "store_memory_bytes").await;
    assert!(again.abs_diff(used) < 1000, "{used} before, {again} after a restart");
    full(long_token(api)).await;
    market.compra(1, 41).await.expect(201);
    // what is taken away makes room
    for id in 300..400 {
        api.delete(&format!("/tokens/{id}")).await.expect(204);
    }
    long_token(api).await.expect(201);
    market.signal("TERM");
    assert!(market.end().await.success());
    assert_eq!(array(dir.path(), "tokens").len() as u64, 200 + taken - 100 + 1);
}

/// Records as a market keeps them, with long texts.
fn records(kind: &str, n: u64) -> Vec<(&'static str, Value)> {
    let key = |id: u64| format!("{}{id}", "k".repeat(100));
    let of = |make: &dyn Fn(u64) -> Value| Value::Array((1..=n).map(make).collect());
    let date = "2025-09-10T17:00:00Z";
    match kind {
        "tokens" => vec![(
            "tokens",
            of(&|id| {
                let nombre = format!("{}{id}", "猫".repeat(80));
                json!({"id": id, "nombre": nombre, "imagen": "a".repeat(250), "precio": id % 100, "vendido": false})
            }),
        )],
        "short tokens" => vec![(
            "tokens",
            of(
                &|id| json!({"id": id, "nombre": format!("Gato {id}"), "imagen": "gato.png", "precio": id % 100, "vendido": false}),
            ),
        )],
        "ventas" => vec![(
            "tokens",
            of(&|id| {
                json!({"id": id, "nombre": format!("Gato {id}"), "imagen": "gato.png", "precio": 5, "vendido": true,
                "venta": {"intento": format!("{}#1", key(id)), "usuarioId": 1, "fecha": date}})
            }),
        )],
        "usuarios" => vec![(
            "usuarios",
            of(&|id| json!({"id": id, "nombre": format!("{}{id}", "猫".repeat(80)), "saldo": 5})),
        )],
        "cargos" => vec![
            ("usuarios", json!([{"id": 1, "nombre": "Ana", "saldo": 5}])),
            (
                "movimientos",
                of(&|id| {
                    json!({"id": id, "usuarioId": 1, "tipo": "cargo", "monto": 0, "fecha": date,
                    "intento": format!("{}#1", key(id)), "confirmado": true})
                }),
            ),
        ],
        "transacciones" => vec![(
            "transacciones",
            of(&|id| {
                json!({"id": id, "usuarioId": id % 100 + 1, "tokenId": id, "fecha": date, "precio": 5,
                "intento": format!("{}#1", key(id))})
            }),
        )],
        _ => vec![
            ("transacciones", json!([])),
            ("intentos", of(&|id| json!({"clave": key(id), "numero": 1, "usuarioId": 1, "tokenId": id}))),
        ],
    }
}

/// Bytes of memory that a process has.
fn resident(pid: u32) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A market with such records: the memory that it counts, and that it has.
async fn measured(records: &[(&str, Value)]) -> (u64, u64) {
    let dir = Arc::new(TempDir::new().unwrap());
    let datos = dir.path().join("datos");
    fs::create_dir(&datos).unwrap();
    for name in ["usuarios", "tokens", "transacciones"] {
        let empty = json!([]);
        let array = records.iter().find(|(of, _)| *of == name).map_or(&empty, |(_, array)| array);
        fs::write(datos.join(format!("{name}.json")), array.to_string()).unwrap();
    }
    for (name, array) in records.iter().filter(|(name, _)| ["movimientos", "intentos"].contains(name)) {
        fs::write(datos.join(format!("{name}.json")), array.to_string()).unwrap();
    }
    let market = Process::frugal(dir).await;
    (metric(&market.api, "store_memory_bytes").await, resident(market.pid()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_that_is_counted_is_the_memory_that_is_taken() {
    const MANY: u64 = 20_000;
    if !Path::new("/proc/self/statm").exists() {
        return;
    }
    let (_, idle) = measured(&[]).await;
    let mut wrong = Vec::new();
    for kind in ["tokens", "short tokens", "ventas", "usuarios", "cargos", "transacciones", "intentos"] {
        let (counted, resident) = measured(&records(kind, MANY)).await;
        let real = resident.saturating_sub(idle);
        println!("{kind}: {} bytes each are counted, {} are taken", counted / MANY, real / MANY);
        if !(real * 8 / 10..real * 14 / 10).contains(&counted) {
            wrong.push(format!("{kind}: {counted} bytes are counted, and {real} are taken"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
