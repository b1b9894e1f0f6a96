//! One request, one answer.

use crate::t;
use serde_json::Value;
use std::time::Duration;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Nothing where no whole answer came in time.
    pub status: Option<u16>,
    /// Null where it cannot be read.
    pub body: Value,
    /// Who answered, by its `X-Pod`.
    pub pod: Option<String>,
}

impl Answer {
    /// Why it is no answer for good: the code of a problem, or what there is instead.
    pub fn reason(&self) -> String {
        let code = self.body.get("codigo").and_then(Value::as_str).unwrap_or_default();
        match self.status {
            Some(200..=399) if self.body.is_null() => t!("respuesta ilegible", "unreadable answer"),
            Some(status) => format!("{status} {code}").trim_end().to_owned(),
            None => t!("sin respuesta", "no answer"),
        }
    }
}

/// A client of its own; one without keep-alive meets another replica with every request.
///
/// # Errors
/// Where it cannot be made.
pub fn client(keep_alive: bool) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(if keep_alive { 4 } else { 0 })
        .build()
        .map_err(|e| format!("HTTP client: {e}"))
}

/// One for all customers of a load: as many connections as there are requests under way.
///
/// # Errors
/// Where it cannot be made.
pub fn pooled() -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(256);
    client.build().map_err(|e| format!("HTTP client: {e}"))
}

/// Sends it once.
pub async fn whole(request: reqwest::RequestBuilder, patience: Duration) -> Answer {
    let Ok(answer) = request.timeout(patience).send().await else { return Answer::default() };
    let status = answer.status().as_u16();
    let pod = answer.headers().get("x-pod").and_then(|p| p.to_str().ok()).map(str::to_owned);
    match answer.bytes().await {
        // a broken body of a whole answer is an answer, and the checker's to judge
        Ok(body) => {
            Answer { status: Some(status), body: serde_json::from_slice(&body).unwrap_or(Value::Null), pod }
        }
        Err(_) => Answer { pod, ..Answer::default() },
    }
}
