//! Who asked: the request's id and its W3C trace, carried along the task so that every log line and every call to
//! another service names them.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::future::Future;

/// Correlates a request across logs; taken from the client where it is sane, else made here.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context, level 1.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

tokio::task_local! {
    static CURRENT: Context;
}

/// The request that this task works for.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its id: 1 to 128 characters.
    pub request_id: HeaderValue,
    /// Its place in a distributed trace.
    pub trace: Trace,
}

/// `traceparent: 00-<trace id>-<span id>-<flags>`; the span is this service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

impl Trace {
    fn new() -> Self {
        // an all-zero id is invalid by the specification
        Self { id: rand::random::<u128>().max(1), span: rand::random::<u64>().max(1), flags: 1 }
    }

    /// A span of its own under the caller's trace. Versions above 00 may append fields, which we ignore.
    fn child_of(parent: &str) -> Option<Self> {
        let mut parts = parent.split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |s: &str, n| s.len() == n && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let legal = hex(version, 2) && version != "ff" && hex(id, 32) && hex(span, 16) && hex(flags, 2);
        if !legal || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
        u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        Some(Self { id, flags: u8::from_str_radix(flags, 16).ok()?, ..Self::new() })
    }

    /// The trace's id, 32 hex digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl Context {
    /// A context without a request: of recovery, or of start-up.
    pub fn new() -> Self {
        // not `new_v4`: that asks the kernel for its bytes, a system call for each request
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let text =
            HeaderValue::from_str(id.hyphenated().encode_lower(&mut [0; uuid::fmt::Hyphenated::LENGTH]));
        Self { request_id: text.unwrap_or_else(|_| HeaderValue::from_static("-")), trace: Trace::new() }
    }

    /// What the caller sent, where that is sane; the rest is made here.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let sane = |v: &&HeaderValue| {
            (1..=128).contains(&v.len())
                && v.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
        };
        let mut context = Self::new();
        if let Some(id) = headers.get(&X_REQUEST_ID).filter(sane) {
            context.request_id = id.clone();
        }
        if let Some(trace) = headers.get(&TRACEPARENT).and_then(|v| v.to_str().ok()).and_then(Trace::child_of)
        {
            context.trace = trace;
        }
        context
    }

    /// The request's id as text.
    pub fn id(&self) -> &str {
        self.request_id.to_str().unwrap_or("-")
    }

    /// Runs a future for this request.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The current task's, where it works for a request.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Looks at the current task's without a copy.
    pub fn with<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        CURRENT.try_with(look).ok()
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_under_its_id_with_a_span_of_its_own() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let child = Trace::child_of(parent).unwrap().to_string();
        assert_eq!(child[..36], parent[..36]);
        assert_ne!(child[36..52], parent[36..52]);
        assert!(Trace::child_of("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::child_of(wrong), None, "{wrong}");
        }
    }
}
