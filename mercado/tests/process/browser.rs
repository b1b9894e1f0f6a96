//! A real browser: Chromium by its WebDriver (Debian's `chromium-driver`; W3C WebDriver).

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use testkit::{PATIENCE, eventually};

/// One window. Its processes end with it.
pub struct Browser {
    driver: Child,
    client: reqwest::Client,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// In a fresh profile; `language` as in `navigator.language`.
    pub async fn start(language: &str) -> Self {
        let profile = TempDir::new().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is needed: apt-get install chromium-driver");
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver ended");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        let client = reqwest::Client::builder().no_proxy().timeout(2 * PATIENCE).build().unwrap();
        let base = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, client, session: base, _profile: profile };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
            &format!("--lang={language}"),
            &format!("--accept-lang={language}"),
            &format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let options =
            json!({"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}});
        let made = browser.command("", json!({"capabilities": {"alwaysMatch": options}})).await;
        let id = made["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        let (status, mut body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{path}: {body}");
        body["value"].take()
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.command("/url", json!({"url": url})).await;
    }

    /// The value of a JavaScript expression in the page.
    pub async fn value(&self, expression: &str) -> Value {
        self.command("/execute/sync", json!({"script": format!("return {expression}"), "args": []})).await
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) {
        eventually(PATIENCE, async || (self.value(&format!("!!({expression})")).await == true).then_some(()))
            .await;
    }

    /// Clicks an element as a person does: it must be there, visible and not behind another.
    pub async fn click(&self, css: &str) {
        let found = self.command("/element", json!({"using": "css selector", "value": css})).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.command(&format!("/element/{id}/click"), json!({})).await;
    }

    /// Types into an element.
    pub async fn write(&self, css: &str, text: &str) {
        let found = self.command("/element", json!({"using": "css selector", "value": css})).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.command(&format!("/element/{id}/clear"), json!({})).await;
        self.command(&format!("/element/{id}/value"), json!({"text": text})).await;
    }

    /// What the page logged as an error: a script that failed, a file that is missing, what its policy refused.
    pub async fn errors(&self) -> Vec<Value> {
        let log = self.command("/se/log", json!({"type": "browser"})).await;
        log.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE").cloned().collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // the driver and its browser: one process group
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
    }
}
