//! What [`http_kit::request!`] reads.

use crate::helpers::TestApp;
use serde_json::json;

#[tokio::test]
async fn path_header_and_body_are_named_in_one_answer() {
    let app = TestApp::filled().await;
    let call = app.api.post("/notes/0/marks").header("X-Author", "a\tb");
    let answer = call
        .header("content-type", "application/json")
        .body(r#"{"weight":1,"weight":2,"colour":"red"}"#)
        .await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["X-Author", "colour", "id", "weight"]);
}

#[tokio::test]
async fn a_header_comes_once() {
    let app = TestApp::filled().await;
    let mark = || app.api.post("/notes/1/marks").json(json!({"weight": 1}));
    assert_eq!(mark().await.expect(201).json(), json!([1, 0]));
    assert_eq!(mark().header("X-Author", "Ana").await.expect(201).json(), json!([2, 3]));
    let twice = mark().header("X-Author", "Ana").header("X-Author", "Ana").await;
    twice.assert_problem(422, "datos-invalidos");
    assert_eq!(twice.json()["errores"], json!([{"campo": "X-Author", "detalle": "aparece dos veces"}]));
}

#[tokio::test]
async fn one_of_some_fields_must_be_there() {
    let app = TestApp::filled().await;
    let patch = async |body| app.api.patch("/notes/1").header("Accept-Language", "en").json(body).await;
    let nothing = patch(json!({})).await;
    nothing.assert_problem(422, "datos-invalidos");
    assert_eq!(
        nothing.json()["errores"],
        json!([{"campo": "", "detalle": "the body must have name or weight"}])
    );
    let wrong = patch(json!({"weight": "x"})).await;
    assert_eq!(wrong.fields(), ["weight"], "it is there");
    assert_eq!(patch(json!({"weight": 7})).await.expect(200).json()["weight"], 7);
}

#[tokio::test]
async fn fields_that_do_not_fit_together_are_named_with_the_others() {
    let app = TestApp::filled().await;
    assert_eq!(app.api.get("/notes?min=120&max=200").await.expect(200).json()[0]["name"], "salt");
    let answer = app.api.get("/notes?min=2&max=1&limite=0&x=1").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.fields(), ["limite", "min", "x"]);
}

#[tokio::test]
async fn a_name_comes_without_blanks_around_it() {
    let app = TestApp::start().await;
    let made = app.api.post("/notes").json(json!({"name": "  Zo\u{eb} ", "weight": 7.0})).await.expect(201);
    assert_eq!(made.json(), json!({"id": 1, "name": "Zo\u{eb}", "weight": 7}));
}

#[tokio::test]
async fn a_write_has_nothing_in_its_query() {
    let app = TestApp::filled().await;
    let salt = || json!({"name": "salt", "weight": 1});
    for (query, named) in [
        ("?name=pepper", &["name"][..]),
        ("?color=red&%6eame=%ff", &["color", "name"]),
        ("?limite=1", &["limite"]),
    ] {
        let answer = app.api.post(&format!("/notes{query}")).json(salt()).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), named, "{query}");
    }
    let patch = app.api.patch("/notes/0?x=1").json(json!({"weight": "y"})).await;
    assert_eq!(patch.fields(), ["id", "weight", "x"], "all that is wrong");
    assert_eq!(app.api.get("/notes").await.expect(200).json().as_array().unwrap().len(), 2);
    app.api.post("/notes?").json(salt()).await.expect(201);
}

#[tokio::test]
async fn a_query_that_is_no_text_is_named() {
    let app = TestApp::filled().await;
    let answer = app.api.get("/notes?limite=%ff").header("Accept-Language", "en").await;
    answer.assert_problem(422, "datos-invalidos");
    assert_eq!(answer.json()["errores"], json!([{"campo": "limite", "detalle": "must be UTF-8"}]));
}

#[tokio::test]
async fn fractions_are_no_whole_numbers() {
    let app = TestApp::start().await;
    let post = async |weight: &str| {
        let call = app.api.post("/notes").header("content-type", "application/json");
        call.body(format!(r#"{{"name":"salt","weight":{weight}}}"#)).await
    };
    for wrong in ["4503599627370497.5", "0.99999999999999999999", "1.9999999999999999"] {
        let answer = post(wrong).await;
        answer.assert_problem(422, "datos-invalidos");
        assert_eq!(answer.fields(), ["weight"], "{wrong}");
    }
    for (written, weight) in [("1e2", 100), ("1.0", 1), ("100e-2", 1)] {
        assert_eq!(post(written).await.expect(201).json()["weight"], weight);
    }
}
