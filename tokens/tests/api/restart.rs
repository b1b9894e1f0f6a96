//! What was acknowledged is there after a stop and a start.

use crate::helpers::{Market, problem};
use serde_json::{Value, json};
use testkit::files_only;

#[tokio::test]
async fn everything_survives_a_restart() {
    let m = Market::start().await;
    m.post(&json!({"nombre": "Río", "precio": 5})).await;
    m.patch(102, &json!({"precio": 71})).await;
    m.reserve("a#1", 101, 7).await;
    m.sell("a#1").await;
    m.reserve("b#1", 102, 8).await;
    let tokens = m.json("/tokens?orden=nombre").await;
    let digest = async |m: &Market| {
        let mut digest = m.inner_json("/interno/resumen").await;
        let aged = digest.as_object_mut().and_then(|digest| digest.remove("masAntiguo"));
        assert!(aged.is_some(), "the age of what is pending");
        digest
    };
    let before = digest(&m).await;
    let pendientes = m.inner_json("/interno/reservas?pendientes=true&antes=0").await;
    let ventas = m.inner_json("/interno/reservas?pendientes=false").await;

    let m = m.restart().await;
    assert_eq!(m.json("/tokens?orden=nombre").await, tokens);
    assert_eq!(digest(&m).await, before);
    assert_eq!(m.inner_json("/interno/reservas?pendientes=true&antes=0").await, pendientes);
    assert_eq!(m.inner_json("/interno/reservas?pendientes=false").await, ventas);
    assert_eq!(m.reserve("a#1", 101, 7).await.status(), 200);
    problem(m.reserve("c#1", 102, 7).await, 409, "token-no-disponible").await;
    assert_eq!(m.release("b#1").await.status(), 204);
    assert_eq!(m.reserve("c#1", 102, 7).await.status(), 201);
}

#[tokio::test]
async fn the_id_of_a_deleted_token_is_not_given_again_after_a_restart_either() {
    let m = Market::start().await;
    m.post(&json!({"nombre": "a", "precio": 1})).await;
    assert_eq!(m.delete(103).await.status(), 204);
    let m = m.restart().await;
    let new: Value = m.post(&json!({"nombre": "b", "precio": 1})).await.json().await.unwrap();
    assert_eq!(new["id"], 104);
    m.delete(104).await;
    for id in [101, 102] {
        m.delete(id).await;
    }
    let m = m.restart().await;
    assert_eq!(m.json("/tokens").await, json!([]));
    let new: Value = m.post(&json!({"nombre": "c", "precio": 1})).await.json().await.unwrap();
    assert_eq!(new["id"], 105);
}

#[tokio::test]
async fn the_file_of_a_stopped_service_is_for_people_to_read_and_edit() {
    files_only!("edits a file");
    let m = Market::start().await;
    m.reserve("a#1", 101, 7).await;
    m.sell("a#1").await;
    let dir = m.stop().await;
    let file = dir.path().join("datos/tokens.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "one record a line: {text}");
    let sold = r#"{"id":101,"nombre":"Gato Cósmico","imagen":"gato.jpg","precio":50,"vendido":true,"venta":{"intento":"a#1","usuarioId":7,"fecha":""#;
    assert!(lines[1].starts_with(sold), "{}", lines[1]);
    assert_eq!(lines[2], crate::helpers::SEED.lines().nth(2).unwrap(), "a free one has nothing more");

    std::fs::write(&file, text.replace("Paisaje Lunar", "Paisaje Solar")).unwrap();
    let m = Market::reopen(dir).await;
    assert_eq!(m.json("/tokens/102").await["nombre"], "Paisaje Solar");
}
