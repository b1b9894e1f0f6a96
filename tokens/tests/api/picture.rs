//! `/tokens/{id}/imagen`.

use crate::helpers::{Market, decoded, invalid};
use reqwest::Method;
use serde_json::json;
use std::os::unix::fs::symlink;

#[tokio::test]
async fn a_token_without_a_file_is_drawn() {
    let m = Market::start().await;
    for id in [101, 102] {
        m.patch(id, &json!({"imagen": "nada.png"})).await;
    }
    let response = m.get("/tokens/101/imagen").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/svg+xml");
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    for part in ["default-src", "base-uri", "form-action", "frame-ancestors"] {
        assert!(policy.contains(&format!("{part} 'none'")), "{policy}");
    }
    assert!(policy.contains("; sandbox;"), "{policy}");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let etag = response.headers()["etag"].clone();
    let svg = response.text().await.unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("<title id=\"t\">Gato Cósmico</title>"), "{svg}");
    assert!(!svg.contains("<text"), "the name is written beside it: {svg}");
    assert_eq!(m.get("/tokens/101/imagen").await.text().await.unwrap(), svg, "always the same");
    assert_ne!(m.get("/tokens/102/imagen").await.text().await.unwrap(), svg);

    let again = m.call(Method::GET, "/tokens/101/imagen").header("if-none-match", &etag).send();
    assert_eq!(again.await.unwrap().status(), 304);
    m.patch(101, &json!({"nombre": "<b>&"})).await;
    let renamed = m.call(Method::GET, "/tokens/101/imagen").header("if-none-match", &etag).send();
    assert!(renamed.await.unwrap().text().await.unwrap().contains("&lt;b&gt;&amp;"));
    invalid(m.get("/tokens/x/imagen").await, &["id"]).await;

    let packed = m.call(Method::GET, "/tokens/102/imagen").header("accept-encoding", "br, gzip").send();
    let packed = packed.await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let plain = m.get("/tokens/102/imagen").await.bytes().await.unwrap();
    assert_eq!(decoded(packed).await, plain);
}

#[tokio::test]
async fn the_sample_market_has_pictures_which_a_file_takes_the_place_of() {
    let m = Market::start().await;
    let response = m.get("/tokens/101/imagen").await;
    assert_eq!(response.headers()["content-type"], "image/svg+xml");
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert_eq!(response.text().await.unwrap(), include_str!("../../imagenes/gato.svg"));
    std::fs::write(m.path().join("imagenes/gato.jpg"), "a photograph").unwrap();
    assert_eq!(m.get("/tokens/101/imagen").await.text().await.unwrap(), "a photograph");
}

#[tokio::test]
async fn a_file_is_sent_as_it_is_under_its_type() {
    let m = Market::start().await;
    let dir = m.path().join("imagenes");
    for (name, kind) in [
        ("gato.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.gif", "image/gif"),
        ("a.avif", "image/avif"),
        ("a.svg", "image/svg+xml"),
    ] {
        let bytes = format!("{name}: ").repeat(400);
        std::fs::write(dir.join(name), &bytes).unwrap();
        m.patch(101, &json!({"imagen": name})).await;
        let get = m.call(Method::GET, "/tokens/101/imagen").header("accept-encoding", "gzip");
        let response = get.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], kind);
        let packed = response.headers().contains_key("content-encoding");
        assert_eq!(packed, name == "a.svg", "{name}: only text is worth it");
        let etag = response.headers()["etag"].clone();
        assert_eq!(decoded(response).await, bytes.as_bytes());
        let again = m.call(Method::GET, "/tokens/101/imagen").header("if-none-match", &etag).send();
        assert_eq!(again.await.unwrap().status(), 304);
    }
    std::fs::write(dir.join("a.svg"), "<svg/>").unwrap();
    assert_eq!(m.get("/tokens/101/imagen").await.text().await.unwrap(), "<svg/>", "as it is now");
}

#[tokio::test]
async fn nothing_outside_the_directory_is_ever_sent() {
    let m = Market::start().await;
    std::fs::write(m.path().join("secreto.png"), "secret").unwrap();
    symlink("../secreto.png", m.path().join("imagenes/enlace.png")).unwrap();
    for name in ["enlace.png", "..", ".", "..\\secreto.png", "%2e%2e%2fsecreto.png", "no.png"] {
        assert_eq!(m.patch(101, &json!({"imagen": name})).await.status(), 200);
        assert!(m.get("/tokens/101/imagen").await.text().await.unwrap().starts_with("<svg "), "{name}");
    }
}
