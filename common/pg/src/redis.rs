//! Redis, for what may be lost: visits that all pods count together, pages that another pod has written already.
//!
//! Redis slow, gone, full, read-only or restarted is no reason to fail or to wait: [`Redis::ask`] answers `None` within
//! [`BOUND`], and its caller goes on without. From the first failure on nobody asks any more ([`Redis::ask`] is `None` at
//! once), until a background task has found that Redis takes writes again, within the same bound.
//!
//! Others may write to the same Redis. So what comes out of it is input: a value of another type than the caller expects is
//! as good as none ([`Redis::ask`] is `None`, and the connection stays), and the caller checks what the value says.

use arc_swap::ArcSwapOption;
use http_kit::metrics::Metrics;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, Value,
};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// The longest that a request waits for Redis.
pub const BOUND: Duration = Duration::from_millis(50);
/// Between two looks at a connection that works: it may have died while nobody asked.
const LOOK: Duration = Duration::from_secs(1);
/// How long connecting may take. No request waits for it.
const CONNECTING: Duration = Duration::from_secs(1);
/// Between two attempts to connect: doubled each time from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// One warning in so long.
const SELDOM: Duration = Duration::from_secs(60);

/// The most characters of what a server says that are kept.
const LINE: usize = 200;

/// A parsed `REDIS_URL`. It is printed without user and password.
#[derive(Clone)]
pub struct RedisUrl {
    client: Client,
    shown: String,
}

/// What to write instead.
const FORM: &str = "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or unix:///PATH";

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        // none of these errors repeats the text, which has a password in it
        let url = redis::parse_redis_url(s).ok_or(FORM)?;
        let info = url.into_connection_info().map_err(|e| format!("{e}; {FORM}"))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}"),
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            _ => return Err(format!("this build speaks no TLS to Redis; {FORM}")),
        };
        let settings = info.redis_settings().clone();
        let shown = format!("{place}/{}", settings.db());
        // the name of the library, said at each connect, is no business of an older Redis
        let info = info.set_redis_settings(settings.set_skip_set_lib_name());
        let client = Client::open(info).map_err(|e| format!("{e}; {FORM}"))?;
        Ok(Self { client, shown })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A process's one connection to Redis, while there is one. Clones share it.
#[derive(Clone)]
pub struct Redis(Arc<Keeper>);

struct Keeper {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Shared {
    link: ArcSwapOption<MultiplexedConnection>,
    broken: Notify,
    without: AtomicU64,
    reason: ArcSwapOption<String>,
}

impl Redis {
    /// Connects in a background task, again and again. `probe` is a write that changes nothing, such as `INCRBY key 0`: only
    /// one that works tells a full, or read-only, Redis from one of use. Must be called on the process's Tokio runtime.
    pub fn open(url: &RedisUrl, probe: Cmd) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(keep(url.clone(), probe, Arc::clone(&shared)));
        Self(Arc::new(Keeper { shared, task }))
    }

    /// What Redis answers, within [`BOUND`]; `None` without it. It may have done what was asked all the same.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let shared = &self.0.shared;
        let link = shared.link.load_full();
        let answer = match &link {
            Some(link) => match ask(link, command).await {
                Ok(value) => value.and_then(|value| T::from_redis_value(value).ok()),
                Err(why) => {
                    shared.cut(link, why);
                    None
                }
            },
            None => None,
        };
        if answer.is_none() {
            shared.without.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Adds its numbers to `/metrics`.
    pub fn measure(&self, metrics: &Metrics) {
        let (connected, without) = (Arc::clone(&self.0.shared), Arc::clone(&self.0.shared));
        metrics.gauge("redis_connected", "1 where Redis answers in time and takes writes", move || {
            u64::from(connected.link.load().is_some())
        });
        metrics.counter("redis_without", "Times that a request went on without Redis", move || {
            without.without.load(Ordering::Relaxed)
        });
    }
}

impl Shared {
    /// From now on nobody asks over this connection.
    fn cut(&self, link: &Arc<MultiplexedConnection>, why: String) {
        let before = self.link.compare_and_swap(link, None);
        // The others that asked over this connection meet the same end, and have nothing to add.
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, link)) {
            self.reason.store(Some(Arc::new(why)));
            self.broken.notify_one();
        }
    }
}

