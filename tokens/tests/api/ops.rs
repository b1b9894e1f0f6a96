//! What every service has, with this one's name in it.

use crate::helpers::{Market, config};
use serde_json::Value;
use testkit::files_only;
use tokens::app;

#[tokio::test]
async fn it_says_who_it_is_and_that_it_is_well() {
    files_only!("reads the metrics of the journal");
    let m = Market::start().await;
    assert_eq!(m.json("/").await["servicio"], "tokens");
    assert_eq!(m.json("/livez").await["estado"], "ok");
    assert_eq!(m.json("/readyz").await["estado"], "ok");
    assert!(m.get("/metrics").await.text().await.unwrap().contains("journal_tokens_lines_total"));
}

#[tokio::test]
async fn the_description_names_every_public_route_and_no_other() {
    let m = Market::start().await;
    let api = m.json("/openapi.json").await;
    let text = api.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(api.pointer(pointer).is_some(), "{pointer} is referred to and not there");
    }
    let methods = |path: &str| -> Vec<String> {
        let item: &Value = &api["paths"][path];
        item.as_object().unwrap().keys().cloned().collect()
    };
    let paths: Vec<_> = api["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths.iter().filter(|p| p.starts_with("/interno")).count(), 0);
    let mut tokens = methods("/tokens/{id}");
    tokens.sort();
    assert_eq!(tokens, ["delete", "get", "patch"]);
    assert_eq!(methods("/tokens/{id}/imagen"), ["get"]);
    assert_eq!(methods("/tokens").len(), 2);
}

#[tokio::test]
async fn data_that_contradict_themselves_refuse_the_start() {
    let token = r#"{"id":1,"nombre":"a","imagen":"a","precio":1,"vendido":false}"#;
    let sold = r#""vendido":true,"venta":{"intento":"a#1","usuarioId":1,"fecha":"2025-09-10T17:00:00Z"}}"#;
    let one = token.replace(r#""vendido":false}"#, sold);
    let two = one.replace(r#""id":1"#, r#""id":2"#);
    for (seed, why) in [
        (format!("[{token},\n{token}]"), "tokens.json:2: id 1 is there twice"),
        (format!("[{one},\n{two}]"), "tokens.json:2: the intento a#1 of id 2 is also that of id 1"),
        (format!("[{}]", token.replace(":1,\"v", ":-1,\"v")), "tokens.json:1: invalid value"),
        (format!("[{}]", token.replace("\"precio\":1,", "")), "tokens.json:1: missing field `precio`"),
        (format!("[{}]", one.replace("true", "false")), "has a venta and is not vendido"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("seed")).unwrap();
        std::fs::create_dir(dir.path().join("imagenes")).unwrap();
        std::fs::write(dir.path().join("seed/tokens.json"), &seed).unwrap();
        let error = app::build(&config(dir.path())).err().unwrap();
        assert_eq!(error.exit_code, 65);
        assert!(error.message.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_directory_of_pictures_that_is_none_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let error = app::build(&config(dir.path())).err().unwrap();
    assert_eq!(error.exit_code, 64);
    assert!(error.message.contains("IMAGENES_DIR"), "{error}");
}
