//! Pages that pods share, in Redis, each under the number of the state that it shows.
//!
//! A reader asks the database for the number of its state first, and then for the page under that number: so Redis cannot
//! show him a state older than the one he found, however late a page was written to it, and nothing has ever to be deleted
//! from it. Pages of states that are gone expire, which is about room and not about what is shown. Why no state ever has
//! the number of another, also after a backup was restored: `tokens.cuentas` in `migrations/0001_inicio.sql`.

use crate::store::Version;
use http_kit::paging::Written;
use pg::redis::Redis;
use redis::cmd;

/// Seconds that Redis keeps a page which nobody writes again.
const KEPT: u64 = 60;

pub(super) struct Paginas(Redis);

impl Paginas {
    pub(super) fn new(redis: Redis) -> Self {
        Self(redis)
    }

    pub(super) async fn get(&self, version: Version, query: &str) -> Option<Written> {
        let found: Option<Vec<u8>> = self.0.ask(cmd("GET").arg(key(version, query))).await?;
        Written::from_bytes(found?)
    }

    pub(super) async fn put(&self, version: Version, query: &str, page: &Written) {
        let Ok(bytes) = page.to_bytes() else { return };
        let mut command = cmd("SET");
        command.arg(key(version, query)).arg(bytes).arg("EX").arg(KEPT);
        // without it the next reader asks the database
        let _: Option<()> = self.0.ask(&command).await;
    }
}

/// The whole query, and no hash of it that somebody could find another query for. The program's version is in it, too:
/// another may write pages in another way.
fn key(version: Version, query: &str) -> String {
    format!("tokens:pagina:{}:{version}:{query}", env!("CARGO_PKG_VERSION"))
}