/// What Redis answers; `None` where somebody else keeps something under this key that the command is not for.
async fn ask(link: &MultiplexedConnection, command: &Cmd) -> Result<Option<Value>, String> {
    let mut connection = link.clone();
    match timeout(BOUND, command.query_async(&mut connection)).await {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(e)) if RedisError::code(&e) == Some("WRONGTYPE") => Ok(None),
        Ok(Err(e)) => Err(said(&e)),
        Err(_) => Err(format!("no answer within {BOUND:?}")),
    }
}

/// Whether it takes writes, within the bound.
async fn prove(link: &MultiplexedConnection, probe: &Cmd) -> Result<(), String> {
    match ask(link, probe).await? {
        Some(_) => Ok(()),
        None => Err("somebody else keeps something under the key of the probe".to_owned()),
    }
}

/// Looks after the connection for as long as the process lives.
async fn keep(url: RedisUrl, probe: Cmd, shared: Arc<Shared>) {
    let (mut pause, mut warned) = (PAUSES.0, None::<Instant>);
    loop {
        let why = match connect(&url, &probe).await {
            Err(why) => why,
            Ok(link) => {
                log::debug!("{url}: connected");
                let born = Instant::now();
                shared.link.store(Some(Arc::clone(&link)));
                while timeout(LOOK, shared.broken.notified()).await.is_err() {
                    if let Err(why) = prove(&link, &probe).await {
                        shared.cut(&link, why);
                    }
                }
                if born.elapsed() > 10 * PAUSES.1 {
                    pause = PAUSES.0;
                }
                shared.reason.swap(None).map_or_else(String::new, |why| why.to_string())
            }
        };
        if warned.is_none_or(|last| last.elapsed() >= SELDOM) {
            warned = Some(Instant::now());
            log::warn!("{url}: {why}; going on without, and trying again every second");
        } else {
            log::debug!("{url}: {why}");
        }
        // not all pods at once
        sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = (2 * pause).min(PAUSES.1);
    }
}

/// What an error says, for the log. It may be the server's own words: they are no lines of their own, and not longer than one.
fn said(e: &RedisError) -> String {
    e.to_string().chars().take(LINE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn connect(url: &RedisUrl, probe: &Cmd) -> Result<Arc<MultiplexedConnection>, String> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let connecting = url.client.get_multiplexed_async_connection_with_config(&config);
    let link = match timeout(CONNECTING, connecting).await {
        Ok(connected) => connected.map_err(|e| said(&e))?,
        Err(_) => return Err(format!("no connection within {CONNECTING:?}")),
    };
    prove(&link, probe).await?;
    Ok(Arc::new(link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://cache.example", "redis://cache.example:6379/0"),
            ("redis://ana:s%40creto@cache.example:6380/3", "redis://cache.example:6380/3"),
            ("redis://:secreto@127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("unix:///run/redis.sock?pass=secreto", "unix:///run/redis.sock/0"),
        ] {
            let url: RedisUrl = url.parse().unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn what_a_server_says_is_one_short_line() {
        let long = format!("ERR \u{1b}[2J\nINFO all is well {}", "x".repeat(100_000));
        let said = said(&RedisError::from((redis::ErrorKind::Parse, "no answer", long)));
        assert!(said.len() <= LINE && said.contains("all is well"), "{said}");
        assert!(!said.contains(char::is_control), "{said:?}");
    }

    #[test]
    fn what_is_wrong_is_said_and_the_password_is_not() {
        for wrong in [
            "",
            "cache.example:6379",
            "http://ana:secreto@cache.example",
            "redis://ana:secreto@cache.example/secreto",
            "redis://ana:secreto@cache.example:puerto",
            "redis://",
        ] {
            let why = wrong.parse::<RedisUrl>().unwrap_err();
            assert!(why.contains("expected redis://") && !why.contains("secreto"), "{wrong}: {why}");
        }
    }
}
