//! A database that an earlier version wrote opens with this one, and what this version writes has the earlier one's form.

use crate::helpers::{Process, all, compra, read};
use serde_json::json;
use sqlx::Row;
use std::collections::BTreeSet;
use std::sync::Arc;
use tempfile::TempDir;
use testkit::postgres::Server;
use testkit::{Api, PATIENCE, eventually};

/// Written by version 0.1.0.
const DUMP: &str = include_str!("fixtures/0.1.0.sql");

fn name(url: &str) -> &str {
    url.rsplit_once('/').expect("a database").1
}

async fn balances(api: &Api) -> Vec<u64> {
    all(api, "/usuarios").await.iter().map(|u| u["saldo"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_version_goes_on_where_it_was() {
    let server = Server::shared();
    let database = server.database().await;
    server.execute(name(&database), DUMP).await;
    let market = Process::on(Arc::new(TempDir::new().unwrap()), &["--store", &database]).await;
    let api = &market.api;
    // recovery finishes what the dead coordinator had bought, and gives back what it only held
    let settled = eventually(PATIENCE, async || {
        let verdict = read(api, "/transacciones/auditoria").await.json();
        (verdict["pendientes"] == 0).then_some(verdict)
    })
    .await;
    assert_eq!(settled, json!({"correcto": true, "transacciones": 5, "pendientes": 0, "diferencias": []}));
    assert_eq!(balances(api).await, [75, 65, 1]);
    let sold: Vec<_> =
        all(api, "/tokens?vendido=true").await.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(sold, [101, 102, 103, 104, 107]);

    // names are found and sorted by the rules of this version
    let ids =
        |rows: Vec<serde_json::Value>| rows.iter().map(|t| t["id"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids(all(api, "/tokens?orden=nombre").await), [103, 101, 107, 105, 102, 104]);
    assert_eq!(ids(all(api, "/tokens?nombre=C%C3%93SMICO").await), [101]);

    // keys that were used are remembered: of a purchase, of a refusal, of an abono
    let again = compra(api, 1, 101).header("Idempotency-Key", "compra-1").await;
    assert_eq!((again.status, again.json()["id"].as_u64()), (201, Some(1)), "{}", again.text());
    assert_eq!(again.header("Idempotency-Replayed"), "true");
    let other = compra(api, 2, 105).header("Idempotency-Key", "compra-1").await;
    other.assert_problem(422, "clave-reutilizada");
    let refused = compra(api, 3, 105).header("Idempotency-Key", "sin-saldo").await;
    refused.assert_problem(409, "saldo-insuficiente");
    let abono = api.post("/usuarios/1/abonos").json(json!({"monto": 25}));
    let abono = abono.header("Idempotency-Key", "regalo-1").await.expect(201);
    assert_eq!(abono.header("Idempotency-Replayed"), "true");

    // and it goes on: new ids are behind those that were given, 106 of a deleted token among them
    let bought = compra(api, 1, 105).await.expect(201).json();
    assert_eq!((bought["id"].as_u64(), bought["precio"].as_u64()), (Some(6), Some(6)));
    let created = api.post("/tokens").json(json!({"nombre": "Roca", "precio": 9})).await.expect(201);
    assert_eq!(created.json()["id"], 108);
    let done = eventually(PATIENCE, async || {
        let verdict = read(api, "/transacciones/auditoria").await.json();
        (verdict["pendientes"] == 0).then_some(verdict)
    })
    .await;
    assert_eq!(done, json!({"correcto": true, "transacciones": 6, "pendientes": 0, "diferencias": []}));
    assert_eq!(balances(api).await, [69, 65, 1]);
}

/// The earlier version finds the tables, the constraints, the indexes and the list of migrations that it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_version_writes_has_the_form_that_an_earlier_version_knows() {
    let server = Server::shared();
    let (before, now) = (server.database().await, server.database().await);
    server.execute(name(&before), DUMP).await;
    let market = Process::on(Arc::new(TempDir::new().unwrap()), &["--store", &now]).await;
    let (known, made) = (form(server, name(&before)).await, form(server, name(&now)).await);
    // a list by name takes the earlier version longer until the last of it has gone
    let slower = |line: &&String| line.contains(" tokens_por_nombre ");
    let missing: Vec<_> = known.difference(&made).filter(|line| !slower(line)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // what is new must not refuse what the earlier version writes; it writes into no table that it does not know
    let strict = |line: &&String| {
        let words: Vec<_> = line.split(' ').collect();
        let table = match words[..] {
            ["column", "needed", schema, table, ..] => format!("{schema}.{table}"),
            ["constraint", table, ..] => table.to_owned(),
            // a column that may be left out, an index, or a migration
            _ => return false,
        };
        known.iter().any(|line| line.starts_with(&format!("constraint {table} ")))
    };
    let strict: Vec<_> = made.difference(&known).filter(strict).collect();
    assert!(strict.is_empty(), "{strict:#?}");
    market.kill();
}

/// Columns, constraints, indexes and migrations with their checksums, as lines of text.
async fn form(server: &Server, database: &str) -> BTreeSet<String> {
    let services = "('usuarios', 'tokens', 'transacciones')";
    let mut lines = vec![
        format!(
            "select 'column ' || case when is_nullable = 'NO' and column_default is null then 'needed ' else '' end ||
                    concat_ws(' ', table_schema, table_name, column_name, data_type, is_nullable,
                              column_default, collation_name)
             from information_schema.columns where table_schema in {services}"
        ),
        format!(
            "select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
             from pg_constraint where connamespace::regnamespace::text in {services}"
        ),
        format!("select 'index ' || indexdef from pg_indexes where schemaname in {services}"),
    ];
    for service in ["usuarios", "tokens", "transacciones"] {
        lines.push(format!(
            "select 'migration {service} ' || version || ' ' || encode(checksum, 'hex') from {service}.migraciones"
        ));
    }
    let mut connection = server.connect(database).await;
    let mut form = BTreeSet::new();
    for sql in lines {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        assert!(!rows.is_empty());
        form.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    form
}
