//! What can be set.

#[cfg(feature = "fault-points")]
use crate::purchase::point::Point;
use clap::{Args, Parser};
use http_kit::config::ServiceUrl;
use http_kit::exit::{EX_USAGE, StartError};
use market::host::HostOptions;
use std::time::Duration;

/// Purchases: the coordinator, its recovery and the audit.
#[derive(Clone, Debug, Parser)]
#[command(name = "transacciones", version)]
pub struct Config {
    /// Internal port of usuarios
    #[arg(long, env = "USUARIOS_URL", default_value = "http://usuarios:9000")]
    pub usuarios_url: ServiceUrl,
    /// Internal port of tokens
    #[arg(long, env = "TOKENS_URL", default_value = "http://tokens:9000")]
    pub tokens_url: ServiceUrl,
    /// For experiments: the point of its first purchase at which this process dies
    #[cfg(feature = "fault-points")]
    #[arg(long, env = "FALLO_EN", hide = true)]
    pub fallo_en: Option<Point>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub purchase: PurchaseOptions,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would print it as the help of the first option")]
    pub host: HostOptions,
}

/// How purchases deal with time, and how much of what a process takes on at once.
#[derive(Args, Clone, Copy, Debug)]
pub struct PurchaseOptions {
    /// Milliseconds that a purchase waits for the other services before it answers 503
    #[arg(long, env = "PURCHASE_DEADLINE_MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub purchase_deadline_ms: u64,
    /// Milliseconds after which recovery takes a hold for one that was left; more than the deadline
    #[arg(long, env = "ORPHAN_AGE_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(20..=3_600_000))]
    pub orphan_age_ms: u64,
    /// Purchases that may be under way at once; more are answered with 503
    #[arg(long, env = "PURCHASES_AT_ONCE", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub purchases_at_once: u32,
    /// Hours for which the key of a refused purchase is kept, at the least; then it may be used for anything
    #[arg(long = "refused-keys-hours", env = "REFUSED_KEYS_HOURS", value_name = "REFUSED_KEYS_HOURS", default_value = "24", value_parser = hours)]
    pub refused_keys: Duration,
    /// Clients that may follow the events at once; more are answered with 503
    #[arg(long, env = "EVENT_STREAMS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub event_streams: u32,
    /// Milliseconds between the end of an audit and the beginning of the next, which all share who ask meanwhile
    #[arg(long, env = "AUDIT_PAUSE_MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub audit_pause_ms: u64,
}

/// Reads a number of hours, one at least: a client must be able to come back with its key.
fn hours(text: &str) -> Result<Duration, String> {
    let hours = text.parse::<u64>().map_err(|e| e.to_string())?;
    if (1..=8760).contains(&hours) {
        Ok(Duration::from_secs(hours * 3600))
    } else {
        Err("it must be 1 to 8760 hours".to_owned())
    }
}

impl Default for PurchaseOptions {
    /// As on a command line that names none.
    fn default() -> Self {
        Self {
            purchase_deadline_ms: 3000,
            orphan_age_ms: 10_000,
            purchases_at_once: 1000,
            refused_keys: Duration::from_secs(24 * 3600),
            event_streams: 1000,
            audit_pause_ms: 1000,
        }
    }
}

impl PurchaseOptions {
    /// See the option.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.purchase_deadline_ms)
    }

    /// See the option. A shorter age would be safe and yet abort purchases that are doing well.
    ///
    /// # Errors
    /// Exit code 64 where it is not longer than the deadline.
    pub fn orphan_age(&self) -> Result<Duration, StartError> {
        if self.orphan_age_ms <= self.purchase_deadline_ms {
            let Self { purchase_deadline_ms, orphan_age_ms, .. } = self;
            return Err(StartError::new(
                EX_USAGE,
                format!(
                    "--orphan-age-ms (ORPHAN_AGE_MS) is {orphan_age_ms}; it must be more than --purchase-deadline-ms \
                     (PURCHASE_DEADLINE_MS), {purchase_deadline_ms}"
                ),
            ));
        }
        Ok(Duration::from_millis(self.orphan_age_ms))
    }
}
