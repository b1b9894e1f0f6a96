//! Calls to another service's internal API: retried with backoff and jitter inside a deadline.
//!
//! Every internal call is repeatable (its key is in the URL), so a lost answer is simply asked for again.

use crate::config::{InternalToken, ServiceUrl};
use crate::context::{Context, TRACEPARENT, X_REQUEST_ID};
use crate::exit::StartError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest that one try of a call may take: a peer that hangs is asked again, perhaps in another replica.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Backoff before the second try; it doubles up to [`MAX_BACKOFF`], and each wait is a random part of it.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_millis(500);
/// The most bytes of an answer: a page of 1000 rows is a fifth of it.
const MAX_ANSWER: usize = 1 << 20;

/// No usable answer within the deadline. Whether the call took effect is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service} gave no usable answer: {cause}")]
pub struct Unavailable {
    /// Which service.
    pub service: &'static str,
    /// The last try's error.
    pub cause: String,
    /// Whether the service did answer, with an error of its own: other calls to it may do well.
    pub answered: bool,
}

/// One try of a call that had no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Why.
    pub cause: String,
    /// See [`Unavailable::answered`].
    pub answered: bool,
}

impl From<String> for Missed {
    fn from(cause: String) -> Self {
        Self { cause, answered: false }
    }
}

impl From<Unavailable> for Missed {
    fn from(Unavailable { cause, answered, .. }: Unavailable) -> Self {
        Self { cause, answered }
    }
}

/// What the service said: yes with a body, or no with a reason `R` that both sides know.
pub type Answer<T, R> = Result<Result<T, R>, Unavailable>;

/// A connection pool to one service.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    service: &'static str,
}

impl Client {
    /// For one service.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub fn new(service: &'static str, base: &ServiceUrl, token: &InternalToken) -> Result<Self, StartError> {
        let wrong = |e: &dyn std::fmt::Display| StartError::new(70, format!("HTTP client: {e}"));
        let mut headers = HeaderMap::new();
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", token.as_str())).map_err(|e| wrong(&e))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(TRY_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            // below the server's keep-alive, so that it is seldom the server that closes under a request
            .pool_idle_timeout(Duration::from_secs(20))
            .build()
            .map_err(|e| wrong(&e))?;
        Ok(Self { http, base: base.url().clone(), service })
    }

    /// Calls `path` (its segments, escaped here) until there is an answer or the deadline has come.
    pub async fn call<T: DeserializeOwned, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
        deadline: Instant,
    ) -> Answer<T, R> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        repeat(self.service, deadline, rand::random, || self.once(method.clone(), url.clone(), body)).await
    }

    async fn once<T: DeserializeOwned, R: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Result<T, R>, Missed> {
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(context) = Context::current() {
            request = request.header(X_REQUEST_ID.as_str(), context.id());
            request = request.header(TRACEPARENT.as_str(), context.trace.to_string());
        }
        let mut response = request.send().await.map_err(|e| chain(&e))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| chain(&e))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("an answer over {MAX_ANSWER} bytes").into());
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            // 204 has no body; `null` reads as `()`
            let body: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
            return serde_json::from_slice(body)
                .map(Ok)
                .map_err(|e| format!("{status} with a body it must not have: {e}").into());
        }
        // a refusal that the contract knows is an answer, also that of a full store; a proxy's 404 is none
        let refuses = status.is_client_error() && status != StatusCode::UNAUTHORIZED;
        let refuses = refuses || status == StatusCode::INSUFFICIENT_STORAGE;
        match serde_json::from_slice(&bytes) {
            Ok(refusal) if refuses => Ok(Err(refusal)),
            // its own fault in this one call: it is there
            _ => Err(Missed {
                cause: format!("status {status}"),
                answered: status == StatusCode::INTERNAL_SERVER_ERROR,
            }),
        }
    }
}

/// Tries a call until there is an answer, or a reason why there is none and the deadline has come. `jitter` is drawn from
/// `[0, 1)` before each further try.
///
/// # Errors
/// [`Unavailable`] with the last try's reason.
pub async fn repeat<T, R, F: Future<Output = Result<Result<T, R>, Missed>>>(
    service: &'static str,
    deadline: Instant,
    mut jitter: impl FnMut() -> f64,
    mut once: impl FnMut() -> F,
) -> Answer<T, R> {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let until = deadline.min(Instant::now() + TRY_TIMEOUT);
        let Missed { cause, answered } = match timeout_at(until, once()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(missed)) => missed,
            Err(_) => "it did not answer in time".to_owned().into(),
        };
        // full jitter: peers that failed together do not come back together
        let again = Instant::now() + backoff.mul_f64(jitter());
        if again >= deadline {
            return Err(Unavailable { service, cause, answered });
        }
        log::debug!("{service}: {cause}; again");
        sleep_until(again).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
