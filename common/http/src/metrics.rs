//! Counters for `GET /metrics`, in the OpenMetrics text format that Prometheus reads.

use crate::access::Pattern;
use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// This process's numbers.
#[derive(Debug)]
pub struct Metrics {
    // locked by a scrape, every few seconds, and by registration at start: nobody waits for it
    registry: Mutex<Registry>,
    requests: Family<Request, Counter>,
    seconds: Histogram,
}

impl Metrics {
    /// With the HTTP counters only.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        registry.register(
            "http_requests",
            "Requests answered, by method, route and status",
            requests.clone(),
        );
        let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let seconds = Histogram::new(bounds);
        let help = "Seconds from a request's head to its response's head";
        registry.register("http_request_duration_seconds", help, seconds.clone());
        Self { registry: Mutex::new(registry), requests, seconds }
    }

    /// Counts one request.
    pub fn observe(&self, req: &HttpRequest, status: StatusCode, took: Duration) {
        let label = Request {
            method: method(req.method()),
            // the pattern and not the path: ids would make a series each
            route: req.app_data::<Pattern>().map_or("", |pattern| pattern.0),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&label).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Adds a counter that lives elsewhere and is read at each scrape.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, help, Kind::Counter(Box::new(read)));
    }

    /// Adds a value that goes up and down, lives elsewhere, and is read at each scrape.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, help, Kind::Gauge(Box::new(read)));
    }

    fn add(&self, name: &'static str, help: &'static str, kind: Kind) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Elsewhere { name, help, kind }));
    }

    /// All of them as text.
    ///
    /// # Errors
    /// Where writing to memory fails, which it does not.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        encode(&mut out, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A method's label; one for all that HTTP does not name, since a client can invent any number of them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

type Read = Box<dyn Fn() -> u64 + Send + Sync>;

enum Kind {
    Counter(Read),
    Gauge(Read),
}

struct Elsewhere {
    name: &'static str,
    help: &'static str,
    kind: Kind,
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Elsewhere {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Counter(read) => {
                let metric = ConstCounter::new(read());
                metric.encode(encoder.encode_descriptor(self.name, self.help, None, metric.metric_type())?)
            }
            Kind::Gauge(read) => {
                let metric = ConstGauge::new(i64::try_from(read()).unwrap_or(i64::MAX));
                metric.encode(encoder.encode_descriptor(self.name, self.help, None, metric.metric_type())?)
            }
        }
    }
}
