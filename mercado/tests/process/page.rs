//! The page: who gets it, and what a person does on it in a real browser.

use crate::browser::Browser;
use crate::helpers::Process;
use serde_json::json;

const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

#[tokio::test]
async fn a_browser_gets_the_page_and_curl_gets_json() {
    let market = Process::start().await;
    let ask = async |accept: &str| market.api.get("/").header("accept", accept).await.expect(200);
    for accept in [CHROME, "text/html", "text/html, application/json"] {
        let page = ask(accept).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{accept}");
        assert!(page.header("vary").contains("accept"));
        assert!(page.header("content-security-policy").contains("default-src 'self'"));
    }
    for accept in
        ["*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0, */*", "text/plain"]
    {
        assert_eq!(ask(accept).await.json()["servicio"], "mercado", "{accept}");
    }
    market.api.get("/web/no-existe.js").await.assert_problem(404, "ruta-no-encontrada");
    market.api.post("/").await.assert_problem(405, "metodo-no-permitido");
}

#[tokio::test]
async fn a_person_buys_on_the_page_and_sees_everything_change() {
    let market = Process::start().await;
    let browser = Browser::start("es").await;
    browser.open(&market.api.base).await;
    browser.until("document.querySelectorAll('#tokens li').length === 2").await;
    assert_eq!(browser.value("document.documentElement.lang").await, "es");
    browser.until("document.querySelector('#saldo').textContent === '100'").await;
    browser.until("document.querySelector('#auditoria').matches('.bien')").await;
    browser.until("[...document.querySelectorAll('#tokens img')].every((i) => i.naturalWidth > 0)").await;

    browser.click("#tokens li[data-id='101'] button").await;
    browser.until("document.querySelector('li[data-id=\"101\"]').matches('.vendido')").await;
    browser.until("document.querySelector('#saldo').textContent === '50'").await;
    browser.until("document.querySelector('#compras tr td').textContent === '1'").await;
    browser
        .until("document.querySelector('#auditoria').textContent === 'Cuentas correctas · 1 compra'")
        .await;
    assert_eq!(browser.value("document.querySelector('li[data-id=\"101\"] button').disabled").await, true);
    assert_eq!(browser.value("localStorage.length").await, 0, "the key is done with");

    // 70 credits with a balance of 50: a refusal is told, and nothing changes
    browser.click("#tokens li[data-id='102'] button").await;
    browser.until("!document.querySelector('#aviso').hidden").await;
    browser.until("!document.querySelector('li[data-id=\"102\"] button').disabled").await;
    assert_eq!(browser.value("document.querySelector('#saldo').textContent").await, "50");
    browser.click("#abonar button").await;
    browser.until("document.querySelector('#saldo').textContent === '100'").await;

    // another buyer, elsewhere: this page sees it without being asked
    market.compra(2, 102).await.expect(201);
    browser.until("document.querySelectorAll('#compras tr').length === 2").await;
    browser.until("document.querySelector('li[data-id=\"102\"]').matches('.vendido')").await;

    // a name is text, whatever is in it
    let name = "<img src=x onerror=document.title='roto'>";
    market.api.post("/tokens").json(json!({"nombre": name, "precio": 5})).await.expect(201);
    browser.write("#filtro [name=nombre]", "ONERROR").await;
    browser.until("document.querySelectorAll('#tokens li').length === 1").await;
    assert_eq!(browser.value("document.querySelector('#tokens h3').textContent").await, name);
    assert_eq!(browser.value("document.title").await, "Mercado de Tokens");

    let refused = |line: &serde_json::Value| line["message"].as_str().unwrap().contains("409");
    let errors: Vec<_> = browser.errors().await.into_iter().filter(|line| !refused(line)).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test]
async fn it_speaks_english_to_who_reads_it_and_shows_what_was_bought_before() {
    let market = Process::start().await;
    market.compra(1, 101).await.expect(201);
    let browser = Browser::start("en-GB").await;
    browser.open(&market.api.base).await;
    browser.until("document.querySelectorAll('#compras tr').length === 1").await;
    assert_eq!(browser.value("document.querySelector('#t-tokens').textContent").await, "Catalogue");
    let empty = "[...document.querySelectorAll('[data-texto]')].filter((e) => !e.textContent.trim()).length";
    assert_eq!(browser.value(empty).await, 0);
}
