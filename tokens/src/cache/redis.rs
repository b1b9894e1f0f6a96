//! Pages that pods share in Redis, each under the number of the state that it shows.
//!
//! A reader asks the database for the number of its state first, and then asks Redis for the page under that number. So Redis
//! cannot show an older state than the reader found, however late a page was written, and no page ever has to be deleted. Pages
//! of states that are gone expire, only to make room. No state ever has the number of another, also after a backup was
//! restored: `tokens.cuentas` in `migrations/0001_inicio.sql` says why.

use super::MAX_BYTES;
use crate::store::Version;
use http_kit::paging::Written;
use pg::redis::Redis;
use redis::cmd;

/// For how many seconds Redis keeps a page.
const KEPT: u64 = 60;

pub(super) struct SharedPages(Redis);

impl SharedPages {
    pub(super) fn new(redis: Redis) -> Self {
        Self(redis)
    }

    pub(super) async fn get(&self, version: Version, query: &str) -> Option<Written> {
        // no more than was ever written: whoever else writes there may have put anything under this key
        let mut command = cmd("GETRANGE");
        command.arg(key(version, query)).arg(0).arg(MAX_BYTES - 1);
        let found: Vec<u8> = self.0.ask(&command).await?;
        Written::from_bytes(found)
    }

    pub(super) async fn put(&self, version: Version, query: &str, page: &Written) {
        let Some(bytes) = page.to_bytes().ok().filter(|bytes| bytes.len() <= MAX_BYTES) else { return };
        let mut command = cmd("SET");
        command.arg(key(version, query)).arg(bytes).arg("EX").arg(KEPT);
        // if it is not kept, the next reader asks the database
        let _: Option<()> = self.0.ask(&command).await;
    }
}

/// The key of a page. It has the whole query in it, since somebody could find two queries with the same hash, and the program's
/// version, since another version may write pages in another way.
fn key(version: Version, query: &str) -> String {
    format!("tokens:pagina:{}:{version}:{query}", env!("CARGO_PKG_VERSION"))
}
