//! The page: who gets it. What a person does on it in a real browser is in web/tests.

use crate::helpers::Process;

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
    for (name, kind) in
        [("main.js", "text/javascript"), ("style.css", "text/css"), ("signs.svg", "image/svg+xml")]
    {
        let file = market.api.get(&format!("/web/{name}")).await.expect(200);
        assert!(file.header("content-type").starts_with(kind), "{name}");
    }
    market.api.get("/web/no-existe.js").await.assert_problem(404, "ruta-no-encontrada");
    market.api.post("/").await.assert_problem(405, "metodo-no-permitido");
}
